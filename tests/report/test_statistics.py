"""Means, intervals and tests against hand-worked cases and naive implementations."""

import gc
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from support.synthetic_runs import row, table
from voicefit.report.statistics import (
    best_start,
    cell_means,
    corpora_in,
    failed_rows,
    finished,
    gain_cells,
    holm,
    largest_start,
    ordered_starts,
    pair,
    sign_flip_p,
)


def test_trials_are_averaged_within_a_speaker_first():
    trials = table(
        row(speaker="a", draw=0, macro_f1=0.2),
        row(speaker="a", draw=1, macro_f1=0.4),
        row(speaker="a", draw=2, macro_f1=0.6),
        row(speaker="b", draw=0, macro_f1=0.8),
    )

    cell = cell_means(finished(trials), ["start", "k"]).iloc[0]

    # Speaker means 0.4 and 0.8; the mean of the four trials would be 0.5.
    assert cell["macro_f1"] == pytest.approx(0.6)
    assert (cell["speakers"], cell["trials"]) == (2, 4)


def test_one_speaker_has_no_interval_and_no_p():
    cell = cell_means(finished(table(row(speaker="a"))), ["start"]).iloc[0]

    assert np.isnan(cell["low"]) and np.isnan(cell["high"])
    assert np.isnan(sign_flip_p(np.array([[0.1]]))).all()


def test_cells_of_different_numbers_of_speakers_keep_their_own_intervals():
    trials = table(
        *(row(k=2, speaker=s, macro_f1=f) for s, f in zip("abc", (0.1, 0.2, 0.3), strict=True)),
        row(k=4, speaker="a", macro_f1=0.9),
        *(row(k=8, speaker=s, macro_f1=f) for s, f in zip("ab", (0.5, 0.7), strict=True)),
    )

    cells = cell_means(finished(trials), ["k"]).set_index("k")

    assert cells["speakers"].tolist() == [3, 1, 2]
    assert cells["macro_f1"].tolist() == pytest.approx([0.2, 0.9, 0.6])
    assert 0.1 <= cells.loc[2, "low"] < 0.2 < cells.loc[2, "high"] <= 0.3
    assert cells.loc[4, ["low", "high"]].isna().all()
    assert cells.loc[8, ["low", "high"]].tolist() == pytest.approx([0.5, 0.7])


def test_sign_flip_is_exact():
    # All three gains are positive: of 8 sign patterns only +++ and --- reach the observed sum.
    assert sign_flip_p(np.array([[0.1, 0.2, 0.3]])).item() == 0.25
    # 0.1 + 0.2 - 0.3 = 0 is reached by every pattern.
    assert sign_flip_p(np.array([[0.1, 0.2, -0.3]])).item() == 1.0


@pytest.mark.parametrize("speakers", [2, 5, 9])
def test_sign_flip_equals_a_naive_enumeration(speakers):
    gains = np.random.default_rng(speakers).normal(0.05, 0.1, speakers)
    reached = [
        abs(sum(s * g for s, g in zip(signs, gains, strict=True))) >= abs(sum(gains)) - 1e-12
        for signs in itertools.product((1, -1), repeat=speakers)
    ]

    assert sign_flip_p(gains[None]).item() == pytest.approx(np.mean(reached))


def test_effect_t_test_and_contests_of_a_gain():
    gains = {("a", "anger"): 0.1, ("a", "fear"): 0.3, ("b", "anger"): 0.2, ("b", "fear"): -0.1, ("c", "anger"): 0.0}
    trials = table(
        *(row(start="none", speaker=s, label=e, macro_f1=0.5) for s, e in gains),
        *(row(start="tess", speaker=s, label=e, macro_f1=0.5 + gain) for (s, e), gain in gains.items()),
    )

    cell = gain_cells(pair(finished(trials)), ["start"]).iloc[0]

    speakers = [0.2, 0.05, 0.0]
    assert cell["gain"] == pytest.approx(np.mean(speakers))
    assert cell["effect"] == pytest.approx(np.mean(speakers) / np.std(speakers, ddof=1))
    assert cell["p_t"] == pytest.approx(stats.ttest_1samp(speakers, 0).pvalue)
    assert (cell["wins"], cell["ties"], cell["losses"]) == (3, 1, 1)


def test_holm_by_hand():
    # Sorted: 0.01 × 3, 0.02 × 2 (not below the one before), 0.03 × 1 (likewise); what is unknown is not counted.
    assert holm(pd.Series([0.02, np.nan, 0.01, 0.03])).tolist() == pytest.approx(
        [0.04, np.nan, 0.03, 0.04], nan_ok=True
    )


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_agrees_with_statsmodels(p):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)  # statsmodels collects all garbage at each call
        reference = multipletests(p, method="holm")[1] if p else []

    assert holm(pd.Series(p, dtype=float)).tolist() == pytest.approx(list(reference))


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_agrees_with_its_definition(p):
    """The largest, over those that are no larger, of p times how many are no smaller; at most 1."""
    order = sorted(range(len(p)), key=p.__getitem__)
    expected = [0.0] * len(p)
    for rank, index in enumerate(order):
        expected[index] = min(1, max((len(p) - above) * p[order[above]] for above in range(rank + 1)))

    assert holm(pd.Series(p, dtype=float)).tolist() == pytest.approx(expected)


def test_methods_are_paired_like_starting_points():
    trials = table(
        row(method="head", speaker="a", macro_f1=0.5),
        row(method="prior", speaker="a", macro_f1=0.6),
        row(method="prior", speaker="b", macro_f1=0.9),
        row(method="full", speaker="a", macro_f1=0.4),
    )

    paired = pair(finished(trials), "method", "prior").set_index("method")

    assert paired["gain"].to_dict() == pytest.approx({"head": -0.1, "full": -0.2})
    assert paired["base"].tolist() == [0.6, 0.6]


def test_sampled_sign_flip_is_never_zero():
    assert sign_flip_p(np.full((1, 20), 0.1)).item() == pytest.approx(1 / 10_000, abs=1e-3)
    assert sign_flip_p(np.full((1, 20), 0.1)).item() > 0


def test_gain_pairs_the_same_clips_and_leaves_out_the_rest():
    trials = table(
        row(start="none", speaker="a", draw=0, macro_f1=0.50),
        row(start="none", speaker="a", draw=1, macro_f1=0.60),
        row(start="none", speaker="b", draw=0, macro_f1=0.40),
        row(start="tess", speaker="a", draw=0, macro_f1=0.60),
        row(start="tess", speaker="a", draw=1, macro_f1=0.80),
        row(start="tess", speaker="b", draw=0, macro_f1=0.45),
        row(start="tess", speaker="b", draw=1, macro_f1=0.99),
    )

    cell = gain_cells(pair(finished(trials)), ["start", "k"]).iloc[0]

    # a: (0.1 + 0.2) / 2 = 0.15; b: 0.05, its second draw has no partner.
    assert cell["gain"] == pytest.approx(0.10)
    assert (cell["low"], cell["high"]) == pytest.approx((0.05, 0.175), abs=0.026)
    assert (cell["base"], cell["macro_f1"]) == pytest.approx((0.475, 0.575))
    assert cell["p"] == 0.5
    assert (cell["speakers"], cell["trials"]) == (2, 3)


@pytest.mark.parametrize("column", ["target", "method", "speaker", "label", "k", "draw", "encoder", "protocol"])
def test_trials_that_differ_in_anything_else_are_no_pair(column):
    other = {"k": 4, "draw": 1}.get(column, "other")

    assert pair(finished(table(row(start="none"), row(start="tess", **{column: other})))).empty


def test_repeats_of_a_pairing_are_averaged():
    trials = table(
        row(start="none", seed=0, macro_f1=0.4),
        row(start="none", seed=1, macro_f1=0.6),
        row(start="tess", seed=0, macro_f1=0.7),
    )

    assert pair(finished(trials))["gain"].tolist() == pytest.approx([0.2])


def test_failures_are_rows_with_an_error_or_no_score():
    trials = table(row(), row(error="boom", macro_f1=np.nan), row(macro_f1=np.nan), row(error=""))

    assert failed_rows(trials).tolist() == [False, True, True, False]
    assert len(finished(trials)) == 2
    assert "corpora" not in trials


def test_number_of_corpora():
    assert [corpora_in(start) for start in ("none", "tess", "ravdess+tess")] == [0, 1, 2]


def test_the_largest_start_is_chosen_by_size_then_by_score():
    trials = finished(
        table(
            row(start="none", macro_f1=0.99),
            row(start="a+b", macro_f1=0.5),
            row(start="a+c", macro_f1=0.6),
            row(start="a", macro_f1=0.7),
        )
    )

    assert largest_start(trials) == "a+c"
    assert best_start(trials) == "none"
    assert ordered_starts(trials["start"]) == ["none", "a", "a+b", "a+c"]


def test_input_is_left_alone():
    trials = table(row(start="none"), row(start="tess"))
    before = trials.copy(deep=True)

    gain_cells(pair(finished(trials)), ["start"])

    pd.testing.assert_frame_equal(trials, before)
