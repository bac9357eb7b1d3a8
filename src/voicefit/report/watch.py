"""The report of a sweep that is still running, made again as trials come in."""

import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from voicefit.report.build import read_record, read_trials, write_report
from voicefit.report.page import progress
from voicefit.report.statistics import finished

EVERY_SECONDS = 15
"""Between two looks at the store; the page loads itself again as often."""


def watch_report(
    run: Path, formats: Collection[str] = (), wait: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Path | None, str]]:
    """Makes the report again whenever trials were added, until all that were planned have been tried.

    Args:
        run: the folder of a sweep.
        formats: as for `build.build_report`.
        wait: called with seconds between two looks.

    Yields:
        After each change: the path of the page, None while no trial is finished; and how far the run is, empty once it
        is complete.

    Raises:
        VoicefitError: as `build.build_report`, but for a run without a finished trial.
    """
    seen: object = None
    while True:
        record, trials = read_record(run), read_trials(run)
        state = len(trials), str(trials["finished_at"].max())
        if state != seen:
            seen = state
            left = progress(len(trials), int(record.get("planned_trials", 0)))
            refresh = EVERY_SECONDS if left else None
            ready = not left or len(finished(trials))
            yield write_report(run, record, trials, formats, refresh) if ready else None, left
            if not left:
                return
        wait(EVERY_SECONDS)
