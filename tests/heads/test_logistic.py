"""Logistic regression: with a Gaussian prior of its own for each weight, and of several classes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from voicefit.heads.logistic import expit, fit_logistic, fit_softmax, log_softmax, softmax


def fit_one(points, goal, importance, mean, variance):
    """Fit one problem, in which the last weight is the bias: that of a column of ones."""
    parts = mean[None, None, :-1], variance[:-1], mean[None, None, -1], variance[-1]
    weights, biases = fit_logistic(points[None, :, :-1], goal[None, None], importance[None], *parts)
    return np.append(weights[0, 0], biases[0, 0])


def problem(seed, clips, width, scale=1.0):
    generator = np.random.default_rng(seed)
    points = np.hstack([generator.normal(size=(clips, width - 1)) * np.sqrt(scale), np.ones((clips, 1))])
    goal, importance = generator.random(clips), generator.random(clips) + 0.05
    return points, goal, importance, generator.normal(size=width), generator.random(width) + 0.1


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 10), st.floats(0.01, 300))
@example(740, 29, 5, 141.0)  # a last step that gains little in cost is still a long way
def test_it_ends_where_the_gradient_is_zero(seed, clips, width, scale):
    points, goal, importance, mean, variance = problem(seed, clips, width, scale)
    found = fit_one(points, goal, importance, mean, variance)
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
    assert fit_one(points, goal, importance, mean, variance) == pytest.approx(naive, abs=1e-4)


def test_without_clips_the_weights_are_their_means():
    points, goal, importance, mean, variance = problem(0, 0, 3)
    assert fit_one(points, goal, importance, mean, variance) == pytest.approx(mean)


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
    penalty = 2 * l2 if classes == 2 else l2
    (weights,), (biases,) = fit_softmax(points[None], targets[None], importance[None], penalty)
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
    (weights,), (biases,) = fit_softmax(points[None], targets[None], importance[None], l2)
    gap = importance[:, None] * (softmax(points @ weights.T + biases) - np.eye(classes)[targets])
    assert np.abs(gap.T @ points + l2 * weights).max() < 1e-4 * (1 + np.abs(points).max())
    assert np.abs(gap.sum(axis=0)).max() < 1e-4


# Many at once


@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 12), st.integers(1, 3))
def test_a_fit_does_not_depend_on_those_beside_it(seed, clips, width, fits):
    generator = np.random.default_rng(seed)
    points, importance = generator.normal(size=(5, clips, width)), generator.random((5, clips)) + 0.05
    points *= 10 ** generator.uniform(-1, 1, size=(5, 1, 1))  # some end long before others
    goal, mean = generator.random((5, fits, clips)), generator.normal(size=(5, fits, width))
    bias, variance = generator.normal(size=(5, fits)), generator.random(width) + 0.1
    together = fit_logistic(points, goal, importance, mean, variance, bias, 2.0)
    for place in range(5):
        own = slice(place, place + 1)
        alone = fit_logistic(points[own], goal[own], importance[own], mean[own], variance, bias[own], 2.0)
        for found, expected in zip(together, alone, strict=True):
            np.testing.assert_allclose(found[own], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.slow(2)
@given(st.integers(0, 10**6), st.integers(3, 6), st.integers(0, 12), st.integers(1, 20))
def test_a_fit_of_several_classes_does_not_depend_on_those_beside_it(seed, classes, more, width):
    parts = [cloud(seed + place, classes, classes + more, width) for place in range(4)]
    points, targets, importance = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    points = points * np.array([0.1, 1, 5, 20])[:, None, None]
    together = fit_softmax(points, targets, importance, 1.0)
    for place in range(4):
        own = slice(place, place + 1)
        for found, expected in zip(together, fit_softmax(points[own], targets[own], importance[own], 1.0), strict=True):
            np.testing.assert_allclose(found[own], expected, rtol=1e-10, atol=1e-10)


def test_a_free_bias_is_that_of_scikit_learn():
    points, targets, importance = cloud(1, 2, 12, 4)
    weights, biases = fit_logistic(
        points[None],
        targets[None, None].astype(float),
        importance[None],
        np.zeros((1, 1, 4)),
        np.full(4, 2.0),
        np.zeros((1, 1)),
        np.inf,
    )
    model = LogisticRegression(C=2, tol=1e-12, max_iter=10_000).fit(points, targets, sample_weight=importance)
    np.testing.assert_allclose(weights[0], model.coef_, atol=1e-5)
    np.testing.assert_allclose(biases[0], model.intercept_, atol=1e-5)


def test_softmax_and_expit_are_scipy_s_also_far_out():
    logits = np.array([[0.0, 1.0, -2.0], [800.0, -800.0, 0.0], [-1e3, -1e3, -1e3]])
    np.testing.assert_allclose(softmax(logits), special.softmax(logits, axis=1), atol=1e-15)
    np.testing.assert_allclose(log_softmax(logits), special.log_softmax(logits, axis=1))
    np.testing.assert_allclose(expit(logits), special.expit(logits), rtol=1e-12, atol=1e-300)
