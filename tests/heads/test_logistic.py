"""Logistic regression with a Gaussian prior of its own for each weight."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from voicefit.heads.logistic import fit_logistic


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
    gradient = points.T @ (importance * (expit(points @ found) - goal)) + (found - mean) / variance
    assert np.abs(gradient).max() < 1e-3 * (1 + np.abs(points).max())


@pytest.mark.parametrize(("clips", "width"), [(4, 9), (40, 9)], ids=["fewer clips than weights", "more"])
def test_it_agrees_with_a_general_minimiser(clips, width):
    points, goal, importance, mean, variance = problem(0, clips, width)

    def cost(weights):
        logits = points @ weights
        losses = -goal * np.log(expit(logits)) - (1 - goal) * np.log(expit(-logits))
        return importance @ losses + ((weights - mean) ** 2 / variance).sum() / 2

    naive = minimize(cost, np.zeros(width), tol=1e-10).x
    assert fit_logistic(points, goal, importance, mean, variance) == pytest.approx(naive, abs=1e-4)


def test_without_clips_the_weights_are_their_means():
    points, goal, importance, mean, variance = problem(0, 0, 3)
    assert fit_logistic(points, goal, importance, mean, variance) == pytest.approx(mean)
