"""Means, intervals and paired tests of a sweep's trials.

The unit of inference is the speaker, since the question is how a method works on the next voice. Trials are first
averaged within each speaker, every speaker has the same weight, and the tests flip speakers.
Every function takes the trials as a table (one row a trial) and returns a table (one row a cell); none of them
changes its input.
"""

from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t as t_distribution

from voicefit.report.bootstrap import bootstrap_intervals

NO_START = "none"
"""The starting point without pre-finetuning has this name."""

SEED = 20230212
"""The seed of sampled sign patterns: the same trials give the same p values."""

ALPHA = 0.05
"""A difference is significant if its p value, after correction, is below this."""

EXACT_SPEAKERS = 12
"""With more speakers than this, the exact test's 2^n sign patterns are sampled, not enumerated."""

SAMPLED_FLIPS = 10_000
"""So many sign patterns are sampled."""

PAIRED_BY = ["encoder", "protocol", "task", "target", "start", "method", "speaker", "label", "k", "draw"]
"""These columns identify a trial; two trials are paired if they agree in all but one of them."""

TIE = 1e-9
"""Smaller differences are a tie: equal means of macro F1 can differ in the last bits."""

Floats = npt.NDArray[np.float64]
"""An array of floats; each function states its shape."""


def failed_rows(trials: pd.DataFrame) -> pd.Series:
    """Mark the trials that ended in an error or without a score.

    Args:
        trials: one row a trial, with at least `error` and `macro_f1`.

    Returns:
        A Boolean series on the index of `trials`.
    """
    error = trials["error"].fillna("").astype(str).str.len() > 0
    return error | trials["macro_f1"].isna()


def finished(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that have a score, with a column `corpora`, the number of corpora of the start.

    Args:
        trials: one row a trial.

    Returns:
        A copy without the failed rows.
    """
    scored = trials[~failed_rows(trials)].copy()
    scored["corpora"] = scored["start"].map(corpora_in).astype("int64")
    return scored


def corpora_in(start: str) -> int:
    """Return the number of corpora behind a starting point: 0 for "none", 2 for "ravdess+tess"."""
    return 0 if start == NO_START else start.count("+") + 1


def cell_means(trials: pd.DataFrame, by: list[str], value: str = "macro_f1") -> pd.DataFrame:
    """Average a score in each cell and put an interval around it.

    Trials are averaged within a speaker first, so a speaker with more trials has no more weight. A trial without this
    score (NaN) is left out, and so is a cell that has none: nothing is averaged or tested that is not there.

    Args:
        trials: one row a trial, without failures; speaker names must be unique within a cell.
        by: the columns that make a cell.
        value: the column to average.

    Returns:
        One row a cell, sorted by `by`: those columns, `value`, `low`, `high` (95 %, see
        `bootstrap.bootstrap_intervals`; NaN for one speaker), `speakers`, `trials`.
    """
    trials = _with(trials, value)
    cells = (
        _speaker_means(trials, by, value)
        .groupby(by, as_index=False)
        .agg(**{value: (value, "mean"), "speakers": ("speaker", "size"), "trials": ("trials", "sum")})
    )
    cells[["low", "high"]] = bootstrap_intervals(trials, by, value)
    return cells[[*by, value, "low", "high", "speakers", "trials"]]


def pair(trials: pd.DataFrame, column: str = "start", reference: str = NO_START) -> pd.DataFrame:
    """Pair each trial with the one that differs from it in one column only.

    Args:
        trials: one row a trial, without failures.
        column: "start" or "method".
        reference: its value in the partners; left out, the trial of the same method on the same clips with no
            pre-finetuning.

    Returns:
        One row for each trial that has a partner: the columns of `PAIRED_BY`, `macro_f1`, `base` (the partner's
        macro F1), `gain` (the difference) and `corpora`. Repeats of one pairing (other seeds) are averaged before
        they are paired.
    """
    repeats = trials.groupby(PAIRED_BY, as_index=False)["macro_f1"].mean()
    is_partner = repeats[column] == reference
    partners = repeats[is_partner].drop(columns=column).rename(columns={"macro_f1": "base"})
    same = [name for name in PAIRED_BY if name != column]
    paired = repeats[~is_partner].merge(partners, on=same, validate="many_to_one")
    paired["gain"] = paired["macro_f1"] - paired["base"]
    paired["corpora"] = paired["start"].map(corpora_in).astype("int64")
    return paired


def tested_means(trials: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return the cells of `cell_means` with tests that the mean over speakers is zero.

    Args:
        trials: as for `cell_means`.
        by: the columns that make a cell.
        value: the column to average; differences.

    Returns:
        The columns of `cell_means`, and: `p` (two-sided sign-flip test over speakers, exact but never below
        2 / 2^speakers); `p_t` (t-test over speakers); `effect` (the mean divided by its standard deviation over
        speakers: Cohen's d_z, Lakens 2013, equation 6; NaN for one speaker or no deviation).
    """
    trials = _with(trials, value)
    cells = cell_means(trials, by, value)
    means = _speaker_means(trials, by, value)
    cells["p"] = _p_values(means[value], cells["speakers"])
    spread = means.groupby(by)[value].std().to_numpy()
    cells["effect"] = cells[value] / np.where(spread > TIE, spread, np.nan)
    cells["p_t"] = t_test_p(cells["effect"], cells["speakers"])
    return cells


def gain_cells(paired: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Average paired gains in each cell, with an interval, an exact test over speakers and an effect size.

    Args:
        paired: the table of `pair`.
        by: the columns that make a cell.

    Returns:
        One row a cell, sorted by `by`: those columns; `gain`, `low`, `high`, `p`, `p_t`, `effect` (see
        `tested_means`); `holm` (`p_t` corrected for the number of rows); `wins`, `ties`, `losses` (over speakers ×
        labels, means over draws); `base`, `base_low`, `base_high`, `macro_f1`, `macro_f1_low`, `macro_f1_high`,
        `speakers`, `trials`. All three means are over the same pairs, so `gain` equals `macro_f1 - base`.
    """
    paired = _with(paired, "gain")
    cells = tested_means(paired, by, "gain")
    cells["holm"] = holm(cells["p_t"])
    contests = paired.groupby([*by, "speaker", "label"], as_index=False)["gain"].mean()
    outcomes = contests.assign(
        wins=contests["gain"] > TIE, ties=contests["gain"].abs() <= TIE, losses=contests["gain"] < -TIE
    )
    cells[["wins", "ties", "losses"]] = outcomes.groupby(by)[["wins", "ties", "losses"]].sum().to_numpy()
    for value in ("base", "macro_f1"):
        cells[[value, f"{value}_low", f"{value}_high"]] = cell_means(paired, by, value)[[value, "low", "high"]]
    tests = ["gain", "low", "high", "p", "p_t", "holm", "effect", "wins", "ties", "losses"]
    sides = ["base", "base_low", "base_high", "macro_f1", "macro_f1_low", "macro_f1_high"]
    return cells[[*by, *tests, *sides, "speakers", "trials"]]


def t_test_p(effect: pd.Series, speakers: pd.Series) -> Floats:
    """Run the two-sided one-sample t-test that a mean over speakers is zero.

    Args:
        effect: (cells,), means divided by their standard deviation over speakers.
        speakers: (cells,), the number of speakers.

    Returns:
        (cells,); NaN for one speaker or no deviation.
    """
    return 2 * t_distribution.sf(np.abs(effect) * np.sqrt(speakers), np.maximum(speakers - 1, 1))


def holm(p: pd.Series) -> Floats:
    """Correct p values for their number (Holm 1979); NaN stays NaN and is not counted.

    Args:
        p: (tests,), from 0 to 1.

    Returns:
        (tests,).
    """
    present = p.notna().to_numpy()
    corrected = np.full(len(p), np.nan)
    # statsmodels has this too, but collects garbage at each call, which takes longer than the rest of a table.
    order = np.argsort(p[present].to_numpy())
    steps = p[present].to_numpy()[order] * np.arange(len(order), 0, -1)
    corrected[np.flatnonzero(present)[order]] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def sign_flip_p(values: Floats) -> Floats:
    """Run the two-sided sign-flip test that the mean of each row is zero (Fisher's randomisation test).

    It is exact up to 12 speakers: its smallest value is then 2 / 2^speakers, for any gain.

    Args:
        values: (cells, speakers), one paired difference per speaker.

    Returns:
        (cells, 1): p values; NaN for a single speaker, and where a difference is missing: comparisons with NaN are
        false, which would make it the smallest p of all.
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
    # Equal sums can differ in the last bits.
    reached = np.abs(values @ signs.T) >= observed - 1e-12
    return np.where(np.isnan(observed), np.nan, reached.mean(axis=1, keepdims=True))


def largest_start(trials: pd.DataFrame) -> str:
    """Return the starting point with the most corpora; among equals the one with the highest mean macro F1.

    Args:
        trials: the table of `finished`, not empty.

    Returns:
        The start's name; "none" if nothing was pre-finetuned.
    """
    means = trials.groupby("start")["macro_f1"].mean()
    return max(means.index, key=lambda start: (corpora_in(start), means[start]))


def best_start(trials: pd.DataFrame) -> str:
    """Return the starting point with the highest macro F1 averaged over the cells of (target, method, k).

    Args:
        trials: the table of `finished`, not empty.

    Returns:
        The start's name, which may be "none".
    """
    cells = trials.groupby(["start", "target", "method", "k"], as_index=False)["macro_f1"].mean()
    return str(cells.groupby("start")["macro_f1"].mean().idxmax())


def ordered_starts(starts: pd.Series) -> list[str]:
    """Return distinct starting points: "none" first, then by number of corpora, then by name."""
    return sorted(starts.unique(), key=lambda start: (corpora_in(start), start))


def smallest_p(speakers: int) -> float:
    """Return the smallest p value that the sign-flip test over so many speakers can have."""
    return max(2 / 2**speakers, 1 / SAMPLED_FLIPS)


def _with(trials: pd.DataFrame, value: str) -> pd.DataFrame:
    return trials[trials[value].notna()]


def _speaker_means(trials: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return each speaker's mean in each cell and its number of `trials`, sorted by `by` and speaker."""
    groups = trials.groupby([*by, "speaker"])
    return groups.agg(**{value: (value, "mean"), "trials": (value, "size")}).reset_index()


def _p_values(means: pd.Series, speakers: pd.Series) -> Floats:
    """Return `sign_flip_p` of each cell; the speakers' means of the cells follow each other in `means`."""
    cells = np.split(means.to_numpy(dtype=float), np.cumsum(speakers)[:-1])
    p = np.full(len(speakers), np.nan)
    for rows in speakers.groupby(speakers).indices.values():
        p[rows] = sign_flip_p(np.stack([cells[row] for row in rows]))[:, 0]
    return p
