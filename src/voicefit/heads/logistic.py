"""Logistic regression in numpy: of two classes under a Gaussian prior of each weight, and of several classes."""

from collections.abc import Callable

import numpy as np

_ROUNDS = 50

_GRADIENT = 1e-7
"""At the optimum of :func:`fit_softmax`, no derivative is larger than this; clips count about 1 each."""


def expit(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logits))."""
    return np.exp(-np.logaddexp(0, -logits))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of :func:`softmax`."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities ``(clips, classes)`` of logits; rows add up to 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fit_logistic(
    points: np.ndarray, goal: np.ndarray, importance: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Return the weights with the highest posterior probability, ``(w,)``.

    They minimise Σ importance · cross-entropy + Σ (weights − mean)² / 2 variance, by Newton's method (Rasmussen &
    Williams 2006, "Gaussian Processes for Machine Learning", algorithm 3.1); steps that overshoot are halved.

    Args:
        points: ``(clips, w)``; a column of ones makes its weight a bias.
        goal: 0 … 1, the probability of the class for each clip, ``(clips,)``.
        importance: how many clips each clip counts as, ``(clips,)``.
        mean: of the weights before any clip, ``(w,)``.
        variance: likewise, ``(w,)``, positive.
    """

    def cost(change: np.ndarray) -> float:
        logits = points @ (mean + change)
        return float(change @ (change / variance) / 2 + importance @ (np.logaddexp(0, logits) - goal * logits))

    change = np.zeros_like(mean)  # of the weights against their mean
    value = cost(change)
    for _ in range(_ROUNDS):
        step = _newton_goal(points, goal, importance, mean, variance, change) - change
        length, new = 1.0, cost(change + step)
        while new > value and length > 1e-4:
            length /= 2
            new = cost(change + length * step)
        gain = value - new
        if gain > 0:
            change, value = change + length * step, new
        if gain < 1e-8 * (1 + abs(value)):
            break
    return mean + change


def _newton_goal(
    points: np.ndarray,
    goal: np.ndarray,
    importance: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    change: np.ndarray,
) -> np.ndarray:
    """Return where a full Newton step leads, by the smaller of two systems of equations: over clips or over weights."""
    chance = expit(points @ (mean + change))
    curve = np.maximum(importance * chance * (1 - chance), 1e-8)
    target = points @ change + importance * (goal - chance) / curve
    if len(points) < len(mean):
        kernel = (points * variance) @ points.T
        return variance * (points.T @ np.linalg.solve(kernel + np.diag(1 / curve), target))
    precision = (points * curve[:, None]).T @ points + np.diag(1 / variance)
    return np.linalg.solve(precision, points.T @ (curve * target))


def fit_softmax(
    points: np.ndarray, targets: np.ndarray, importance: np.ndarray, l2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights ``(classes, d)`` and biases ``(classes,)`` of multinomial logistic regression.

    They minimise Σ importance · cross-entropy + l2 / 2 · ‖weights‖², by Newton's method with conjugate gradients
    (Nocedal & Wright 2006, "Numerical Optimization", section 7.1); steps that overshoot are halved.

    Args:
        points: ``(clips, d)``.
        targets: the class of each clip, ``(clips,)``; every class has a clip.
        importance: how many clips each clip counts as, ``(clips,)``.
        l2: the penalty, positive; biases are free.
    """
    points = np.hstack([points, np.ones((len(points), 1))])
    own = targets[:, None] == np.arange(targets.max() + 1)
    penalty = np.append(np.full(points.shape[1] - 1, l2), 0.0)
    importance = importance[:, None]

    def cost(weights: np.ndarray) -> float:
        surprise = -log_softmax(points @ weights.T)[own]
        return float(importance[:, 0] @ surprise + (penalty * weights**2).sum() / 2)

    weights = np.zeros((own.shape[1], points.shape[1]))
    value = cost(weights)
    for _ in range(_ROUNDS):
        chances = softmax(points @ weights.T)
        gradient = (importance * (chances - own)).T @ points + penalty * weights
        if np.abs(gradient).max() < _GRADIENT:
            break
        step = _newton_step(points, chances, importance, penalty, gradient)
        length, new = 1.0, cost(weights + step)
        while new > value and length > 1e-4:
            length /= 2
            new = cost(weights + length * step)
        if new > value:
            break
        weights, value = weights + length * step, new
    return weights[:, :-1], weights[:, -1]


def _newton_step(
    points: np.ndarray, chances: np.ndarray, importance: np.ndarray, penalty: np.ndarray, gradient: np.ndarray
) -> np.ndarray:
    """Return about minus the inverse curvature times the gradient; the nearer the optimum, the more exactly."""

    def curvature(direction: np.ndarray) -> np.ndarray:
        change = chances * (points @ direction.T)
        change -= chances * change.sum(axis=1, keepdims=True)
        return np.asarray((importance * change).T @ points + penalty * direction)

    size = float(np.sqrt((gradient**2).sum()))
    return _conjugate_gradients(curvature, -gradient, min(0.01, size) * size)


def _conjugate_gradients(product: Callable[[np.ndarray], np.ndarray], goal: np.ndarray, tolerance: float) -> np.ndarray:
    """Solve ``product(solution) = goal`` for a positive semidefinite product, until the residual is small."""
    solution, residual = np.zeros_like(goal), goal
    direction, size = residual, float((residual**2).sum())
    for _ in range(10 * goal.size):  # in exact arithmetic the size would do
        if np.sqrt(size) <= tolerance:
            break
        image = product(direction)
        curve = float((direction * image).sum())
        if curve <= 0:  # rounding: nothing is left to gain in this direction
            break
        solution = solution + size / curve * direction
        residual = residual - size / curve * image
        size, before = float((residual**2).sum()), size
        direction = residual + size / before * direction
    return solution
