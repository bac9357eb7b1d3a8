"""Hierarchical resamples against a naive implementation, scipy and hand-worked cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from support.synthetic_runs import row, table
from voicefit.report.bootstrap import RESAMPLES, _weights, bootstrap_intervals, resampled_means

RAGGED = (((0.1, 0.3), (0.9,)), ((0.5, 0.6, 0.2),), ((0.4,), (0.8, 0.7), (0.0, 0.2)))
"""Scores of three speakers, emotion by emotion."""


def rows_of(speakers, **changes):
    return [
        row(speaker=str(s), label=str(e), draw=d, macro_f1=score, **changes)
        for s, emotions in enumerate(speakers)
        for e, draws in enumerate(emotions)
        for d, score in enumerate(draws)
    ]


def naive_mean(speakers, generator):
    """One resample by loops: speakers, then their emotions, then the emotions' draws."""
    means = []
    for _ in speakers:
        emotions = speakers[generator.integers(len(speakers))]
        scores = []
        for _ in emotions:
            draws = emotions[generator.integers(len(emotions))]
            scores += [draws[generator.integers(len(draws))] for _ in draws]
        means.append(np.mean(scores))
    return np.mean(means)


def test_the_resamples_are_those_of_a_naive_implementation():
    generator = np.random.default_rng(0)
    naive = np.array([naive_mean(RAGGED, generator) for _ in range(4000)])
    shape = tuple(tuple(len(draws) for draws in emotions) for emotions in RAGGED)
    scores = np.array([[score for emotions in RAGGED for draws in emotions for score in draws]])

    means = resampled_means(scores, shape)[0]

    assert means.shape == (RESAMPLES,)
    assert stats.ks_2samp(naive, means).pvalue > 0.01
    low, high = bootstrap_intervals(table(*rows_of(RAGGED)), ["start"], "macro_f1")[0]
    assert (low, high) == pytest.approx(tuple(np.percentile(naive, [2.5, 97.5])), abs=0.02)


def test_speakers_with_one_score_each_agree_with_scipy():
    values = np.random.default_rng(1).normal(0.6, 0.1, 10)
    made = [row(speaker=str(i), macro_f1=value) for i, value in enumerate(values)]
    reference = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=2)

    interval = bootstrap_intervals(table(*made), ["start"], "macro_f1")[0]

    assert interval == pytest.approx(list(reference.confidence_interval), abs=0.006)


def test_the_interval_of_two_speakers_spans_both():
    # A quarter of the resamples is twice the lower speaker, a quarter twice the higher.
    trials = table(row(speaker="a", macro_f1=0.4), row(speaker="b", macro_f1=0.8))

    assert bootstrap_intervals(trials, ["start"], "macro_f1").tolist() == [[0.4, 0.8]]


def test_speakers_that_are_alike_still_differ_in_what_they_were_given():
    # Both speakers have the mean 0.5; resampling speakers alone would call it certain.
    alike = ((0.2, 0.8), (0.5,)), ((0.3, 0.7), (0.5,))

    low, high = bootstrap_intervals(table(*rows_of(alike)), ["start"], "macro_f1")[0]

    assert low < 0.4 and high > 0.6


def test_one_speaker_has_no_interval():
    assert np.isnan(bootstrap_intervals(table(row(speaker="a")), ["start"], "macro_f1")).all()


def test_starting_points_of_one_cell_share_their_draws():
    once = table(*rows_of(RAGGED))
    twice = table(*rows_of(RAGGED, start="a"), *rows_of(RAGGED, start="b"))

    assert (
        bootstrap_intervals(once, ["k"], "macro_f1").tolist() == bootstrap_intervals(twice, ["k"], "macro_f1").tolist()
    )


def test_cells_of_different_shapes_keep_their_own_intervals():
    small = ((0.4,),), ((0.8,),)
    both = table(*rows_of(RAGGED, k=2), *rows_of(small, k=4), *rows_of(small[:1], k=8))

    intervals = bootstrap_intervals(both, ["k"], "macro_f1")

    assert intervals[0].tolist() == bootstrap_intervals(table(*rows_of(RAGGED)), ["k"], "macro_f1")[0].tolist()
    assert intervals[1].tolist() == [0.4, 0.8]
    assert np.isnan(intervals[2]).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), min_size=1, max_size=5).map(tuple))
def test_every_resample_weighs_speakers_alike(shape):
    weights = _weights(shape, 20, np.random.default_rng(0))
    by_speaker = np.add.reduceat(weights, np.cumsum([0, *map(sum, shape)])[:-1], axis=1)

    assert weights.shape == (20, sum(map(sum, shape)))
    assert weights.sum(axis=1) == pytest.approx(np.ones(20))
    # A speaker weighs as often as picked, in units of one pick.
    assert by_speaker * len(shape) == pytest.approx(np.round(by_speaker * len(shape)))
