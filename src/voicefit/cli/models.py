"""Commands that make models and use them: pre-finetune, predict, suggest, export, push."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from voicefit.cli.left_out import tell_left_out
from voicefit.cli.options import Channel, JsonFlag, Seed, corpus_arguments, source_and_rest, tell_of_mini
from voicefit.cli.terminal import escape, notify, out, print_json, progress_bars
from voicefit.errors import VoicefitError
from voicefit.system.extras import require
from voicefit.system.files import write_text
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
    require("train", "prefinetune trains an encoder")
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
        out.print(escape(f"checkpoint: {path}"), soft_wrap=True)


def predict(
    model_and_audio: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] AUDIO",
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
    channel: Channel = None,
    reject: Annotated[
        bool,
        typer.Option("--reject", help='Label what is unlike every label, as noise and music are, "none of these".'),
    ] = False,
    speech: Annotated[
        bool,
        typer.Option("--speech", help="With --window: windows in which nobody speaks get no label, and are named."),
    ] = False,
    labels: Annotated[
        Path | None, typer.Option(help="Write the timeline's labels: .txt for Audacity, or .csv with a row per window.")
    ] = None,
    out_path: Annotated[
        Path | None,
        typer.Option("--out", help="Write a .csv, a row per file as they come. The same command resumes it."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Classify clips, or long recordings window by window, with an adapted model.

    Example: `voicefit predict my-model new-clip.wav`, or `voicefit predict my-model talk.wav --window 3 --hop 1
    --figure talk.svg`
    """
    from voicefit.cli import tables
    from voicefit.prediction.model import load_model, split_model

    if out_path is not None and (together or window is not None or as_json):
        raise VoicefitError("--out writes a row per file: leave --together, --window and --json out")
    if together and reject:
        raise VoicefitError("--together labels every clip: leave --reject out")
    if together and window is not None:
        raise VoicefitError("--together labels whole clips: leave --window out")
    if window is None and (figure is not None or labels is not None or speech):
        option = "--speech is for" if speech else "--figure draws" if figure is not None else "--labels writes"
        raise VoicefitError(f"{option} a timeline: give --window too")
    if speech:
        require("speech", "--speech looks for speech")
    if labels is not None:
        from voicefit.prediction.timeline import check_labels_path, labels_text

        check_labels_path(labels)
    if figure is not None:
        require("report", "--figure draws a timeline")
        from voicefit.report.timeline import draw_only, require_figure

        require_figure(figure)
    model, audio = split_model(model_and_audio)
    tell_of_mini(model)
    if out_path is not None:
        _predict_to_csv(model, audio, out_path, channel, reject)
        return
    with progress_bars() as progress:
        if window is not None:
            from voicefit.prediction.timeline import timelines

            recordings = timelines(load_model(model, reject=reject), audio, window, hop, progress, channel, speech)
        elif together:
            from voicefit.prediction.together import predict_together

            predictor, clips = predict_together(model, audio, progress, channel)
        else:
            predictor = load_model(model, reject=reject)
            clips = predictor.predict_files(audio, progress, channel)
    if window is not None:
        if figure is not None:
            draw_only(recordings, figure)
        if labels is not None:
            write_text(labels, labels_text(recordings, labels))
        plain, shown = [item.to_json() for item in recordings], tables.timeline_tables(recordings)
        errors, remarks = [item.error for item in recordings], {item.file: item.remark for item in recordings}
    else:
        plain, shown = [vars(item) for item in clips], [tables.prediction_table(clips, predictor.labels)]
        errors, remarks = [item.error for item in clips], {item.file: item.remark for item in clips}
    for file, words in remarks.items():
        if words:
            notify(f"{file}: {words}")
    if as_json:
        print_json(plain)
    else:
        out.print(*shown, sep="\n")
    if all(errors):
        raise VoicefitError("none of the files could be read as audio")


def _predict_to_csv(model: str, audio: list[Path], path: Path, channel: int | None, reject: bool) -> None:
    from voicefit.prediction.csv_file import predict_to_csv
    from voicefit.prediction.model import load_model

    if path.suffix.lower() != ".csv":
        raise VoicefitError(f"--out {path}: give a file that ends in .csv")
    with progress_bars() as progress:
        before, written, unusable = predict_to_csv(load_model(model, reject=reject), audio, path, progress, channel)
    tell_left_out({found.file: found.error for found in unusable}, str(path))
    if written and len(unusable) == written:
        raise VoicefitError(f"none of these files could be read as audio; {path} has a row for each")
    resumed = f" ({before} files had a row before)" if before else ""
    out.print(f"predictions: {path}{resumed}", soft_wrap=True)


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
    channel: Channel = None,
    as_json: JsonFlag = False,
) -> None:
    """Name the recordings whose labels would help most.

    Example: `voicefit suggest more-recordings --labelled my-clips -n 3`
    """
    from voicefit.api import suggest as run
    from voicefit.cli import tables

    start, recordings = source_and_rest("suggest", start_and_recordings, "start", "recordings")
    tell_of_mini(start)
    with progress_bars() as progress:
        found, left_out = run(
            recordings, start=start, labelled=labelled, count=count, channel=channel, progress=progress
        )
    tell_left_out(left_out)
    if as_json:
        print_json([vars(item) for item in found])
    else:
        out.print(tables.suggestion_table(found))


def export(
    model: Annotated[
        str, typer.Argument(help="Directory or hub id of an adapted model; for encoder, of a checkpoint as well.")
    ],
    out_path: Annotated[
        Path | None, typer.Option("--out", help="File to write, or folder for web and transformers.")
    ] = None,
    output_format: Annotated[
        Literal["onnx", "web", "transformers", "encoder"],
        typer.Option(
            "--format",
            help="One ONNX file; a page that runs it in a browser; of a small model, a whole `transformers` directory; "
            "or MODEL's encoder.onnx, written into its directory, with which PyTorch is not needed.",
        ),
    ] = "onnx",
    runtime: Annotated[Path, typer.Option("--onnxruntime-web", help="Folder of that npm package, for a page.")] = Path(
        "node_modules/onnxruntime-web"
    ),
    int8: Annotated[bool, typer.Option("--int8", help="Weights in 8 bits: smaller, a little different.")] = False,
    clips: Annotated[
        list[Path] | None, typer.Option(help="Audio file or folder to compare on; noise if left out.")
    ] = None,
) -> None:
    """Write a model in another form, and say how it compares.

    Example: `voicefit export my-model --format onnx --out my-model.onnx --clips my-clips`
    """
    if output_format == "encoder":
        _export_encoder(model, out_path)
        return
    if out_path is None:
        raise VoicefitError("export: give --out, the file or folder to write")
    if output_format == "transformers":
        from voicefit.checkpoints.adapted import make_whole

        make_whole(model, out_path)
        out.print(escape(f"model: {out_path}"), soft_wrap=True)
        return
    from voicefit.export.onnx import export as run
    from voicefit.export.web import export_web

    if output_format == "web":
        found = export_web(model, out_path, runtime, int8=int8, clips=clips)
    else:
        found = run(model, out_path, int8=int8, clips=clips)
    tell_left_out(found.left_out)
    out.print(escape(f"{output_format}: {out_path}"), soft_wrap=True)
    out.print(f"size: {found.bytes / 1e6:.1f} MB")
    out.print(
        f"compared on {found.clips} clips{'' if clips else ' of noise'}: probabilities differ by at most "
        f"{found.difference:.2g}, the label on {found.changed}",
        soft_wrap=True,
    )
    torch = (
        f" (PyTorch, all threads: {1000 * found.torch_seconds:.1f} ms)"
        if found.torch_seconds
        else "; PyTorch is not installed: compared with the model's own graph"
    )
    out.print(f"a clip on one thread, median: {1000 * found.seconds:.1f} ms{torch}")


def _export_encoder(model: str, out_path: Path | None) -> None:
    require("train", "--format encoder opens an encoder in PyTorch")
    from voicefit.export.encoder import add_graph

    if out_path is not None or not Path(model).is_dir():
        raise VoicefitError("--format encoder writes into MODEL: give a directory, and leave --out out")
    path = add_graph(model)
    if path is None:
        raise VoicefitError(f"{model}: reads clips with quirks of the published code, which a graph cannot repeat")
    out.print(escape(f"encoder: {path}"), soft_wrap=True)


def push(
    model: Annotated[Path, typer.Argument(help="Directory of a checkpoint or an adapted model.")],
    repository: Annotated[str, typer.Argument(help="Where it goes on the Hugging Face hub, as name/model.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see a repository that is made here.")] = False,
) -> None:
    """Put a checkpoint or an adapted model on the Hugging Face hub, for yourself alone unless --public is given.

    Example: `voicefit push checkpoint me/my-checkpoint`
    """
    from voicefit.checkpoints.publish import push as run

    out.print(escape(f"pushed: {run(model, repository, public=public)}"), soft_wrap=True)
