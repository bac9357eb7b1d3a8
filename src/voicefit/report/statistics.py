"""Means, intervals and paired tests of a sweep's trials.

The unit of inference is the speaker: what a researcher wants to know is how a method does on the next voice,
so trials are first averaged within each speaker and the speakers are then resampled. Every function takes the
trials as a table (one row a trial) and returns a table (one row a cell); none of them changes its input.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

NO_START = "none"
LEVEL = 0.95
RESAMPLES = 5000
SEED = 20230212
# Beyond this many speakers the exact test's 2^n sign patterns are sampled, not enumerated.
EXACT_SPEAKERS = 12
SAMPLED_FLIPS = 10_000

PAIRED_BY = ["encoder", "protocol", "task", "target", "method", "speaker", "label", "k", "draw"]

Floats = npt.NDArray[np.float64]


def failed_rows(trials: pd.DataFrame) -> pd.Series:
    """Marks the trials that ended in an error or without a score.

    Args:
        trials: one row a trial, with at least `error` and `macro_f1`.

    Returns:
        A Boolean series on the index of `trials`.
    """
    error = trials["error"].fillna("").astype(str).str.len() > 0
    return error | trials["macro_f1"].isna()


def finished(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that have a score, with a column `corpora`: how many corpora the start was trained on.

    Args:
        trials: one row a trial.

    Returns:
        A copy without the failed rows.
    """
    kept = trials[~failed_rows(trials)].copy()
    kept["corpora"] = kept["start"].map(corpora_in).astype("int64")
    return kept


def corpora_in(start: str) -> int:
    """The number of corpora behind a starting point: 0 for "none", 2 for "ravdess+tess"."""
    return 0 if start == NO_START else start.count("+") + 1


def cell_means(trials: pd.DataFrame, by: list[str], value: str = "macro_f1") -> pd.DataFrame:
    """Averages a score in each cell and puts an interval over speakers around it.

    Trials are averaged within a speaker first, so a speaker with more trials weighs no more than another.

    Args:
        trials: one row a trial, without failures; speaker names must be unique within a cell.
        by: the columns that make a cell.
        value: the column to average.

    Returns:
        One row a cell, sorted by `by`: those columns, `value`, `low`, `high` (95 % percentile bootstrap; NaN
        where there is one speaker), `speakers`, `trials`.
    """
    cells, speakers = _cells(trials, by, value)
    intervals = _per_cell(cells, speakers[value], bootstrap_intervals)
    cells["low"], cells["high"] = intervals[:, 0], intervals[:, 1]
    return cells[[*by, value, "low", "high", "speakers", "trials"]]


def pair(trials: pd.DataFrame) -> pd.DataFrame:
    """Sets each trial beside the one with the same clips and no pre-finetuning.

    Args:
        trials: one row a trial, without failures.

    Returns:
        One row for each trial of a pre-finetuned start that has a partner: `start`, the columns of
        `PAIRED_BY`, `macro_f1`, `base` (the partner's macro F1), `gain` (the difference) and `corpora`.
        Repeats of one pairing (other seeds) are averaged before they are paired.
    """
    repeats = trials.groupby(["start", *PAIRED_BY], as_index=False)["macro_f1"].mean()
    base = repeats[repeats["start"] == NO_START].drop(columns="start")
    paired = repeats[repeats["start"] != NO_START].merge(
        base.rename(columns={"macro_f1": "base"}), on=PAIRED_BY, validate="many_to_one"
    )
    paired["gain"] = paired["macro_f1"] - paired["base"]
    paired["corpora"] = paired["start"].map(corpora_in).astype("int64")
    return paired


def gain_cells(paired: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Averages paired gains in each cell, with an interval and an exact test over speakers.

    Args:
        paired: the table of `pair`.
        by: the columns that make a cell.

    Returns:
        One row a cell, sorted by `by`: those columns, `gain`, `low`, `high`, `p` (two-sided sign-flip test),
        `base`, `base_low`, `base_high`, `macro_f1`, `macro_f1_low`, `macro_f1_high`, `speakers`, `trials`.
        All three means are over the same pairs, so `gain` equals `macro_f1 - base`.
    """
    cells = cell_means(paired, by, "gain")
    _, speakers = _cells(paired, by, "gain")
    cells["p"] = _per_cell(cells, speakers["gain"], sign_flip_p)[:, 0]
    for value in ("base", "macro_f1"):
        means = cell_means(paired, by, value)
        cells[[value, f"{value}_low", f"{value}_high"]] = means[[value, "low", "high"]]
    sides = ["base", "base_low", "base_high", "macro_f1", "macro_f1_low", "macro_f1_high"]
    return cells[[*by, "gain", "low", "high", "p", *sides, "speakers", "trials"]]


def bootstrap_intervals(values: Floats) -> Floats:
    """Percentile bootstrap interval of the mean of each row (Efron & Tibshirani 1993, chapter 13).

    Every row of one width uses the same resamples, so intervals of paired cells can be compared.

    Args:
        values: (cells, speakers), one mean per speaker.

    Returns:
        (cells, 2): low and high at 95 %; NaN where there is only one speaker.
    """
    cells, speakers = values.shape
    if speakers < 2:
        return np.full((cells, 2), np.nan)
    drawn = np.random.default_rng(SEED).integers(0, speakers, size=(RESAMPLES, speakers))
    weights = np.zeros((RESAMPLES, speakers))
    np.add.at(weights, (np.arange(RESAMPLES)[:, None], drawn), 1.0 / speakers)
    tail = 100 * (1 - LEVEL) / 2
    return np.percentile(values @ weights.T, [tail, 100 - tail], axis=1).T


def sign_flip_p(values: Floats) -> Floats:
    """Two-sided sign-flip permutation test that the mean of each row is zero (Fisher's randomisation test).

    Exact up to 12 speakers: its smallest value is then 2 / 2^speakers, whatever the gain.

    Args:
        values: (cells, speakers), one paired difference per speaker.

    Returns:
        (cells, 1): p values; NaN where there is only one speaker.
    """
    cells, speakers = values.shape
    if speakers < 2:
        return np.full((cells, 1), np.nan)
    if speakers <= EXACT_SPEAKERS:
        signs = np.array(list(product((1.0, -1.0), repeat=speakers)))
    else:
        flips = np.random.default_rng(SEED).integers(0, 2, size=(SAMPLED_FLIPS - 1, speakers))
        # The observed signs are one of the patterns, which keeps a sampled p value above zero.
        signs = np.vstack([np.ones(speakers), 2.0 * flips - 1])
    observed = np.abs(values.sum(axis=1, keepdims=True))
    # Sums that are equal on paper can differ in the last bits.
    reached = np.abs(values @ signs.T) >= observed - 1e-12
    return reached.mean(axis=1, keepdims=True)


def largest_start(trials: pd.DataFrame) -> str:
    """The starting point with the most corpora; among equals the one with the highest mean macro F1.

    Args:
        trials: the table of `finished`, not empty.

    Returns:
        The start's name; "none" where nothing was pre-finetuned.
    """
    means = trials.groupby("start")["macro_f1"].mean()
    return max(means.index, key=lambda start: (corpora_in(start), means[start]))


def best_start(trials: pd.DataFrame) -> str:
    """The starting point with the highest macro F1 averaged over the cells of (target, method, k).

    Args:
        trials: the table of `finished`, not empty.

    Returns:
        The start's name, which may be "none".
    """
    cells = trials.groupby(["start", "target", "method", "k"], as_index=False)["macro_f1"].mean()
    return str(cells.groupby("start")["macro_f1"].mean().idxmax())


def ordered_starts(starts: pd.Series) -> list[str]:
    """Distinct starting points: "none" first, then by number of corpora, then by name."""
    return sorted(starts.unique(), key=lambda start: (corpora_in(start), start))


def _cells(trials: pd.DataFrame, by: list[str], value: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells (mean, speakers, trials) and the speaker means behind them, both sorted by `by`."""
    grouped = trials.groupby([*by, "speaker"])[value]
    speakers = grouped.agg(["mean", "size"]).reset_index()
    speakers = speakers.rename(columns={"mean": value, "size": "trials"})
    cells = speakers.groupby(by, as_index=False).agg(
        **{value: (value, "mean"), "speakers": ("speaker", "size"), "trials": ("trials", "sum")}
    )
    return cells, speakers


def _per_cell(cells: pd.DataFrame, means: pd.Series, function: Callable[[Floats], Floats]) -> Floats:
    """Applies `function` to the (cells, speakers) matrix of each number of speakers; (cells, columns)."""
    widths = cells["speakers"].to_numpy()
    width_of_mean = np.repeat(widths, widths)
    flat = means.to_numpy(dtype=float)
    parts = {width: function(flat[width_of_mean == width].reshape(-1, width)) for width in np.unique(widths)}
    result = np.full((len(cells), next(iter(parts.values())).shape[1] if parts else 2), np.nan)
    for width, part in parts.items():
        result[widths == width] = part
    return result
