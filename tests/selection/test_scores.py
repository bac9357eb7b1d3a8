import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import helmert
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from voicefit.errors import VoicefitError
from voicefit.selection.scores import h_score, label_overlap, leep, logme, nleep, proxy_a_distance, zero_shot

LABELS = np.array(["anger", "fear", "neutral"] * 5)


def clouds(apart, size=4, labels=LABELS, seed=0):
    """Features in which each label has a place of its own, ``apart`` standard deviations from the others."""
    generator = np.random.default_rng(seed)
    places = generator.normal(size=(3, size))
    index = np.unique(labels, return_inverse=True)[1]
    return apart * places[index] + generator.normal(size=(len(labels), size))


SCORES = {"logme": logme, "h_score": h_score, "nleep": nleep}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_labels_that_lie_apart_score_higher(score):
    assert score(clouds(5.0), LABELS) > score(clouds(1.5), LABELS) > score(clouds(0.0), LABELS)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_where_a_voice_lies_does_not_matter(score):
    features = clouds(2.0)
    assert score(features + 30.0, LABELS) == pytest.approx(score(features, LABELS), rel=1e-6)


@pytest.mark.parametrize("score", [*SCORES.values(), zero_shot], ids=[*SCORES, "zero_shot"])
def test_one_label_is_refused(score):
    with pytest.raises(VoicefitError, match="clips of two labels are needed, found anger"):
        score(np.ones((3, 1)), np.array(["anger"] * 3))


@pytest.mark.parametrize("size", [2, 40])
def test_logme_is_the_greatest_evidence_of_a_gaussian_model(size):
    """Also with more dimensions than clips. By brute force: contrasts of labels have covariance σ²ffᵀ + τ²."""
    features, contrasts = clouds(1.0, size), helmert(len(LABELS))

    def evidence(truth):
        def minus(logs):
            spread = contrasts @ features
            covariance = np.exp(logs[0]) * spread @ spread.T + np.exp(logs[1]) * np.eye(len(truth))
            return -multivariate_normal.logpdf(truth, cov=covariance)

        return -min(minimize(minus, start, method="Nelder-Mead").fun for start in ([-3, -1], [-6, -2]))

    best = [evidence(contrasts @ (name == LABELS)) for name in np.unique(LABELS)]
    assert logme(features, LABELS) == pytest.approx(np.mean(best) / len(contrasts), abs=0.005)


def test_h_score_of_many_clips_is_its_definition():
    labels = np.repeat(["anger", "fear", "neutral"], 2000)
    features = clouds(1.0, labels=labels)
    means = np.array([features[labels == label].mean(axis=0) for label in labels])
    plain = np.trace(np.linalg.inv(np.cov(features.T, bias=True)) @ np.cov(means.T, bias=True))
    assert h_score(features, labels) == pytest.approx(plain, rel=0.01)


def test_h_score_tells_corpora_apart_where_there_are_fewer_clips_than_dimensions():
    """Without shrinkage it would be 2, the labels less one, for both."""
    assert h_score(clouds(3.0, 60), LABELS) > h_score(clouds(0.1, 60), LABELS) + 0.5


def test_leep_by_hand():
    """P(a|1) = 1.6/2.2, P(a|2) = 0.4/1.8, so that each clip's own label has probability 0.8·8/11 + 0.2·2/9 = 62/99."""
    answers = np.array([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7], [0.3, 0.7]])
    first = 0.8 * 1.6 / 2.2 + 0.2 * 0.4 / 1.8
    second = 0.3 * 0.6 / 2.2 + 0.7 * 1.4 / 1.8
    assert leep(answers, np.array(["a", "a", "b", "b"])) == pytest.approx((np.log(first) + np.log(second)) / 2)


def test_leep_of_answers_that_say_nothing_is_the_entropy_of_the_labels():
    shares = np.array([0.5, 0.25, 0.25])
    labels = np.array(["a", "a", "b", "c"])
    assert leep(np.full((4, 3), 1 / 3), labels) == pytest.approx((shares * np.log(shares)).sum())


def test_leep_of_answers_that_are_the_labels_under_other_names_is_0():
    index = np.unique(LABELS, return_inverse=True)[1]
    assert leep(np.eye(4)[index], LABELS) == pytest.approx(0)


def test_nleep_of_clusters_that_are_the_labels_is_0():
    assert nleep(clouds(50.0), LABELS) == pytest.approx(0, abs=1e-6)


def test_zero_shot_of_heads_that_know_nothing_is_a_guess():
    assert zero_shot(np.zeros((15, 3)), LABELS) == pytest.approx(-np.log(3))


def test_zero_shot_by_hand():
    """Centred, the first column is ±1 and the second 0: the true label has odds e : 1."""
    log_odds = np.array([[7.0, 4.0], [5.0, 4.0]])
    assert zero_shot(log_odds, np.array(["anger", "fear"])) == pytest.approx(-np.log1p(np.exp(-1)))


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_zero_shot_does_not_see_what_shifts_all_clips_alike(shift):
    log_odds = clouds(1.0, size=3)
    assert zero_shot(log_odds + shift, LABELS) == pytest.approx(zero_shot(log_odds, LABELS))


def test_label_overlap_is_the_share_of_the_targets_labels():
    assert label_overlap(["anger", "calm", "fear"], ["anger", "anger", "fear", "joy", "upset"]) == 0.5


def test_a_distance_is_0_for_clips_of_one_kind_and_2_for_clips_that_never_mix():
    generator = np.random.default_rng(0)
    corpus, voice = generator.normal(size=(600, 5)), generator.normal(size=(300, 5))
    assert abs(proxy_a_distance(corpus, voice)) < 0.4
    assert proxy_a_distance(corpus, voice[:12] + 30) == 2
