"""Tables of the plans NAME-multiclass: several emotions at once by all methods, without corpora and from four.

VOICEFIT_RUNS names the folder that holds their runs, each under the name of its plan. Intervals, paired differences and
tests are those of `voicefit report`; here k is the number of clips an emotion, so that speakers with five emotions and
with six are in one column.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import parse_options, publish
from voicefit.report.build import read_trials
from voicefit.report.confusion import confusion_cells, label_scores
from voicefit.report.statistics import NO_START, cell_means, failed_rows, finished, gain_cells, holm, pair
from voicefit.report.text import interval, p_value, score, signed

TARGETS = ("nemo", "emovo", "emodb", "ravdess")
CELL = ["target", "start", "method", "k"]
FOUR = "four"
BY_EMOTION = ("prior-all", "joint-all")
SHOWN = 3
"""So many confusions are named."""


def read(run: Path) -> tuple[pd.DataFrame, int]:
    """The finished trials of a run by clips an emotion, and how many failed."""
    trials = read_trials(run)
    done = finished(trials)
    emotions = done["confusion"].map(lambda text: len(json.loads(text)["labels"]))
    start = done["start"].where(done["start"] == NO_START, FOUR)
    return done.assign(k=done["k"] // emotions, start=start), int(failed_rows(trials).sum())


def lines(what: str, cells: pd.DataFrame, value: str) -> Iterator[dict[str, Any]]:
    """A row per target, start and method, a column per number of clips an emotion."""
    for (target, start, method), own in cells.groupby(CELL[:3], sort=False):
        columns = {}
        corrected = holm(own["p_t"]) if "p_t" in own else [None] * len(own)
        for cell, p in zip(own.to_dict("records"), corrected, strict=True):
            words = score(cell[value], 3) if p is None else signed(cell[value], 3)
            words += " " + interval(cell["low"], cell["high"], sign=p is not None)
            columns[str(cell["k"])] = words if p is None else f"{words}, {p_value(p)}"
        speakers = ", ".join(str(count) for count in own["speakers"])
        draws = "–".join(str(count) for count in sorted(set(own["trials"] // own["speakers"])))
        about = {"target": target, "corpora": start, "method": method, "speakers": speakers, "draws": draws}
        yield {"what": what, **about, **columns}


def of_target(trials: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Scores; what four corpora add; and what methods add to the same clips, `joint-all` to `prior-all` last."""
    yield from lines("macro F1", cell_means(trials, CELL), "macro_f1")
    yield from lines("UAR", cell_means(trials, CELL, "balanced_accuracy"), "balanced_accuracy")
    yield from lines("four corpora less none", gain_cells(pair(trials), CELL), "gain")
    yield from lines("method less head", gain_cells(pair(trials, "method", "head"), CELL), "gain")
    two = trials[trials["method"].isin(["prior-all", "joint-all"])]
    yield from lines("joint-all less prior-all", gain_cells(pair(two, "method", "prior-all"), CELL), "gain")


def by_emotion(trials: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """F1 of each emotion, and the most frequent confusions, of two methods from four corpora."""
    own = trials[trials["method"].isin(BY_EMOTION)]
    for label, scores in label_scores(own).groupby("label"):
        yield from lines(f"F1 of {label}", cell_means(scores, CELL, "f1"), "f1")
    cells = confusion_cells(own)
    wrong = cells[cells["truth"] != cells["answer"]]
    for (target, start, method), part in wrong.groupby(CELL[:3]):
        columns = {}
        for k, shares in part.groupby("k"):
            most = shares.nlargest(SHOWN, "share").to_dict("records")
            columns[str(k)] = "; ".join(f"{row['truth']} as {row['answer']} {row['share']:.2f}" for row in most)
        yield {"what": "most often taken for another", "target": target, "corpora": start, "method": method, **columns}


def main() -> None:
    """One table of all targets."""
    options = parse_options(__doc__)
    root = Path(os.environ.get("VOICEFIT_RUNS", "runs"))
    rows: list[dict[str, Any]] = []
    counts = []
    for target in (name for name in TARGETS if (root / f"{name}-multiclass").is_dir()):
        trials, failed = read(root / f"{target}-multiclass")
        rows += [*of_target(trials), *by_emotion(trials)]
        counts.append(f"{target}: {len(trials):,} trials, {failed} failed")
    publish(
        rows,
        options,
        [
            "Columns: clips an emotion. p by t-test over speakers, corrected for the columns of a row (Holm). "
            + "; ".join(counts)
        ],
    )


if __name__ == "__main__":
    main()
