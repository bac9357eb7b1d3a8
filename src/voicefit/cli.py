"""The command line: parses, calls, prints; decides nothing."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import voicefit
from voicefit.errors import VoicefitError

app = typer.Typer(
    name="voicefit",
    help="Fit a speech emotion classifier to a new voice from as few as two labelled clips.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
corpora_app = typer.Typer(help="Known corpora, and a check of one on disk.", no_args_is_help=True)
app.add_typer(corpora_app, name="corpora")

out = Console()
err = Console(stderr=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Seed = Annotated[int, typer.Option(help="Fixes everything that is drawn at random.")]


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    try:
        app()
    except VoicefitError as error:
        err.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("stopped; the same command goes on from here where it can")
        sys.exit(130)


def _escape(text: str) -> str:
    return " ".join(text.replace("[", "\\[").split("\n"))


class _RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar per kind of work, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=err)
    tasks: dict[str, Any] = {}

    def tell(what: str, done: int, total: int) -> None:
        bars.start()  # not before there is something to show
        if what not in tasks:
            tasks[what] = bars.add_task(_escape(what), total=total)
        bars.update(tasks[what], completed=done, total=total)

    try:
        yield tell
    finally:
        if tasks:
            bars.stop()


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        out.print(f"voicefit {voicefit.__version__}")
        raise typer.Exit


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Run directory.")] = Path("voicefit-demo"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials.")] = 2,
) -> None:
    """The whole line on synthetic speech, with no network and no downloads, in a few minutes.

    Example: `voicefit demo --out my-demo`
    """
    from voicefit.demo import run_demo

    with _progress() as tell:
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
        _print_json([vars(info) for info in infos])
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
    with _progress() as tell:
        report = check_corpus(loaded, lambda done, total: tell(f"reading {loaded.name}", done, total))
    if as_json:
        _print_json(report.to_json())
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
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished run.")] = False,
) -> None:
    """Fine-tune one encoder on several corpora at once, a head per corpus.

    Example: `voicefit prefinetune --encoder facebook/wav2vec2-base --corpus ravdess=~/RAVDESS --corpus tess=~/TESS
    --out checkpoint`
    """
    from voicefit.api import prefinetune as run

    with _progress() as tell:
        path = run(
            encoder,
            dict(_corpus_arguments(corpus)),
            out_dir,
            protocol=protocol,
            depth=depth,
            frozen_layers=frozen_layers,
            seed=seed,
            resume=resume,
            progress=tell,
        )
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
def adapt(
    start: Annotated[str, typer.Argument(help="Pre-finetuned checkpoint, or an encoder's directory or hub id.")],
    clips: Annotated[Path, typer.Argument(help="Folder with a folder of audio files per label.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Model directory to write.")],
    method: Annotated[
        str | None,
        typer.Option(help="prior, head, prototype or full; prior if left out, or head from a plain encoder."),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="File or folder with more clips of the voice, without labels, for prior.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Fit a model to one voice from a few labelled clips.

    Example: `voicefit adapt checkpoint my-clips --out my-model`, where my-clips holds `angry/1.wav`, `calm/1.wav` …
    """
    from voicefit.api import adapt as run

    with _progress() as tell:
        adapted = run(start, clips, method=method, unlabelled=unlabelled, seed=seed, out=out_dir, progress=tell)
    for clip_id, reason in adapted.left_out.items():
        err.print(f"[yellow]left out:[/] {_escape(clip_id)} ({_escape(reason)})", soft_wrap=True)
    shots = ", ".join(f"{count} {label}" for label, count in adapted.shots.items())
    out.print(f"adapted on {shots} by method {adapted.method}; model: {out_dir}", soft_wrap=True)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Directory of an adapted model.")],
    audio: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    as_json: JsonFlag = False,
) -> None:
    """Classify clips with an adapted model.

    Example: `voicefit predict my-model new-clip.wav`
    """
    from voicefit.api import load_model

    predictor = load_model(model)
    with _progress() as tell:
        found = predictor.predict_files(audio, tell)
    if as_json:
        _print_json([vars(prediction) for prediction in found])
    else:
        table = Table(box=None, header_style="bold")
        for column in ("file", "label", *predictor.labels):
            table.add_column(column, justify="left" if column in ("file", "label") else "right", overflow="fold")
        for item in found:
            if item.error:
                table.add_row(_escape(item.file), f"[red]{_escape(item.error)}[/]")
            else:
                cells = (f"{item.probabilities[label]:.3f}" for label in predictor.labels)
                table.add_row(_escape(item.file), _escape(item.label), *cells)
        out.print(table)
    if all(item.error for item in found):
        raise VoicefitError("none of the files could be read as audio")


@app.command()
def sweep(
    plan: Annotated[Path | None, typer.Argument(help="A plan in TOML.")] = None,
    preset: Annotated[str, typer.Option(help="A plan that comes with Voicefit: paper, clean, …")] = "",
    out_dir: Annotated[Path | None, typer.Option("--out", help="Run directory; an unfinished run goes on.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials.")] = 1,
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="Stop when more trials than this have failed; never if left out.")
    ] = None,
    trial_timeout: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds after which a trial is stopped and has failed; never if left out."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Count the trials and estimate the time.")] = False,
) -> None:
    """Run the trials of a plan, pre-finetuning what they need; finished trials are skipped.

    Example: `voicefit sweep plan.toml --out run --workers 2`, or `voicefit sweep --preset paper --dry-run`
    """
    from voicefit.sweep import dry_run, read_plan, read_preset, run_sweep

    if (plan is None) == (not preset):
        raise VoicefitError("sweep: name a plan, or one that comes with Voicefit by --preset")
    read = read_plan(plan) if plan else read_preset(preset)
    if dry:
        _print_dry_run(dry_run(read))
        return
    if out_dir is None:
        raise VoicefitError("sweep: --out RUN is needed (or --dry-run)")
    with _progress() as tell:
        result = run_sweep(
            read,
            out_dir,
            workers=workers,
            max_failures=max_failures,
            trial_timeout=trial_timeout,
            progress=tell,
            notice=lambda text: err.print(_escape(text), soft_wrap=True),
        )
    out.print(f"{result.finished} trials finished, {result.skipped} were finished before, {result.failed} failed")
    out.print(f"next: voicefit report {out_dir}", soft_wrap=True)


def _print_dry_run(found: Any) -> None:
    out.print(f"trials: {found.trials:,}")
    out.print(f"pre-finetunings: {len(found.prefinetunings)}")
    if found.estimate is None:
        out.print(f"time: unknown ({_escape(found.unknown)})", soft_wrap=True)
        return
    stages = {"front end": found.estimate.front_end, "pre-finetuning, at most": found.estimate.prefinetuning}
    for name, seconds in {**stages, "trials": found.estimate.trials, "in all": found.estimate.total}.items():
        out.print(f"time, {name}: {_duration(seconds)}")
    out.print("measured on a few clips here, for one worker and an empty cache")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Run directory of a sweep.")]) -> None:
    """Write RUN/report: one HTML page, figures, CSV and summary.json. A running sweep may be reported too.

    Example: `voicefit report run`
    """
    from voicefit.report import build_report

    out.print(f"report: {build_report(run)}", soft_wrap=True)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


if __name__ == "__main__":
    main()
