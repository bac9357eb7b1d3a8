"""A report that follows its sweep."""

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


def watch_report(run: str | Path, every: int, notify: Notify, formats: Collection[str] = ()) -> None:
    """Writes a run's report again whenever trials have come, until each planned trial has a record.

    While it watches, the page asks for itself again every `every` seconds. It no longer does once the sweep is
    complete or the watching ends, by Ctrl-C (which is the usual way, and no error) or by an error.

    Args:
        run: the folder of a sweep that has begun.
        every: seconds between two looks, at least 1.
        notify: called with a line each time a report was written.
        formats: as for `build.build_report`.

    Raises:
        VoicefitError: `run` is not the folder of a sweep; also what the store raises on a damaged file.
    """
    run = Path(run)
    page = RunDirectory(run).report / "index.html"
    seen: State = ()
    try:
        while True:
            state = _state(run)
            if state != seen:
                seen = state
                words, complete = _report(run, every, formats)
                notify(words)
                if complete:
                    return
            time.sleep(every)
    except KeyboardInterrupt:
        notify(f"no longer watched: {page}" if page.exists() else "no longer watched")
    finally:
        _settle(page, every)


def _state(run: Path) -> State:
    """What changes when a trial is written: sizes and times of the store, its log and the run's record."""
    read_record(run)
    known = []
    directory = RunDirectory(run)
    store = directory.store_path
    for path in (store, store.with_name(f"{store.name}-wal"), directory.record_path):
        # The log comes and goes with every process that has the store open, this one among them.
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            known += [(status.st_size, status.st_mtime_ns)] if status.st_size else []
    return tuple(known)


def _report(run: Path, every: int, formats: Collection[str]) -> tuple[str, bool]:
    """Writes the report of what is there; in words what was done, and whether the sweep is complete."""
    record, trials = read_record(run), read_trials(run)
    planned = int(record.get("planned_trials", 0))
    progress = f"{len(trials):,} of {count(planned, 'trial')}"
    complete = len(trials) >= planned
    if not complete and failed_rows(trials).all():
        return f"waiting for the first score: {progress}", False
    page = write_report(run, record, trials, formats, None if complete else every)
    return f"{'complete' if complete else 'partial'}, {progress}: {page}", complete


def _settle(page: Path, every: int) -> None:
    """Takes the reloading out of a page that nobody writes any more."""
    if page.exists():
        text = page.read_text(encoding="utf-8")
        if reload_tag(every) in text:
            write_text(page, text.replace(f"{reload_tag(every)}\n", ""))
