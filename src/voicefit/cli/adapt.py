"""The command that adapts to a voice: parses, calls, prints; decides nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicefit.cli.left_out import tell_left_out
from voicefit.cli.options import Channel, Seed, source_and_rest, tell_of_mini
from voicefit.cli.terminal import err, escape, notify, out, progress_bars
from voicefit.errors import VoicefitError

if TYPE_CHECKING:
    from voicefit.api import Adapted


def adapt(
    out_dir: Annotated[Path, typer.Option("--out", help="Model directory to write.")],
    start_and_clips: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[START] CLIPS",
            help="Directory or hub id of a pre-finetuned checkpoint or an encoder (mini, which comes with Voicefit, if "
            "left out), and a folder with a folder of audio files per label, or a table.",
        ),
    ] = None,
    grown: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Keep what MODEL was adapted on, and add CLIPS. A clip that it has under another label is corrected.",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="LABEL", help="With --from, forget a label and its clips.")
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="CLIPS has a folder per speaker: write a model for each, OUT/SPEAKER.")
    ] = False,
    method: Annotated[
        str | None,
        typer.Option(
            help="joint, prior, head, lora, full, …; if left out, prior (joint with --unlabelled), or head from a "
            "plain encoder."
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="File, folder or table with more clips of the voice, without labels, for joint.")
    ] = None,
    channel: Channel = None,
    speech: Annotated[
        bool, typer.Option("--speech", help="Leave out clips in which nobody speaks, and name them.")
    ] = False,
    small: Annotated[
        bool,
        typer.Option("--small", help="Write kilobytes: the head alone. The encoder of START stays where it is."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT, if it is a model that `voicefit adapt` wrote.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Fit a model to one voice from a few labelled clips.

    Example: `voicefit adapt my-clips --out my-model`, where my-clips holds `angry/1.wav`, `calm/1.wav` …; then, with
    more clips, `voicefit adapt --from my-model more-clips --out my-model --overwrite`
    """
    given = start_and_clips or []
    options = {"method": method, "unlabelled": unlabelled, "channel": channel, "speech": speech, "seed": seed}
    options["overwrite"] = overwrite
    if drop and grown is None:
        raise VoicefitError("--drop takes a label from a model: give the model with --from")
    if each and grown is not None:
        raise VoicefitError("--each makes new models: leave --from out")
    if grown is not None:
        _grow(grown, given, out_dir, drop or [], {**options, "small": small or None})
    elif each:
        _adapt_each(given, out_dir, {**options, "small": small})
    else:
        _adapt(given, out_dir, {**options, "small": small})


def _adapt(given: list[str], out_dir: Path, options: dict[str, Any]) -> None:
    from voicefit.api import adapt as run

    start, clips = _start_and_clips(given)
    with progress_bars() as progress:
        adapted = run(start, clips, out=out_dir, progress=progress, **options)
    _tell(adapted, out_dir)


def _grow(model: str, given: list[str], out_dir: Path, drop: list[str], options: dict[str, Any]) -> None:
    from voicefit.api import grow as run

    start, clips = (None, None) if not given else source_and_rest("adapt", given, "start")
    start = start if len(given) == 2 else None  # that of the model
    with progress_bars() as progress:
        adapted = run(model, clips, start=start, drop=drop, out=out_dir, progress=progress, **options)
    _tell(adapted, out_dir)


def _adapt_each(given: list[str], out_dir: Path, options: dict[str, Any]) -> None:
    from voicefit.api import adapt_each as run
    from voicefit.cli import tables

    start, clips = _start_and_clips(given)
    with progress_bars() as progress:
        speakers, left_out = run(start, clips, out=out_dir, progress=progress, **options)
    tell_left_out(left_out)
    of_all = _remarks_of_all([speaker.adapted for speaker in speakers if speaker.adapted])
    for words in of_all:
        notify(words)
    for speaker in speakers:
        if speaker.adapted:
            _tell_of_clips(speaker.adapted, f"{speaker.name}: ", told=of_all)
    out.print(tables.speaker_table(speakers))
    if any(speaker.adapted for speaker in speakers):
        out.print(escape(f"models: {out_dir}/SPEAKER"), soft_wrap=True)
    failed = [speaker for speaker in speakers if speaker.error]
    if failed:
        names = "; ".join(f"{speaker.name} ({speaker.error})" for speaker in failed)
        raise VoicefitError(f"{len(failed)} of {len(speakers)} speakers have no model: {names}")


def _start_and_clips(given: list[str]) -> tuple[str, str]:
    if not given:
        raise VoicefitError("adapt: give a folder of clips; `voicefit example` writes one to try")
    start, clips = source_and_rest("adapt", given, "start")
    tell_of_mini(start)
    return start, clips


def _tell(adapted: "Adapted", out_dir: Path) -> None:
    _tell_of_clips(adapted)
    shots = ", ".join(f"{count} {label}" for label, count in adapted.shots.items())
    out.print(escape(f"adapted on {shots} by method {adapted.method}; model: {out_dir}"), soft_wrap=True)
    sure = (
        adapted.leave_one_out.words()
        if adapted.leave_one_out
        else "not measured: that takes two different clips of each label, and a method that keeps the encoder"
    )
    out.print(escape(f"how sure: {sure}"), soft_wrap=True)


def _remarks_of_all(voices: Sequence["Adapted"]) -> list[str]:
    """What holds for every one of several voices, as what a label is read as: it need not be told of each."""
    return [words for words in voices[0].remarks if all(words in each.remarks for each in voices)] if voices[1:] else []


def _tell_of_clips(adapted: "Adapted", voice: str = "", told: Sequence[str] = ()) -> None:
    """What is not used, odd, or not as one would expect.

    Args:
        adapted: the model of a voice.
        voice: begins each line, where there are several.
        told: remarks that need not be told again.
    """
    from voicefit.checkpoints.record import RECORD

    tell_left_out(adapted.left_out, str(adapted.out / RECORD), voice)
    for clip_id, words in adapted.advice.items():
        err.print(f"[yellow]listen to[/] {escape(voice + clip_id)}: it {escape(words)}", soft_wrap=True)
    for words in adapted.remarks:
        if words not in told:
            notify(f"{voice}{words}")
