"""Which of several labels is taken for which: numbers from the confusion counts of trials.

Trials without counts (one label against the rest, or of before trials recorded them) are left out.
"""

import json
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

CELL = ["start", "target", "method", "k"]
"""The columns that make a cell here."""

VOICE = [*CELL, "speaker"]
"""The columns of a speaker's trials in a cell."""

TRIAL = ["encoder", "protocol", "task", *VOICE, "draw", "seed"]
"""The columns of a trial that its labels keep: those that say which trial it is."""


def shots_each(trials: pd.DataFrame) -> dict[int, str]:
    """Return for each k how many of its clips are of each label: "2"; "2–3" where they are not all alike.

    The k clips are dealt over the speaker's labels in turn, so that a label has the whole part of k divided by
    their number, or one clip more.

    Args:
        trials: the table of `statistics.finished`.
    """
    recorded = _recorded(trials, ["target", "speaker", "k"])
    counts = recorded["found"].map(lambda found: len(found["labels"]))
    words = {}
    for k, numbers in counts.groupby(recorded["k"]):
        low, high = int(k) // numbers.max(), -(-int(k) // numbers.min())
        words[int(k)] = str(low) if low == high else f"{low}–{high}"
    return words


def label_scores(trials: pd.DataFrame) -> pd.DataFrame:
    """Score each label of each trial.

    Args:
        trials: the table of `statistics.finished`.

    Returns:
        A row per trial and label (`label`): the columns of `TRIAL`, `f1` and `recall`, 0 … 1; NaN for the recall of
        a label without a test clip, and for its F1 where it was no answer either.
    """
    recorded = _recorded(trials)
    scored: dict[str, list[Any]] = {"label": [], "f1": [], "recall": []}
    for found in recorded["found"]:
        counts = np.array(found["counts"])
        hits, of_truth = np.diag(counts), counts.sum(1)
        scored["label"] += found["labels"]
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: there is nothing to score
            scored["f1"] += (2 * hits / (of_truth + counts.sum(0))).tolist()
            scored["recall"] += (hits / of_truth).tolist()
    labels = recorded["found"].map(lambda found: len(found["labels"])).astype("int64")
    return recorded.loc[recorded.index.repeat(labels), TRIAL].reset_index(drop=True).assign(**scored)


def confusion_cells(trials: pd.DataFrame) -> pd.DataFrame:
    """Compute how often each label is taken for each, as a share of its clips.

    The clips of a speaker's trials are added up and divided by those of each label, and then speakers weigh the same.

    Args:
        trials: the table of `statistics.finished`.

    Returns:
        A row per cell of `CELL`, `truth` and `answer` (labels): `share` (0 … 1; mean over the speakers with that
        true label; the answers of a true label sum to 1) and `speakers` (their number).
    """
    recorded = _recorded(trials)
    labels = recorded["found"].map(lambda found: tuple(found["labels"]))
    groups: list[tuple[Any, pd.DataFrame]] = list(recorded.groupby([*[recorded[name] for name in VOICE], labels]))
    rows = []
    for (*names, labels), part in groups:
        counts = np.sum([found["counts"] for found in part["found"]], axis=0).ravel()
        rows += [(*names, *pair, clips) for pair, clips in zip(product(labels, repeat=2), counts, strict=True)]
    sums = pd.DataFrame(rows, columns=[*VOICE, "truth", "answer", "clips"])
    of_truth = sums.groupby([*VOICE, "truth"])["clips"].transform("sum")
    # A speaker without a clip of a label says nothing about it, and is none of its speakers.
    sums, of_truth = sums[of_truth > 0].copy(), of_truth[of_truth > 0]
    sums["share"] = sums["clips"] / of_truth
    speakers = sums.groupby([*CELL, "truth"])["speaker"].nunique().rename("speakers")
    cells = sums.groupby([*CELL, "truth", "answer"])["share"].sum().reset_index().join(speakers, on=[*CELL, "truth"])
    return cells.assign(share=cells["share"] / cells["speakers"])


def _recorded(trials: pd.DataFrame, once: list[str] | None = None) -> pd.DataFrame:
    """Return the trials with counts, and these read, as a column `found`; one for each value of the columns `once`."""
    known = trials["confusion"].notna() if "confusion" in trials else pd.Series(False, trials.index)
    recorded = (trials[known].drop_duplicates(once) if once else trials[known]).reset_index(drop=True)
    texts = recorded["confusion"] if "confusion" in recorded else pd.Series([], dtype=object)
    return recorded.assign(found=texts.map(json.loads))
