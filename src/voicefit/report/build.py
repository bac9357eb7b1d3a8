"""The report of a run: read its folder, draw, tabulate and write the page."""

import shutil
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from voicefit.errors import VoicefitError
from voicefit.report import page, style
from voicefit.report.formats import write_tables
from voicefit.report.not_run import not_run_rows
from voicefit.report.pdf import saving_pdfs
from voicefit.report.sections import sections
from voicefit.report.statistics import cell_means, failed_rows, finished
from voicefit.report.tables import failure_table
from voicefit.sweep.run_directory import RunDirectory
from voicefit.system.files import new_directory, write_json, write_text

SUMMARY_KEYS = ["start", "method", "target", "k", "macro_f1", "low", "high", "trials", "encoder", "protocol"]
"""An entry of `summary.json` has these keys."""


def build_report(run: str | Path, formats: Collection[str] = (), workers: int = 1) -> Path:
    """Write a run's figures, tables and page to `run/report`, replacing what was there.

    The new report is made beside the old one and replaces it when it is complete.

    Args:
        run: the folder of a sweep, finished or not.
        formats: any of `formats.FORMATS`: the page's tables are then also written to `report/tables`.
        workers: processes; 1 is this one. A script with more needs `if __name__ == "__main__":`.

    Returns:
        The path of `run/report/index.html`.

    Raises:
        VoicefitError: `run` is not the folder of a sweep, or no trial is finished; also what the store
            raises on a damaged file.
    """
    run = Path(run)
    record = read_record(run)
    return write_report(run, record, read_trials(run), formats, workers=workers)


def write_report(
    run: Path,
    record: dict[str, Any],
    trials: pd.DataFrame,
    formats: Collection[str] = (),
    reload: int | None = None,
    workers: int = 1,
) -> Path:
    """Write the report of a table of trials; `build_report` reads the table from the run's store.

    Args:
        run: the folder of the sweep, whose pre-finetuning curves are shown too.
        record: the contents of `run.json`.
        trials: one row a trial.
        formats: as for `build_report`.
        reload: the page reloads itself after so many seconds; None for a page that does not.
        workers: as for `build_report`.

    Returns:
        The path of `run/report/index.html`.

    Raises:
        VoicefitError: no trial is finished.
    """
    scored = finished(trials)
    if scored.empty:
        failed = int(failed_rows(trials).sum())
        raise VoicefitError(f"{run}: no finished trial to report ({failed} failed); run the sweep first")
    building = run / f".report-{uuid.uuid4().hex[:8]}"
    with new_directory(building) as out:
        with style.drawing(), saving_pdfs(max(0, workers - 1)) as save_pdf:
            report_sections = sections(scored, read_history(run), out, save_pdf)
        trials[failed_rows(trials)].to_csv(out / "data" / "failures.csv", index=False)
        if record.get("not_run"):
            not_run_rows(record).to_csv(out / "data" / "not_run.csv", index=False)
        write_json(out / "summary.json", summary(scored))
        if formats:
            (out / "tables").mkdir()
            tables = [table for section in report_sections for table in (section.glance, *section.tables) if table]
            write_tables(tables, out / "tables", formats)
        html = page.render(record, len(trials), len(scored), failure_table(trials), report_sections, reload)
        write_text(out / "index.html", html)
    report = RunDirectory(run).report
    _replace(report, building)
    return report / "index.html"


def summary(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the one-vs-rest cells as plain data.

    Args:
        trials: the table of `statistics.finished`.

    Returns:
        A dictionary per (encoder, protocol, start, method, target, k) with the keys of `SUMMARY_KEYS`; `low`
        and `high` are None for a single speaker.
    """
    one_vs_rest = trials[trials["task"] == "one-vs-rest"]
    if one_vs_rest.empty:
        return []
    cells = cell_means(one_vs_rest, ["encoder", "protocol", "start", "method", "target", "k"])[SUMMARY_KEYS].round(6)
    rows = cells.astype(object).where(cells.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def read_trials(run: Path) -> pd.DataFrame:
    """Read the run's store.

    Args:
        run: the folder of a sweep.

    Returns:
        One row a trial, failures included.

    Raises:
        VoicefitError: what the store raises on a damaged file.
    """
    with RunDirectory(run).open_store() as store:
        return store.trials()


def read_record(run: Path) -> dict[str, Any]:
    """Read `run.json`.

    Args:
        run: the folder of a sweep.

    Returns:
        Its contents.

    Raises:
        VoicefitError: the folder is not that of a sweep, or the file is damaged.
    """
    directory = RunDirectory(run)
    directory.require_files()
    return directory.read_record()


def read_history(run: Path) -> pd.DataFrame:
    """Read the pre-finetuning curves of every start.

    Args:
        run: the folder of a sweep.

    Returns:
        The rows of every `checkpoints/<encoder>/<start>/history.csv`, with columns `encoder` and `start`;
        empty if there are none. The encoder is "" if a start is directly in `checkpoints`.
    """
    root = RunDirectory(run).checkpoints
    frames = []
    paths = (*root.glob("*/history.csv"), *root.glob("*/*/history.csv"))
    for path in sorted(path for path in paths if not path.parent.name.startswith(".")):  # hidden: not complete yet
        # An empty file is a pre-finetuning before the end of its first epoch.
        if path.stat().st_size:
            encoder = path.parent.parent.relative_to(root).as_posix()
            names = {"encoder": "" if encoder == "." else encoder, "start": path.parent.name}
            frames.append(pd.read_csv(path).assign(**names))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _replace(report: Path, new: Path) -> None:
    """Put `new` in the place of `report` by renaming both."""
    old = report.with_name(f"{new.name}.old")
    if report.exists():
        report.rename(old)
    new.rename(report)
    shutil.rmtree(old, ignore_errors=True)
