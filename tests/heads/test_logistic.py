"""Logistic regression: with a Gaussian prior of its own for each weight, and of several classes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from voicefit.heads.logistic import expit, fit_logistic, fit_softmax, log_softmax, softmax


def problem(seed, clips, width, scale=1.0):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(clips, width)) * np.sqrt(scale)
    goal, importance = generator.random(clips), generator.random(clips) + 0.05
    return points, goal, importance, generator.normal(size=width), generator.random(width) + 0.1


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 10), st.floats(0.01, 300))
@example(740, 29, 5, 141.0)  # a last step that gains little in cost is still a long way
def test_it_ends_where_the_gradient_is_zero(seed, clips, width, scale):
    points, goal, importance, mean, variance = problem(seed, clips, width, scale)
    found = fit_logistic(points, goal, importance, mean, variance)
    gradient = points.T @ (importance * (special.expit(points @ found) - goal)) + (found - mean) / variance
    assert np.abs(gradient).max() < 1e-3 * (1 + np.abs(points).max())


@pytest.mark.parametrize(("clips", "width"), [(4, 9), (40, 9)], ids=["fewer clips than weights", "more"])
def test_it_agrees_with_a_general_minimiser(clips, width):
    points, goal, importance, mean, variance = problem(0, clips, width)

    def cost(weights):
        logits = points @ weights
        losses = -goal * np.log(special.expit(logits)) - (1 - goal) * np.log(special.expit(-logits))
        return importance @ losses + ((weights - mean) ** 2 / variance).sum() / 2

    naive = minimize(cost, np.zeros(width), tol=1e-10).x
    assert fit_logistic(points, goal, importance, mean, variance) == pytest.approx(naive, abs=1e-4)


def test_without_clips_the_weights_are_their_means():
    points, goal, importance, mean, variance = problem(0, 0, 3)
    assert fit_logistic(points, goal, importance, mean, variance) == pytest.approx(mean)


# Several classes


def cloud(seed, classes, clips, width):
    """Overlapping clouds, a class for each clip (the first ones of each class in turn), and uneven importances."""
    generator = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(classes), generator.integers(classes, size=clips - classes)])
    points = generator.normal(size=(clips, width)) + generator.normal(size=(classes, width))[targets]
    return points, targets, 10 ** generator.uniform(-1, 1, size=clips)


@pytest.mark.parametrize("l2", [0.01, 1.0, 100.0])
@pytest.mark.parametrize(("clips", "width"), [(12, 40), (90, 5)], ids=["fewer clips than weights", "more"])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_several_classes_are_fitted_as_by_scikit_learn(classes, clips, width, l2):
    points, targets, importance = cloud(classes, classes, clips, width)
    model = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000, solver="newton-cg")
    model.fit(points, targets, sample_weight=importance)
    # Of two classes, scikit-learn penalises the log-odds, of which each class has half.
    weights, biases = fit_softmax(points, targets, importance, 2 * l2 if classes == 2 else l2)
    assert (weights.shape, biases.shape) == ((classes, width), (classes,))
    if classes == 2:
        found, expected = (weights[1:] - weights[:1], biases[1:] - biases[:1]), (model.coef_, model.intercept_)
    else:  # what is added to all classes alike says nothing
        found, expected = (
            (w - w.mean(axis=0), b - b.mean()) for w, b in ((weights, biases), (model.coef_, model.intercept_))
        )
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    np.testing.assert_allclose(softmax(points @ weights.T + biases), model.predict_proba(points), atol=1e-6)


@given(
    st.integers(0, 10**6),
    st.integers(2, 7),
    st.integers(0, 40),
    st.integers(1, 60),
    st.floats(0.01, 100),
    st.floats(0.1, 30),
)
def test_at_the_optimum_of_several_classes_nothing_can_be_gained(seed, classes, more, width, l2, scale):
    points, targets, importance = cloud(seed, classes, classes + more, width)
    points = scale * points
    weights, biases = fit_softmax(points, targets, importance, l2)
    gap = importance[:, None] * (softmax(points @ weights.T + biases) - np.eye(classes)[targets])
    assert np.abs(gap.T @ points + l2 * weights).max() < 1e-4 * (1 + np.abs(points).max())
    assert np.abs(gap.sum(axis=0)).max() < 1e-4


def test_softmax_and_expit_are_scipy_s_also_far_out():
    logits = np.array([[0.0, 1.0, -2.0], [800.0, -800.0, 0.0], [-1e3, -1e3, -1e3]])
    np.testing.assert_allclose(softmax(logits), special.softmax(logits, axis=1), atol=1e-15)
    np.testing.assert_allclose(log_softmax(logits), special.log_softmax(logits, axis=1))
    np.testing.assert_allclose(expit(logits), special.expit(logits), rtol=1e-12, atol=1e-300)
