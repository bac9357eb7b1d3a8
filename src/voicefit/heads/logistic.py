"""Logistic regression in numpy: of two classes under a Gaussian prior of each weight, and of several classes.

Problems of equal shape are solved together, as stacked arrays. Each has its own steps and its own end, and is computed
by itself: what comes of it does not depend on those beside it.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

_ROUNDS = 50

_SURE = 3.0
"""The first step of :func:`fit_logistic` takes every clip to be told with these log-odds; fewer steps follow."""

_GRADIENT = 1e-7
"""At the optimum of :func:`fit_softmax`, no derivative is larger than this; clips count about 1 each."""


def expit(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logits))."""
    return np.exp(-np.logaddexp(0, -logits))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of :func:`softmax`."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities ``(…, classes)`` of logits; rows add up to 1."""
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def transposed(matrices: np.ndarray) -> np.ndarray:
    """Return the transpose of each matrix of a stack."""
    return matrices.swapaxes(-1, -2)


def fit_logistic(
    points: np.ndarray,
    goal: np.ndarray,
    importance: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    bias_mean: np.ndarray,
    bias_variance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights with the highest posterior probability, ``(sets, fits, w)``, and the biases ``(sets, fits)``.

    They minimise Σ importance · cross-entropy + Σ (weights − mean)² / 2 variance, the bias likewise, by Newton's method
    (Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", algorithm 3.1); steps that overshoot are
    halved.

    Args:
        points: sets of clips, ``(sets, clips, w)``.
        goal: 0 … 1, the probability of the class for each clip, several fits to a set, ``(sets, fits, clips)``.
        importance: how many clips each clip counts as, ``(sets, clips)``.
        mean: of the weights before any clip, ``(sets, fits, w)``.
        variance: likewise, ``(w,)``, positive.
        bias_mean: likewise, ``(sets, fits)``.
        bias_variance: likewise; infinite where nothing is known of the bias, and both classes have clips.
    """
    sets, fits, _ = goal.shape
    set_of = np.repeat(np.arange(sets), fits)
    system: _System = (_ByClips if points.shape[1] <= points.shape[2] else _ByWeights)(points, variance, bias_variance)
    offset = (mean @ transposed(points) + bias_mean[:, :, None]).reshape(sets * fits, -1)
    goal, importance = goal.reshape(sets * fits, -1), importance[set_of]

    def cost(rows: np.ndarray, change: np.ndarray, moved: np.ndarray) -> np.ndarray:
        logits = offset[rows] + moved
        losses = importance[rows] * (np.logaddexp(0, logits) - goal[rows] * logits)
        return np.asarray(system.penalty(change, moved) + losses.sum(axis=1))

    left = np.arange(sets * fits)
    moved = np.zeros(goal.shape)  # by how much the logits have moved
    about = _SURE * (2 * goal - 1) - offset  # likewise, where the loss is taken for a parabola
    change = np.zeros((len(left), system.size))  # of the weights, as the system writes it
    value = cost(left, change, moved)
    for step in range(_ROUNDS):
        if not len(left):
            break
        chance = expit(offset[left] + about[left])
        curve = np.maximum(importance[left] * chance * (1 - chance), 1e-8)
        aim = about[left] + importance[left] * (goal[left] - chance) / curve
        to, moved_to = system.solve(set_of[left], curve, aim)
        gain, to, moved_to = _best_on_the_way(cost, left, value[left], (change[left], moved[left]), (to, moved_to))
        better = gain > 0
        rows = left[better]
        change[rows], moved[rows], value[rows] = to[better], moved_to[better], value[rows] - gain[better]
        left = left[(gain >= 1e-8 * (1 + np.abs(value[left]))) | (step == 0)]
        about = moved
    weights, biases = system.weights(change.reshape(sets, fits, -1))
    return mean + weights, bias_mean + biases


def _best_on_the_way(
    cost: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    rows: np.ndarray,
    value: np.ndarray,
    begin: tuple[np.ndarray, np.ndarray],
    end: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what a step gains, and where it ends: it is halved for as long as it gains nothing."""
    end = end[0].copy(), end[1].copy()
    new = cost(rows, *end)
    length = 1.0
    while length > 1e-4 and (worse := np.flatnonzero(new > value)).size:
        length /= 2
        for target, start in zip(end, begin, strict=True):
            target[worse] = (start[worse] + target[worse]) / 2
        new[worse] = cost(rows[worse], end[0][worse], end[1][worse])
    return value - new, *end


class _System(Protocol):
    """The equations of a Newton step, in the coordinates in which they are the fewest."""

    size: int
    """How many numbers a change of weights and bias is written in."""

    def __init__(self, points: np.ndarray, variance: np.ndarray, bias_variance: float): ...

    def penalty(self, change: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Return half the squared length of changes ``(fits, size)`` that move logits by ``(fits, clips)``."""

    def solve(self, sets: np.ndarray, curve: np.ndarray, aim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the change that minimises Σ curve · (moved − aim)² / 2 + penalty, and how it moves the logits."""

    def weights(self, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return changes ``(sets, fits, size)`` as weights and biases."""


class _ByClips:
    """A change is a coefficient for each clip, and the bias: weights = variance · Σ coefficient · point."""

    def __init__(self, points: np.ndarray, variance: np.ndarray, bias_variance: float):
        self._deviation, self._bias_variance = np.sqrt(variance), bias_variance
        self._points = points * self._deviation
        self._kernel = self._points @ transposed(self._points)
        self.size = points.shape[1] + 1

    def penalty(self, change: np.ndarray, moved: np.ndarray) -> np.ndarray:
        bias = change[:, -1:]
        by_weights = (change[:, :-1] * (moved - bias)).sum(axis=1)
        return np.asarray(by_weights + bias[:, 0] ** 2 / self._bias_variance) / 2

    def solve(self, sets: np.ndarray, curve: np.ndarray, aim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix, clips = self._kernel[sets], curve.shape[1]
        np.einsum("sii->si", matrix)[...] += 1 / curve
        both = np.linalg.solve(matrix, np.stack([aim, np.ones_like(aim)], axis=2))
        sums = both.sum(axis=1)
        bias = sums[:, 0] / (1 / self._bias_variance + sums[:, 1]) if clips else np.zeros(len(sets))
        coefficients = both[:, :, 0] - bias[:, None] * both[:, :, 1]
        return np.hstack([coefficients, bias[:, None]]), aim - coefficients / curve

    def weights(self, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._deviation * (change[:, :, :-1] @ self._points), change[:, :, -1]


class _ByWeights:
    """A change is that of each weight, and of the bias."""

    def __init__(self, points: np.ndarray, variance: np.ndarray, bias_variance: float):
        self._points = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
        self._precision = 1 / np.append(variance, bias_variance)
        self.size = len(self._precision)

    def penalty(self, change: np.ndarray, moved: np.ndarray) -> np.ndarray:
        return np.asarray((change**2 * self._precision).sum(axis=1) / 2)

    def solve(self, sets: np.ndarray, curve: np.ndarray, aim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = self._points[sets]
        weighted = transposed(points * curve[:, :, None])
        matrix = weighted @ points
        np.einsum("sii->si", matrix)[...] += self._precision
        change = np.linalg.solve(matrix, weighted @ aim[:, :, None])
        return change[:, :, 0], (points @ change)[:, :, 0]

    def weights(self, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return change[:, :, :-1], change[:, :, -1]


def fit_softmax(
    points: np.ndarray, targets: np.ndarray, importance: np.ndarray, l2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights ``(fits, classes, d)`` and biases ``(fits, classes)`` of multinomial logistic regression.

    They minimise Σ importance · cross-entropy + l2 / 2 · ‖weights‖², by Newton's method with conjugate gradients
    (Nocedal & Wright 2006, "Numerical Optimization", section 7.1); steps that overshoot are halved.

    Args:
        points: ``(fits, clips, d)``.
        targets: the class of each clip, ``(fits, clips)``; every class has a clip.
        importance: how many clips each clip counts as, ``(fits, clips)``.
        l2: the penalty, positive; biases are free.
    """
    points, basis = _in_fewer_dimensions(points)
    points = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
    own = targets[:, :, None] == np.arange(targets.max() + 1)
    penalty = np.append(np.full(points.shape[2] - 1, l2), 0.0)
    importance = importance[:, :, None]

    def cost(rows: np.ndarray, weights: np.ndarray, logits: np.ndarray) -> np.ndarray:
        surprise = -log_softmax(logits)[own[rows]].reshape(logits.shape[:2])
        length = (penalty * weights**2).sum(axis=(1, 2)) / 2
        return np.asarray((importance[rows, :, 0] * surprise).sum(axis=1) + length)

    left = np.arange(len(points))
    weights = np.zeros((len(left), own.shape[2], points.shape[2]))
    logits = np.zeros(own.shape)
    value = cost(left, weights, logits)
    for _ in range(_ROUNDS):
        chances = softmax(logits[left])
        gradient = transposed(importance[left] * (chances - own[left])) @ points[left] + penalty * weights[left]
        open_ = np.abs(gradient).max(axis=(1, 2)) >= _GRADIENT
        left, chances, gradient = left[open_], chances[open_], gradient[open_]
        if not len(left):
            break
        to = weights[left] + _newton_step(points[left], chances, importance[left], penalty, gradient)
        end = to, points[left] @ transposed(to)
        gain, to, logits_to = _best_on_the_way(cost, left, value[left], (weights[left], logits[left]), end)
        left = left[gain >= 0]
        weights[left], logits[left] = to[gain >= 0], logits_to[gain >= 0]
        value[left] -= gain[gain >= 0]
    found = weights[:, :, :-1] if basis is None else weights[:, :, :-1] @ transposed(basis)
    return found, weights[:, :, -1]


def _in_fewer_dimensions(points: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return points in an orthonormal basis ``(fits, d, clips)`` of their span, if they are few."""
    if points.shape[1] >= points.shape[2]:
        return points, None
    basis, coordinates = np.linalg.qr(transposed(points))
    return transposed(coordinates), basis


def _newton_step(
    points: np.ndarray, chances: np.ndarray, importance: np.ndarray, penalty: np.ndarray, gradient: np.ndarray
) -> np.ndarray:
    """Return about minus the inverse curvature times the gradient; the nearer the optimum, the more exactly."""

    def curvature(direction: np.ndarray) -> np.ndarray:
        change = chances * (points @ transposed(direction))
        change -= chances * change.sum(axis=2, keepdims=True)
        return np.asarray(transposed(importance * change) @ points + penalty * direction)

    size = np.sqrt((gradient**2).sum(axis=(1, 2)))
    return _conjugate_gradients(curvature, -gradient, np.minimum(0.01, size) * size)


def _conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray], goal: np.ndarray, tolerance: np.ndarray
) -> np.ndarray:
    """Solve ``product(solution) = goal`` for positive semidefinite products, until each residual is small.

    Args:
        product: of a stack of matrices.
        goal: such a stack.
        tolerance: of the size of each residual, ``(fits,)``.
    """

    def inner(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.asarray((first * second).sum(axis=(1, 2), keepdims=True))

    solution, residual = np.zeros_like(goal), goal
    direction, size = residual, inner(residual, residual)
    at_work = np.ones(size.shape, dtype=bool)
    for _ in range(10 * goal[0].size):  # in exact arithmetic the size would do
        at_work &= np.sqrt(size) > tolerance[:, None, None]
        if not at_work.any():
            break
        image = product(direction)
        curve = inner(direction, image)
        at_work &= curve > 0  # else by rounding: nothing is left to gain in this direction
        share = np.divide(size, curve, out=np.zeros_like(size), where=at_work)
        solution = solution + share * direction
        residual = residual - share * image
        size, before = np.where(at_work, inner(residual, residual), size), size
        direction = residual + np.divide(size, before, out=np.zeros_like(size), where=at_work) * direction
    return solution
