"""A report that is written again while its sweep runs."""

import contextlib
import time
from collections.abc import Collection
from pathlib import Path

from voicefit.report.build import read_record, read_trials, write_report
from voicefit.report.page import reload_tag
from voicefit.report.statistics import failed_rows
from voicefit.report.text import count
from voicefit.sweep.run_directory import RunDirectory
from voicefit.system.files import write_text
from voicefit.system.progress import Notify

State = tuple[tuple[int, int], ...]
"""The size and the time of change of each file that a sweep writes."""


def watch_report(run: str | Path, every: int, notify: Notify, formats: Collection[str] = ()) -> None:
    """Write a run's report again whenever there are new trials, until each planned trial has a record.

    Meanwhile, the page reloads itself every `every` seconds. It stops once the sweep is complete, or when this function
    ends by Ctrl-C (the usual way, and no error) or by an error.

    Args:
        run: the folder of a sweep that has started.
        every: the seconds between two checks, at least 1.
        notify: called with a line each time a report was written.
        formats: as for `build.build_report`.

    Raises:
        VoicefitError: `run` is not the folder of a sweep; also what the store raises on a damaged file.
    """
    run = Path(run)
    page = RunDirectory(run).report / "index.html"
    last: State = ()
    try:
        while True:
            state = _state(run)
            if state != last:
                last = state
                message, complete = _report(run, every, formats)
                notify(message)
                if complete:
                    return
            time.sleep(every)
    except KeyboardInterrupt:
        notify(f"no longer watched: {page}" if page.exists() else "no longer watched")
    finally:
        _stop_reloading(page, every)


def _state(run: Path) -> State:
    """Return sizes and times of the store, its log and the run's record, which change with every trial."""
    read_record(run)
    directory, stats = RunDirectory(run), []
    store = directory.store_path
    for path in (store, store.with_name(f"{store.name}-wal"), directory.record_path):
        # The log exists only while a process has the store open, such as this one.
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            stats += [(stat.st_size, stat.st_mtime_ns)] if stat.st_size else []
    return tuple(stats)


def _report(run: Path, every: int, formats: Collection[str]) -> tuple[str, bool]:
    """Write the report of the trials so far; return a message, and whether the sweep is complete."""
    record, trials = read_record(run), read_trials(run)
    planned = int(record.get("planned_trials", 0))
    progress = f"{len(trials):,} of {count(planned, 'trial')}"
    complete = len(trials) >= planned
    if not complete and failed_rows(trials).all():
        return f"waiting for the first score: {progress}", False
    page = write_report(run, record, trials, formats, None if complete else every)
    return f"{'complete' if complete else 'partial'}, {progress}: {page}", complete


def _stop_reloading(page: Path, every: int) -> None:
    """Remove the reload tag from a page that is no longer written."""
    if page.exists():
        text = page.read_text(encoding="utf-8")
        if reload_tag(every) in text:
            write_text(page, text.replace(f"{reload_tag(every)}\n", ""))
