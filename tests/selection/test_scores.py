import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import helmert
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from support.voices import LABELS, clouds
from voicefit.errors import VoicefitError
from voicefit.selection.scores import logme, zero_shot


def test_labels_that_lie_apart_score_higher():
    assert logme(clouds(5.0), LABELS) > logme(clouds(1.5), LABELS) > logme(clouds(0.0), LABELS)


def test_where_a_voice_lies_does_not_matter():
    features = clouds(2.0)
    assert logme(features + 30.0, LABELS) == pytest.approx(logme(features, LABELS), rel=1e-6)


@pytest.mark.parametrize("score", [logme, zero_shot])
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
