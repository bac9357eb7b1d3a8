"""Logistic regression with a Gaussian prior of its own for each weight, and goals that may be uncertain."""

import numpy as np
from scipy.special import expit

_ROUNDS = 50


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
