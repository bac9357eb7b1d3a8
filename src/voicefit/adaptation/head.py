"""A linear head on frozen, pooled frames: L2-regularised logistic regression."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from pydantic import Field

from voicefit.adaptation.method import Method, MethodSettings, fit_alone
from voicefit.adaptation.shots import Shots, ShotsBatch, importance_of
from voicefit.heads.head import Head, Heads, Projection
from voicefit.heads.logistic import fit_logistic, fit_softmax


class Settings(MethodSettings):
    """How to fit the head."""

    l2: float = Field(
        default=1.0, gt=0, description="λ in Σ cross-entropy + λ/2 ‖weights‖², weights on vectors of unit variance"
    )
    rest_log_odds: float = Field(
        default=0.0,
        description="added to the rest's logit where one label is told from the rest: half the shots have the "
        "label, and few of the clips to come",
    )


def fit_many(encoder: Any, shots: ShotsBatch, settings: Settings) -> Heads:
    """Return the heads on the encoder's projection."""
    return fit_all_on(encoder.projection, shots, settings)


def fit_on(projection: Projection, shots: Shots, settings: Settings) -> Head:
    """Return :func:`fit_all_on` of shots alone."""
    return fit_all_on(projection, shots.alone(), settings)[0]


def fit_all_on(projection: Projection, shots: ShotsBatch, settings: Settings) -> Heads:
    """Return the heads that minimise the sum of cross-entropies plus the penalty.

    Each class counts the same, however many shots it has. Projected vectors are centred on the shots and scaled, all
    dimensions alike, to unit variance, so that one penalty suits every encoder; centring and scale are folded into the
    classifier.
    """
    projected = projection.project(shots.voice.pooled)[shots.rows]
    centre, scale = centre_and_scale(projected)
    vectors = (projected.astype(np.float64) - centre[:, None]) / scale[:, None, None]
    weights, biases = _regression(vectors, shots.targets, shots.classes, settings.l2)
    weights = weights / scale[:, None, None]
    biases = biases - (weights @ centre[:, :, None])[:, :, 0]
    if shots.one_vs_rest:
        biases = biases + settings.rest_log_odds * np.array([1.0, 0.0])
    return Heads(projection, weights, biases)


def raise_rest_logit(head: Head, shots: Shots, log_odds: float) -> Head:
    """Return the head with the rest's logit raised, where ``shots`` tell one emotion from the rest.

    Args:
        head: of the task's classes, the rest first.
        shots: what the head was fitted to; any other task leaves the head as it is.
        log_odds: added to the rest's logit.
    """
    if not log_odds or not shots.one_vs_rest:
        return head
    return replace(head, classifier_bias=head.classifier_bias + log_odds * np.array([1.0, 0.0]))


def _regression(vectors: np.ndarray, targets: np.ndarray, classes: int, l2: float) -> tuple[np.ndarray, np.ndarray]:
    importance = importance_of(targets, classes)
    if classes > 2:
        return fit_softmax(vectors, targets, importance, l2)
    # Of two classes, the penalty is on the weights of the log-odds, of which each class has half.
    fits, _, width = vectors.shape
    goal = (targets == 1).astype(float)[:, None]
    nothing, variance = np.zeros((fits, 1, width)), np.full(width, 1 / l2)
    weights, biases = fit_logistic(vectors, goal, importance, nothing, variance, nothing[:, :, 0], np.inf)
    return np.concatenate([-weights, weights], axis=1) / 2, np.concatenate([-biases, biases], axis=1) / 2


def centre_and_scale(projected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean ``(…, width)`` of projected shots ``(…, k, width)``, and their deviation over all dimensions."""
    vectors = projected.astype(np.float64)
    centre = vectors.mean(axis=-2)
    deviation = np.sqrt(((vectors - centre[..., None, :]) ** 2).mean(axis=(-2, -1)))
    return centre, np.maximum(deviation, 1e-12)


fit = partial(fit_alone, fit_many)

METHOD = Method("head", fit, Settings, version=3, fit_many=fit_many)
