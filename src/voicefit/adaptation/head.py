"""A linear head on frozen, pooled frames: L2-regularised logistic regression."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from voicefit.adaptation.method import Method, MethodSettings
from voicefit.adaptation.shots import Shots
from voicefit.heads.head import Head, Projection
from voicefit.heads.logistic import fit_softmax, log_softmax

_PENALTIES = (1.0, 10.0, 100.0, 0.1)


class Settings(MethodSettings):
    """How to fit the head."""

    l2: Annotated[float, Field(gt=0)] | Literal["leave-one-out"] = Field(
        1.0,
        description="λ in Σ cross-entropy + λ/2 ‖weights‖², weights on vectors of unit variance; `leave-one-out` takes "
        "that of 0.1, 1, 10 and 100 which best foretells each shot from the others (1 where a class has one shot)",
    )
    rest_log_odds: float = Field(
        default=0.0,
        description="added to the rest's logit where one emotion is told from the rest: half the shots have the "
        "emotion, and few of the clips to come",
    )


def fit(encoder: Any, shots: Shots, settings: Settings, seed: int) -> Head:
    """Return the head on the encoder's projection (convex: the seed is not used)."""
    return fit_on(encoder.projection, shots, settings)


def fit_on(projection: Projection, shots: Shots, settings: Settings) -> Head:
    """Return the head that minimises the sum of cross-entropies plus the penalty.

    Each class counts the same, however many shots it has. Projected vectors are centred on the shots and scaled, all
    dimensions alike, to unit variance, so that one penalty suits every encoder; centring and scale are folded into the
    classifier.
    """
    projected = projection.project(shots.pooled)
    centre, scale = centre_and_scale(projected)
    vectors = (projected.astype(np.float64) - centre) / scale
    l2 = _leave_one_out(vectors, shots) if settings.l2 == "leave-one-out" else settings.l2
    weight, bias = _regression(vectors, shots.targets, shots.importance(), l2)
    weight = weight / scale
    head = Head(*projection, weight, bias - weight @ centre)
    return raise_rest_logit(head, shots, settings.rest_log_odds)


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


def _regression(
    vectors: np.ndarray, targets: np.ndarray, importance: np.ndarray, l2: float
) -> tuple[np.ndarray, np.ndarray]:
    # Of two classes, the penalty is on the weights of the log-odds, of which each class has half.
    return fit_softmax(vectors, targets, importance, 2 * l2 if targets.max() == 1 else l2)


def _leave_one_out(vectors: np.ndarray, shots: Shots) -> float:
    """The penalty with the least mean log loss of each shot under a head fitted to the others."""
    count = len(vectors)
    if np.bincount(shots.targets).min() < 2:
        return 1.0

    def loss(l2: float) -> float:
        losses = []
        for index in range(count):
            others = replace(shots, targets=np.delete(shots.targets, index))
            weight, bias = _regression(np.delete(vectors, index, axis=0), others.targets, others.importance(), l2)
            losses.append(-log_softmax((vectors[index] @ weight.T + bias)[None])[0, shots.targets[index]])
        return float(shots.importance() @ losses)

    return min(_PENALTIES, key=loss)


def centre_and_scale(projected: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean ``(width,)`` of projected shots ``(k, width)``, and their deviation over all dimensions."""
    vectors = projected.astype(np.float64)
    centre = vectors.mean(axis=0)
    return centre, max(float(np.sqrt(((vectors - centre) ** 2).mean())), 1e-12)


METHOD = Method("head", fit, Settings, version=3)
