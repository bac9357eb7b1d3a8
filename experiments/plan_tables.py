"""Tables of the plans ravdess-singles, objectives-multiclass and base-fine-tuned.

VOICEFIT_RUNS names the folder that holds their runs, each under the name of its plan. Intervals, paired differences and
tests are those of `voicefit report`. Several labels at once are shown by clips a label, one against the rest by clips
in all.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.other_tasks import CELL, lines, read
from voicefit.report.statistics import cell_means, gain_cells, pair

COMPARED = {
    "ravdess-singles": (("start", "none"), ("start", "all"), ("method", "head"), ("method", "prior-all")),
    "objectives-multiclass": (("encoder", "labels"), ("encoder", "untrained")),
    "base-fine-tuned": (("encoder", "tiny"), ("method", "head")),
}
"""Plan → each column in which two trials differ, and its value in the second of them."""


def named(trials: pd.DataFrame) -> pd.DataFrame:
    """Call the start of most corpora ``all``, where there are single ones too."""
    most = trials["start"].str.count(r"\+").max()
    full = trials["start"].str.count(r"\+") == most
    return trials.assign(start=trials["start"].mask(full & (most > 0), "all"))


def of_run(name: str, trials: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Scores, and what each column that is compared adds."""
    yield from lines("macro F1", cell_means(trials, CELL), "macro_f1")
    for column, reference in COMPARED[name]:
        paired = pair(trials, column, reference)
        yield from lines(f"less {reference}", gain_cells(paired, CELL), "gain")


def seconds(trials: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Seconds of a trial, adaptation and testing: the median."""
    for names, own in trials.groupby(["target", "task", "encoder", "start", "method"], sort=False):
        row = dict(zip(CELL, names, strict=False))
        columns = {str(k): f"{part['seconds'].median():.2g}" for k, part in own.groupby("k")}
        yield {"what": "seconds", **row, **columns}


def main() -> None:
    """One table of all runs."""
    options = parse_options(__doc__)
    root = Path(os.environ.get("VOICEFIT_RUNS", "runs"))
    rows: list[dict[str, Any]] = []
    counts = []
    missing = [name for name in COMPARED if not (root / name).is_dir()]
    for name in (name for name in COMPARED if name not in missing):
        trials, failed = read(root / name)
        trials = named(trials)
        rows += [{"run": name, **row} for row in (*of_run(name, trials), *seconds(trials))]
        counts.append(f"{name}: {len(trials):,} trials, {failed} failed")
    note = "p by t-test over speakers, corrected for the columns of a row (Holm). "
    publish(rows, options, [note + "; ".join(counts), *(f"not there: {name}" for name in missing)])


if __name__ == "__main__":
    main()
