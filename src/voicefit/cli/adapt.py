"""The command that adapts to a voice: parses, calls, prints; decides nothing."""

from pathlib import Path
from typing import Annotated

import typer

from voicefit.cli.options import Channel, Seed, tell_left_out, tell_of_mini
from voicefit.cli.terminal import err, escape, notify, out, progress_bars
from voicefit.errors import VoicefitError
from voicefit.system.hub import MINI


def adapt(
    start_and_clips: Annotated[
        list[str],
        typer.Argument(
            metavar="[START] CLIPS",
            help="Directory or hub id of a pre-finetuned checkpoint or an encoder (mini, which comes with Voicefit, if "
            "left out), and a folder with a folder of audio files per label, or a table.",
        ),
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Model directory to write.")],
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
    small: Annotated[
        bool,
        typer.Option("--small", help="Write kilobytes: the head alone. The encoder of START stays where it is."),
    ] = False,
    seed: Seed = 0,
) -> None:
    """Fit a model to one voice from a few labelled clips.

    Example: `voicefit adapt my-clips --out my-model`, where my-clips holds `angry/1.wav`, `calm/1.wav` …; or, from a
    start of your own, `voicefit adapt checkpoint my-clips --out my-model`
    """
    from voicefit.api import adapt as run

    if len(start_and_clips) > 2:
        raise VoicefitError(f"adapt: {len(start_and_clips)} arguments; give a start, or none, and one folder of clips")
    start, clips = start_and_clips if len(start_and_clips) == 2 else (MINI, start_and_clips[0])
    tell_of_mini(start)

    with progress_bars() as progress:
        adapted = run(
            start,
            clips,
            method=method,
            unlabelled=unlabelled,
            channel=channel,
            small=small,
            seed=seed,
            out=out_dir,
            progress=progress,
        )
    tell_left_out(adapted.left_out)
    for clip_id, words in adapted.advice.items():
        err.print(f"[yellow]listen to[/] {escape(clip_id)}: it {escape(words)}", soft_wrap=True)
    shots = ", ".join(f"{count} {label}" for label, count in adapted.shots.items())
    for words in adapted.remarks:
        notify(words)
    out.print(escape(f"adapted on {shots} by method {adapted.method}; model: {out_dir}"), soft_wrap=True)
    sure = (
        adapted.leave_one_out.words()
        if adapted.leave_one_out
        else "not measured; two different clips of each label, and a fixed encoder, allow it"
    )
    out.print(escape(f"how sure: {sure}"), soft_wrap=True)
