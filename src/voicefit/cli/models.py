"""Commands that make models and use them: pre-finetune, adapt, predict, evaluate, suggest, export, push."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from voicefit.cli.options import JsonFlag, Seed, corpus_arguments, tell_left_out
from voicefit.cli.terminal import err, escape, notify, out, print_json, progress_bars
from voicefit.errors import VoicefitError
from voicefit.system.hub import MINI
from voicefit.system.launch import is_rank_zero, only_rank_zero_reports


def prefinetune(
    encoder: Annotated[str, typer.Option(help="Hub id or directory of a pretrained encoder.")],
    corpus: Annotated[list[str], typer.Option(help="NAME=PATH; give it once per corpus.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Checkpoint directory to write.")],
    protocol: Annotated[str, typer.Option(help="clean or paper.")] = "clean",
    depth: Annotated[int | None, typer.Option(min=1, help="Transformer layers to keep; all if left out.")] = None,
    frozen_layers: Annotated[int, typer.Option(min=0, help="Transformer layers that stay as they are.")] = 0,
    weighted_layers: Annotated[
        bool, typer.Option("--weighted-layers", help="Read all layers at once, weighted as training finds best.")
    ] = False,
    precision: Annotated[
        Literal["float32", "bfloat16"],
        typer.Option(help="Of the matrix products; bfloat16, where the hardware has it, is mixed precision."),
    ] = "float32",
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished run.")] = False,
    save_every: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="How often to save within an epoch, for --resume.")
    ] = 30.0,
) -> None:
    """Fine-tune one encoder on several corpora at once, a head per corpus.

    Example: `voicefit prefinetune --encoder facebook/wav2vec2-base --corpus ravdess=~/RAVDESS --corpus tess=~/TESS
    --out checkpoint`
    """
    from voicefit.api import prefinetune as run
    from voicefit.encoders import Reading
    from voicefit.prefinetuning.prefinetune import Run
    from voicefit.prefinetuning.settings import PrefinetuneSettings

    with only_rank_zero_reports(VoicefitError):
        settings = PrefinetuneSettings.for_protocol(protocol).model_copy(update={"precision": precision})
        corpora = dict(corpus_arguments(corpus))
    reading = Reading(depth=depth, frozen_layers=frozen_layers, weighted_layers=weighted_layers)
    with progress_bars() as progress:
        how = Run(seed=seed, resume=resume, save_every=save_every, progress=progress, notify=notify)
        path = run(encoder, corpora, out_dir, protocol=protocol, reading=reading, settings=settings, run=how)
    if is_rank_zero():
        out.print(f"checkpoint: {path}", soft_wrap=True)


def adapt(
    start_and_clips: Annotated[
        list[str],
        typer.Argument(
            metavar="[START] CLIPS",
            help="Directory or hub id of a pre-finetuned checkpoint or an encoder (mini, which comes with Voicefit, if "
            "left out), and a folder with a folder of audio files per label.",
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
        Path | None, typer.Option(help="File or folder with more clips of the voice, without labels, for joint.")
    ] = None,
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
    _tell_of_mini(start)

    with progress_bars() as progress:
        adapted = run(start, clips, method=method, unlabelled=unlabelled, seed=seed, out=out_dir, progress=progress)
    tell_left_out(adapted.left_out)
    for clip_id, words in adapted.advice.items():
        err.print(f"[yellow]listen to[/] {escape(clip_id)}: it {escape(words)}", soft_wrap=True)
    shots = ", ".join(f"{count} {label}" for label, count in adapted.shots.items())
    for words in adapted.remarks:
        notify(words)
    out.print(f"adapted on {shots} by method {adapted.method}; model: {out_dir}", soft_wrap=True)
    sure = (
        adapted.leave_one_out.words()
        if adapted.leave_one_out
        else "not measured; two different clips of each label, and a fixed encoder, allow it"
    )
    out.print(f"how sure: {sure}", soft_wrap=True)


def _tell_of_mini(source: str) -> None:
    """Whose recordings the model that comes with Voicefit was made of, and what they allow."""
    from voicefit.checkpoints.checkpoint import read_record

    if source == MINI:
        notify(f"model: mini, which comes with Voicefit. {read_record(MINI)['terms']}")


def predict(
    model_and_audio: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] AUDIO...",
            help="Directory or hub id of an adapted model (if left out, mini, which knows no clip of the voice), "
            "and audio files, folders of them, or - for standard input.",
        ),
    ],
    window: Annotated[float | None, typer.Option(help="Classify windows of so many seconds: a timeline.")] = None,
    hop: Annotated[float, typer.Option(help="Seconds from one window to the next.")] = 1.0,
    figure: Annotated[Path | None, typer.Option(help="Draw the timeline, as .svg or .png.")] = None,
    together: Annotated[
        bool, typer.Option("--together", help="All clips are of one voice, in several emotions: label them together.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Classify clips, or long recordings window by window, with an adapted model.

    Example: `voicefit predict my-model new-clip.wav`, or `voicefit predict my-model talk.wav --window 3 --hop 1
    --figure talk.svg`
    """
    from voicefit.cli import tables
    from voicefit.prediction import timeline
    from voicefit.prediction.model import load_model, split_model
    from voicefit.prediction.together import predict_together

    if together and window is not None:
        raise VoicefitError("--together labels whole clips: leave --window out")
    if figure is not None and window is None:
        raise VoicefitError("--figure draws a timeline: give --window too")
    if figure is not None:
        from voicefit.report.timeline import draw_only, require_figure

        require_figure(figure)
    model, audio = split_model(model_and_audio)
    _tell_of_mini(model)
    with progress_bars() as progress:
        if window is not None:
            recordings = timeline.timelines(load_model(model), audio, window, hop, progress)
        elif together:
            predictor, clips = predict_together(model, audio, progress)
        else:
            predictor = load_model(model)
            clips = predictor.predict_files(audio, progress)
    if window is not None:
        if figure is not None:
            draw_only(recordings, figure)
        plain, shown = [item.to_json() for item in recordings], tables.timeline_tables(recordings)
        errors = [item.error for item in recordings]
    else:
        plain, shown = [vars(item) for item in clips], [tables.prediction_table(clips, predictor.labels)]
        errors = [item.error for item in clips]
    if as_json:
        print_json(plain)
    else:
        out.print(*shown, sep="\n")
    if all(errors):
        raise VoicefitError("none of the files could be read as audio")


def evaluate(
    model_and_clips: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] CLIPS",
            help="Directory or hub id of a model (mini, if left out), and a folder with a folder of audio files per "
            "label. Clips that the model was adapted on tell nothing.",
        ),
    ],
    together: Annotated[
        bool, typer.Option("--together", help="All clips are of one voice, in several emotions: label them together.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Score a model on labelled clips.

    Example: `voicefit evaluate my-model more-clips`, where more-clips holds `angry/1.wav`, `calm/1.wav` …
    """
    from voicefit.cli import tables
    from voicefit.prediction.evaluation import evaluate as run

    if len(model_and_clips) > 2:
        raise VoicefitError(f"evaluate: {len(model_and_clips)} arguments; give a model, or none, and one folder")
    model, clips = model_and_clips if len(model_and_clips) == 2 else (MINI, model_and_clips[0])
    _tell_of_mini(model)
    with progress_bars() as progress:
        found = run(model, clips, together=together, progress=progress)
    tell_left_out(found.left_out)
    if as_json:
        print_json(found.to_json())
    else:
        out.print(tables.evaluation_table(found))
        low, high = found.interval
        out.print(
            f"{found.clips} clips: macro F1 {found.macro_f1:.3f} (95 % interval {low:.3f} to {high:.3f}; always the "
            f"most common label: {found.most_common:.3f}), UAR {found.uar:.3f}, accuracy {found.accuracy:.3f}",
            soft_wrap=True,
        )
        if found.remark():
            out.print(escape(found.remark()), soft_wrap=True)


def suggest(
    start_and_recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="[START] RECORDINGS",
            help="Directory or hub id of a pre-finetuned checkpoint (mini, if left out), and a file or folder with "
            "clips of one voice.",
        ),
    ],
    labelled: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a folder per label: the clips that have one already. An empty folder names a label that "
            "no clip has yet."
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", "--number", min=1, help="How many recordings to name.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Name the recordings whose labels would help most.

    Example: `voicefit suggest more-recordings --labelled my-clips -n 3`
    """
    from voicefit.api import suggest as run
    from voicefit.cli import tables

    if len(start_and_recordings) > 2:
        raise VoicefitError(f"suggest: {len(start_and_recordings)} arguments; give a start, or none, and one folder")
    start, recordings = start_and_recordings if len(start_and_recordings) == 2 else (MINI, start_and_recordings[0])
    _tell_of_mini(start)
    with progress_bars() as progress:
        found, left_out = run(recordings, start=start, labelled=labelled, count=count, progress=progress)
    tell_left_out(left_out)
    if as_json:
        print_json([vars(item) for item in found])
    else:
        out.print(tables.suggestion_table(found))


def export(
    model: Annotated[str, typer.Argument(help="Directory or hub id of an adapted model.")],
    out_path: Annotated[Path, typer.Option("--out", help="File to write, or folder for a page.")],
    output_format: Annotated[
        Literal["onnx", "web"], typer.Option("--format", help="One ONNX file, or a page that runs it in a browser.")
    ] = "onnx",
    runtime: Annotated[Path, typer.Option("--onnxruntime-web", help="Folder of that npm package, for a page.")] = Path(
        "node_modules/onnxruntime-web"
    ),
    int8: Annotated[bool, typer.Option("--int8", help="Weights in 8 bits: smaller, a little different.")] = False,
    clips: Annotated[
        list[Path] | None, typer.Option(help="Audio file or folder to compare on; noise if left out.")
    ] = None,
) -> None:
    """Write an adapted model as one file that runs without Voicefit, and say how it compares.

    Example: `voicefit export my-model --format onnx --out my-model.onnx --clips my-clips`
    """
    from voicefit.export.onnx import export as run
    from voicefit.export.web import export_web

    if output_format == "web":
        found = export_web(model, out_path, runtime, int8=int8, clips=clips)
    else:
        found = run(model, out_path, int8=int8, clips=clips)
    out.print(f"{output_format}: {out_path}", soft_wrap=True)
    out.print(f"size: {found.bytes / 1e6:.1f} MB (model.safetensors: {found.torch_bytes / 1e6:.1f} MB)")
    out.print(
        f"compared on {found.clips} clips{'' if clips else ' of noise'}: probabilities differ by at most "
        f"{found.difference:.2g}, the label on {found.changed}",
        soft_wrap=True,
    )
    out.print(
        f"a clip, median: {1000 * found.seconds:.1f} ms (PyTorch: {1000 * found.torch_seconds:.1f} ms; "
        f"threads: {found.threads})"
    )


def push(
    model: Annotated[Path, typer.Argument(help="Directory of a checkpoint or an adapted model.")],
    repository: Annotated[str, typer.Argument(help="Where it goes on the Hugging Face hub, as name/model.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see a repository that is made here.")] = False,
) -> None:
    """Put a checkpoint or an adapted model on the Hugging Face hub, for yourself alone unless --public is given.

    Example: `voicefit push checkpoint me/my-checkpoint`
    """
    from voicefit.checkpoints.publish import push as run

    out.print(f"pushed: {run(model, repository, public=public)}", soft_wrap=True)
