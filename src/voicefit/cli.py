"""The command line: parses, calls, prints; decides nothing."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.table import Table

import voicefit
from voicefit import cli_distill, cli_serve, cli_sweep
from voicefit.errors import VoicefitError
from voicefit.system.heap import keep_freed_memory
from voicefit.system.hub import MINI
from voicefit.system.launch import first_tells, is_first
from voicefit.terminal import err, escape, out, print_json, progress, remark

app = typer.Typer(
    name="voicefit",
    help="Fit a speech emotion classifier to a new voice from as few as two labelled clips.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
corpora_app = typer.Typer(help="Known corpora, and a check of one on disk.", no_args_is_help=True)
app.add_typer(corpora_app, name="corpora")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
_STOPPED = 130  # what typer makes of Ctrl-C
_UsageError = typer.BadParameter.__mro__[1]  # typer has no name for it
Seed = Annotated[int, typer.Option(help="Fixes everything that is drawn at random.")]


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    try:
        with first_tells(_UsageError):
            sys.exit(app(standalone_mode=is_first()))  # standing alone, typer tells of mistakes itself
    except VoicefitError as error:
        _tell_error(str(error))
    except OSError as error:  # what the system refuses: a folder that may not be written to, a disk that is full
        _tell_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except SystemExit as end:
        if end.code == _STOPPED:
            err.print("stopped; the same command goes on from here where it can")
        raise


def _tell_error(text: str) -> NoReturn:
    err.print(f"[bold red]error:[/] {escape(text)}", soft_wrap=True)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        out.print(f"voicefit {voicefit.__version__}")
        raise typer.Exit
    if context.invoked_subcommand != "serve":  # which lives long, and should give back what a burst took
        keep_freed_memory()


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Run directory.")] = Path("voicefit-demo"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials.")] = 2,
) -> None:
    """The whole line on synthetic speech, with no network and no downloads, in a few minutes.

    Example: `voicefit demo --out my-demo`
    """
    from voicefit.demo.demo import run_demo

    with progress() as tell:
        result = run_demo(out_dir, workers=workers, progress=tell)
    out.print(result.text())
    out.print(f"report: {result.report}", soft_wrap=True)


@corpora_app.command("list")
def corpora_list(as_json: JsonFlag = False) -> None:
    """Corpora whose native layout is known, with licence and permitted use.

    Example: `voicefit corpora list`
    """
    from voicefit.corpora import corpus_infos

    infos = corpus_infos()
    if as_json:
        print_json([vars(info) for info in infos])
        return
    table = Table(box=None, header_style="bold")
    for column in ("name", "language", "speakers", "clips", "use", "licence"):
        counted = column in ("speakers", "clips")
        table.add_column(column, justify="right" if counted else "left", no_wrap=column in ("name", "use"))
    for info in infos:
        counts = ["" if n is None else f"{n:,}" for n in (info.expected_speakers, info.expected_clips)]
        table.add_row(info.name, info.language, *counts, info.usage, info.licence)
    out.print(table)
    out.print("titles, home pages and citations: voicefit corpora list --json")


@corpora_app.command("check")
def corpora_check(
    corpus: Annotated[str, typer.Argument(help="NAME=PATH, as `ravdess=~/data/RAVDESS` or `mine=clips/`.")],
    as_json: JsonFlag = False,
) -> None:
    """Read every clip of a corpus and say what is there and what is wrong.

    Example: `voicefit corpora check ravdess=~/data/RAVDESS`
    """
    from voicefit.corpora import load_corpus, parse_corpus_argument
    from voicefit.corpora.check import check_corpus, render

    loaded = load_corpus(*parse_corpus_argument(corpus))
    with progress() as tell:
        report = check_corpus(loaded, lambda done, total: tell(f"reading {loaded.name}", done, total))
    if as_json:
        print_json(report.to_json())
    else:
        out.print(render(report))


@app.command()
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
    from voicefit.prefinetuning.settings import PrefinetuneSettings

    with first_tells(VoicefitError):
        settings = PrefinetuneSettings.for_protocol(protocol).model_copy(update={"precision": precision})
        corpora = dict(_corpus_arguments(corpus))
    with progress() as tell:
        path = run(
            encoder,
            corpora,
            out_dir,
            protocol=protocol,
            depth=depth,
            frozen_layers=frozen_layers,
            weighted_layers=weighted_layers,
            settings=settings,
            seed=seed,
            resume=resume,
            save_every=save_every,
            progress=tell,
            notice=remark,
        )
    if is_first():
        out.print(f"checkpoint: {path}", soft_wrap=True)


def _corpus_arguments(arguments: list[str]) -> Iterator[tuple[str, Path]]:
    from voicefit.corpora import parse_corpus_argument

    seen = set()
    for argument in arguments:
        name, path = parse_corpus_argument(argument)
        if name in seen:
            raise VoicefitError(f"corpus {name} is given twice; give each its own name")
        seen.add(name)
        yield name, path


@app.command()
def select(
    target: Annotated[Path, typer.Option(help="Folder with a folder of audio files per label: the voice.")],
    corpus: Annotated[list[str], typer.Option(help="NAME=PATH; give it once per corpus.")],
    encoder: Annotated[str, typer.Option(help="Hub id or directory of a pretrained encoder.")],
    depth: Annotated[int | None, typer.Option(min=1, help="Transformer layers to keep; all if left out.")] = None,
    subsets: Annotated[bool, typer.Option("--subsets", help="Rank every subset, not only single corpora.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Rank corpora to pre-finetune on for a voice, from a few labelled clips of it and before any training.

    Example: `voicefit select --target my-clips --encoder facebook/wav2vec2-base --corpus ravdess=~/RAVDESS
    --corpus tess=~/TESS`
    """
    from voicefit.selection.ranking import CAVEAT, ORDER, SCORES, select_corpora

    with progress() as tell:
        found = select_corpora(
            target, dict(_corpus_arguments(corpus)), encoder, depth=depth, subsets=subsets, progress=tell
        )
    if as_json:
        print_json({"ordered_by": ORDER, "caveat": CAVEAT, **asdict(found)})
        return
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    table.add_column("corpora", overflow="fold", min_width=16, vertical="bottom")
    for column in ("clips", *(score.title for score in SCORES.values())):
        table.add_column(column.replace("-", "-\n"), justify="right", no_wrap=True)  # all fit into 80 columns
    for item in found.candidates:
        cells = (f"{item.scores[name]:.2f}" for name in SCORES)
        table.add_row(" + ".join(item.corpora), f"{item.clips:,}", *cells)
    out.print(table)
    out.print(f"more corpora first, then by {SCORES[ORDER].title}; more is better, but for A-distance")
    for score in SCORES.values():
        out.print(f"  {score.title}: {score.meaning}", soft_wrap=True)
    out.print(CAVEAT, soft_wrap=True)
    _tell_left_out(found.left_out)


@app.command()
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
        typer.Option(help="prior, head, lora, full, …; prior if left out, or head from a plain encoder."),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="File or folder with more clips of the voice, without labels, for prior.")
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
    start, clips = ([MINI, *start_and_clips])[-2:]
    _tell_of_mini(start)

    with progress() as tell:
        adapted = run(start, clips, method=method, unlabelled=unlabelled, seed=seed, out=out_dir, progress=tell)
    _tell_left_out(adapted.left_out)
    for clip_id, words in adapted.advice.items():
        err.print(f"[yellow]listen to[/] {escape(clip_id)}: it {escape(words)}", soft_wrap=True)
    shots = ", ".join(f"{count} {label}" for label, count in adapted.shots.items())
    for words in adapted.remarks:
        remark(words)
    out.print(f"adapted on {shots} by method {adapted.method}; model: {out_dir}", soft_wrap=True)
    sure = (
        adapted.sure.words() if adapted.sure else "not measured; two clips of each label, and a fixed encoder, allow it"
    )
    out.print(f"how sure: {sure}", soft_wrap=True)


def _tell_of_mini(source: str) -> None:
    """Whose recordings the model that comes with Voicefit was made of, and what they allow."""
    from voicefit.checkpoints.checkpoint import read_record

    if source == MINI:
        remark(f"model: mini, which comes with Voicefit. {read_record(MINI)['terms']}")


def _tell_left_out(left_out: dict[str, str]) -> None:
    for clip_id, reason in left_out.items():
        err.print(f"[yellow]left out:[/] {escape(clip_id)} ({escape(reason)})", soft_wrap=True)


@app.command()
def predict(
    model_and_audio: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] AUDIO...",
            help="Directory or hub id of an adapted model (if left out, mini, which has heard no clip of the voice), "
            "and audio files, folders of them, or - for standard input.",
        ),
    ],
    window: Annotated[float | None, typer.Option(help="Classify windows of so many seconds: a timeline.")] = None,
    hop: Annotated[float, typer.Option(help="Seconds from one window to the next.")] = 1.0,
    figure: Annotated[Path | None, typer.Option(help="Draw the timeline, as .svg or .png.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Classify clips, or long recordings window by window, with an adapted model.

    Example: `voicefit predict my-model new-clip.wav`, or `voicefit predict my-model talk.wav --window 3 --hop 1
    --figure talk.svg`
    """
    from voicefit.prediction.model import load_model, split_model
    from voicefit.serving import tables, timeline

    if figure is not None and window is None:
        raise VoicefitError("--figure draws a timeline: give --window too")
    if figure is not None:
        from voicefit.report.timeline import draw_only, require_figure

        require_figure(figure)
    model, audio = split_model(model_and_audio)
    _tell_of_mini(model)
    predictor = load_model(model)
    with progress() as tell:
        if window is None:
            found: list[Any] = predictor.predict_files(audio, tell)
        else:
            found = timeline.timelines(predictor, audio, window, hop, tell)
    if figure is not None:
        draw_only(found, figure)
    if as_json:
        print_json([vars(item) if window is None else item.to_json() for item in found])
    else:
        parts = [tables.prediction_table(found, predictor.labels)] if window is None else tables.timeline_tables(found)
        out.print(*parts, sep="\n")
    if all(item.error for item in found):
        raise VoicefitError("none of the files could be read as audio")


@app.command()
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


@app.command()
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


for _command in (cli_distill.distill, cli_serve.serve, cli_sweep.sweep, cli_sweep.merge, cli_sweep.report):
    app.command()(_command)

if __name__ == "__main__":
    main()
