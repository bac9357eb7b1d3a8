"""Tables of the preset other-tasks and of the plans about labels that are not emotions.

VOICEFIT_RUNS names the folder that holds their runs, each under the name of its plan or preset. Intervals, paired
differences and tests are those of `voicefit report`. Several labels at once are shown by clips a label, one against the
rest by clips in all. RAVDESS's last six actors chose the layer, and are shown in the run of that alone.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import parse_options, publish
from voicefit.report.build import read_trials
from voicefit.report.statistics import cell_means, failed_rows, finished, gain_cells, holm, pair
from voicefit.report.text import interval, p_value, score, signed

VALIDATION = "other-tasks-validation"
RUNS = (VALIDATION, "other-tasks", "other-tasks-methods", "tess-words")
CHOSE = ("19", "20", "21", "22", "23", "24")
"""RAVDESS's actors who chose the layer."""

TRAINED = ["layer-4", "layer-4-trained"]
"""Read alike; corpora train the second, and leave the first as it is."""

CELL = ["target", "task", "encoder", "start", "method", "k"]
ROW = CELL[:-1]


def read(run: Path) -> tuple[pd.DataFrame, int]:
    """The finished trials of a run, k in clips a label where several are told at once, and how many failed."""
    trials = read_trials(run)
    done = finished(trials)
    if run.name != VALIDATION:
        done = done[~done["speaker"].isin(CHOSE)]
    labels = done["confusion"].map(lambda text: len(json.loads(text)["labels"]) if isinstance(text, str) else 1)
    return done.assign(k=done["k"] // labels), int(failed_rows(trials).sum())


def lines(what: str, cells: pd.DataFrame, value: str) -> Iterator[dict[str, Any]]:
    """A row per target, task, encoder, start and method; a column per number of clips."""
    for names, own in cells.groupby(ROW, sort=False):
        columns = {}
        corrected = holm(own["p_t"]) if "p_t" in own else [None] * len(own)
        for cell, p in zip(own.to_dict("records"), corrected, strict=True):
            words = score(cell[value], 3) if p is None else signed(cell[value], 3)
            words += " " + interval(cell["low"], cell["high"], sign=p is not None)
            tested = "" if p is None else p_value(p)  # none where no speaker differs
            columns[str(cell["k"])] = f"{words}, {tested}" if tested else words.strip()
        counts = {"speakers": int(own["speakers"].max()), "trials": int(own["trials"].sum())}
        yield {"what": what, **dict(zip(ROW, names, strict=True)), **counts, **columns}


def of_run(trials: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Scores, what corpora add, what the same recordings add by word rather than by emotion, and what methods add."""
    yield from lines("macro F1", cell_means(trials, CELL), "macro_f1")
    for what, paired in (
        ("less no corpora", pair(trials)),
        ("TESS by word less by emotion", pair(trials[trials["start"].isin(["tess", "tess-word"])], reference="tess")),
        ("trained less left", pair(trials[trials["encoder"].isin(TRAINED)], "encoder", TRAINED[0])),
        ("method less head", pair(trials, "method", "head")),
        ("joint-all less prior-all", pair(trials, "method", "prior-all")),
    ):
        own = paired[paired["method"] == "joint-all"] if what.startswith("joint") else paired
        if len(own):
            yield from lines(what, gain_cells(own, CELL), "gain")


def main() -> None:
    """One table of all runs."""
    options = parse_options(__doc__)
    root = Path(os.environ.get("VOICEFIT_RUNS", "runs"))
    rows: list[dict[str, Any]] = []
    counts = []
    for name in (name for name in RUNS if (root / name).is_dir()):
        trials, failed = read(root / name)
        rows += [{"run": name, **row} for row in of_run(trials)]
        counts.append(f"{name}: {len(trials):,} trials, {failed} failed")
    note = "Columns: clips a label, or of one against the rest clips in all. p by t-test over speakers, corrected for "
    publish(rows, options, [f"{note}the columns of a row (Holm). {'; '.join(counts)}"])


if __name__ == "__main__":
    main()
