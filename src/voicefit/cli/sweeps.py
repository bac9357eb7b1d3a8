"""Commands around sweeps: run one, merge its shards, report it; and the demo, which is a small one."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from voicefit.cli.terminal import escape, notify, out, progress_bars
from voicefit.errors import VoicefitError
from voicefit.system.extras import require
from voicefit.system.heap import keep_imports

_WORST = 10

_REPORT_WORKERS = 2
"""One draws, and one embeds fonts in PDF."""

_MOST_REASONS = 20
"""At the end of a sweep, so many lines are printed about cells that have no trial. A dry run prints all."""


def sweep(
    plan: Annotated[Path | None, typer.Argument(help="A plan in TOML.")] = None,
    preset: Annotated[str, typer.Option(help="A plan that comes with Voicefit. `voicefit presets` lists them.")] = "",
    out_dir: Annotated[Path | None, typer.Option("--out", help="Run directory. An unfinished run resumes.")] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SOURCE: a directory or hub id for the plan's encoder NAME. Give it once per encoder."),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATH: a path for the plan's corpus or target NAME. Give it once per corpus."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of worker processes. Default: 1, or all that a Ray cluster has room for."),
    ] = None,
    engine: Annotated[
        Literal["process", "ray"], typer.Option(help="Run workers as processes of this machine, or on a Ray cluster.")
    ] = "process",
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster to join, as HOST:PORT or auto. Default: start one here.")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="Stop when more trials than this have failed. Default: never.")
    ] = None,
    trial_timeout: Annotated[
        float | None,
        typer.Option(min=1, help="Stop a trial after this many seconds, as failed. Default: never."),
    ] = None,
    shard: Annotated[str, typer.Option(help="Run one part alone, as 2/8. `voicefit merge` joins the parts.")] = "",
    again: Annotated[
        Path | None, typer.Option("--reproduce", help="Run the plan of this run once more, and print what differs.")
    ] = None,
    begin_anew: Annotated[
        bool,
        typer.Option(
            "--begin-anew", help="If a corpus or an encoder has changed since RUN began, set the old trials aside."
        ),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed/--leave-failed", help="Try trials again that failed before, or leave them.")
    ] = True,
    wait: Annotated[
        bool, typer.Option("--wait", help="If another sweep is running in RUN, wait for it to end.")
    ] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Count the trials, and estimate time and disk.")] = False,
) -> None:
    """Run the trials of a plan. Pre-finetune what they need, and skip finished trials.

    Examples: `voicefit sweep plan.toml --out run --workers 2`,
    `voicefit sweep --preset clean --dry-run --encoder wav2vec2-base=my-encoder --corpus esd=~/data/ESD`
    """
    require("train", "sweep fits and scores methods")
    from voicefit.sweep import Shard, dry_run

    read = _read_plan(plan, preset, again, _named("--encoder", encoder), _named("--corpus", corpus), dry)
    part = Shard.parse(shard) if shard else None
    if again is not None and part is not None:
        raise VoicefitError("sweep: --reproduce repeats a whole run; leave --shard out")
    if dry:
        keep_imports()
        with progress_bars() as progress:
            found = dry_run(read, part, progress)
        _print_dry_run(found)
        return
    if out_dir is None:
        raise VoicefitError("sweep: --out RUN is needed (or --dry-run)")
    from voicefit.sweep import run_sweep  # a dry run need not wait for what pre-finetunes

    keep_imports()
    with progress_bars() as progress:
        result = run_sweep(
            read,
            out_dir,
            shard=part,
            engine=engine,
            address=address,
            workers=workers,
            max_failures=max_failures,
            trial_timeout=trial_timeout,
            begin_anew=begin_anew,
            retry_failed=retry_failed,
            wait=wait,
            progress=progress,
            notify=notify,
        )
    _print_not_run(result.not_run[:_MOST_REASONS], len(result.not_run))
    left = f", {result.left_failed} had failed before and were left" if result.left_failed else ""
    out.print(f"{result.finished} trials finished, {result.skipped} were finished before, {result.failed} failed{left}")
    if again is not None:
        _print_reproduction(again, out_dir)
    else:
        out.print(escape(f"next: voicefit {'merge' if part else 'report'} {out_dir}"), soft_wrap=True)


def _named(option: str, values: list[str] | None) -> dict[str, str]:
    """Read each ``NAME=VALUE`` of an option."""
    named: dict[str, str] = {}
    for text in values or ():
        name, _, value = text.partition("=")
        if not (name and value.strip()):
            raise VoicefitError(f"{option} {text}: write NAME={'SOURCE' if option == '--encoder' else 'PATH'}")
        if name in named:
            raise VoicefitError(f"{option} {name} is given twice")
        named[name] = value
    return named


def _read_plan(
    plan: Path | None, preset: str, again: Path | None, encoders: dict[str, str], corpora: dict[str, str], dry: bool
) -> Any:
    from voicefit.sweep import read_plan, read_preset, recorded_plan

    if sum((plan is not None, bool(preset), again is not None)) != 1:
        raise VoicefitError("sweep: name a plan, or one that comes with Voicefit by --preset, or a run by --reproduce")
    if again is not None:
        return recorded_plan(again, encoders, corpora)
    if plan is not None:
        return read_plan(plan, encoders, corpora, keep_variables=dry)
    return read_preset(preset, encoders, corpora, keep_variables=dry)


def _print_reproduction(run: Path, again: Path) -> None:
    """What differs; exit code 1 where a score does."""
    from voicefit.sweep import compare_with

    found = compare_with(run, again)
    for name, before, after in found.made_of:
        out.print(f"{escape(name)}: {escape(before)} → {escape(after)}", soft_wrap=True)
    other = found.trials[found.trials["difference"] > 0]
    out.print(f"{len(found.trials) - len(other)} of {len(found.trials)} trials have the same score to the last digit")
    for row in other.head(_WORST).to_dict("records"):
        name = f"{row['encoder']}/{row['start']}, {row['method']}, {row['target']}/{row['speaker']}, {row['label']}"
        out.print(f"{escape(name)}, k={row['k']}, draw {row['draw']}: {row['before']} → {row['after']}", soft_wrap=True)
    if not found.equal:
        raise typer.Exit(1)


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Run directories of one plan: its shards.")],
    out_dir: Annotated[Path, typer.Option("--out", help="New run directory.")],
) -> None:
    """Put the shards of a sweep together in one run directory.

    Example: `voicefit merge shards/* --out run`
    """
    from voicefit.sweep import merge_runs

    held = merge_runs(runs, out_dir, notify)
    out.print(escape(f"{held} trials in {out_dir}"), soft_wrap=True)
    out.print(escape(f"next: voicefit report {out_dir}"), soft_wrap=True)


def _print_dry_run(found: Any) -> None:
    for remark in found.remarks:
        out.print(escape(remark), soft_wrap=True)
    _print_not_run(found.not_run, len(found.not_run))
    if not found.in_shards:
        raise VoicefitError("the plan has no trial: see above")
    out.print(f"trials: {found.trials:,}")
    out.print(f"pre-finetunings: {len(found.prefinetunings)}")
    if found.cache is not None:
        out.print(escape(found.cache.words()), soft_wrap=True)
    if found.estimate is None:
        out.print(f"time: unknown ({escape(found.unknown)})", soft_wrap=True)
        return
    shortest, most = _duration(found.estimate.trials_by_patience), _duration(found.estimate.trials)
    out.print(f"time, front end: {_duration(found.estimate.front_end)}")
    out.print(f"time, pre-finetuning, at most: {_duration(found.estimate.prefinetuning)}")
    trials = most if most == shortest else f"{shortest} if the first epoch is the best one, {most} at most"
    out.print(f"time, trials: {trials}")
    out.print(f"time, in all, at most: {_duration(found.estimate.total)}")
    out.print("measured on a few clips here, for one worker")


def _print_not_run(groups: Sequence[Any], count: int) -> None:
    """The cells that have no trial, a line for those of one reason."""
    for group in groups:
        out.print(f"not run: {escape(group.words())}", soft_wrap=True)
    if len(groups) < count:
        out.print(f"… and {count - len(groups)} more such lines; the report and run.json have all")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def report(
    run: Annotated[Path, typer.Argument(help="Run directory of a sweep.")],
    other: Annotated[Path | None, typer.Argument(help="A second run: print what changed from RUN to it.")] = None,
    formats: Annotated[
        str, typer.Option("--format", help="html, csv (always written), markdown, latex, separated by commas.")
    ] = "html,csv",
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="With OTHER: write what is printed to this new folder.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write the report again as trials finish, until the sweep ends.")
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="With --watch: seconds between two looks.")] = 30,
) -> None:
    """Write RUN/report: one HTML page, figures, CSV and summary.json. The sweep may still be running.

    Examples: `voicefit report run`, `voicefit report run --watch`, `voicefit report run-a run-b`
    """
    require("report", "report draws figures and tests differences")
    from voicefit.report import build_report, compare_runs, parse_formats, rich_table, watch_report

    if other is not None and watch:
        raise VoicefitError("--watch is for one run; leave it out, or the second run")
    if other is None and out_dir is not None:
        raise VoicefitError("--out is for comparing two runs; the report of one goes to RUN/report")
    if other is not None:
        for table in compare_runs(run, other, out_dir, parse_formats(formats)):
            out.print(rich_table(table))
    elif watch:
        watch_report(run, every, partial(out.print, soft_wrap=True), parse_formats(formats))
    else:
        out.print(
            escape(f"report: {build_report(run, parse_formats(formats), workers=_REPORT_WORKERS)}"), soft_wrap=True
        )


def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Run directory.")] = Path("voicefit-demo"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials.")] = 2,
) -> None:
    """Run the whole line on synthetic speech in about a minute, with no network.

    Example: `voicefit demo --out my-demo`
    """
    for extra in ("train", "report", "demo"):
        require(extra, "demo makes, trains and reports")
    from voicefit.demo.demo import run_demo

    with progress_bars() as progress:
        result = run_demo(out_dir, workers=workers, progress=progress, notify=notify)
    out.print(result.text())
    out.print(escape(f"report: {result.report}"), soft_wrap=True)
