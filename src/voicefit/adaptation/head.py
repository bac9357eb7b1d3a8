"""A linear head on frozen, pooled frames: L2-regularised logistic regression."""

import functools
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
from torch import Tensor

from voicefit.adaptation.method import Method, MethodSettings
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.linear import Head

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


@torch.no_grad()
def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Return the head that minimises the sum of cross-entropies plus the penalty (convex: the seed is not used).

    Each class counts the same, however many shots it has. Projected vectors are centred on the shots and scaled, all
    dimensions alike, to unit variance, so that one penalty suits every encoder; centring and scale are folded into the
    classifier.
    """
    projector = encoder.projector
    projected = projector(shots.pooled)
    centre, scale = centre_and_scale(projected)
    vectors = ((projected.double() - centre) / scale).cpu().numpy()
    targets = shots.targets.cpu().numpy()
    with _blas().limit(limits=1, user_api="blas"):  # threads wait for each other on a problem this small
        l2 = _leave_one_out(vectors, targets, shots.importance()) if settings.l2 == "leave-one-out" else settings.l2
        model = _regression(l2).fit(vectors, targets)
    weight, bias = model.coef_ / scale, model.intercept_
    if shots.classes == 2:  # scikit-learn gives one row of log-odds
        weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    bias = bias - weight @ centre.cpu().numpy()
    classifier = (torch.from_numpy(part).float().to(projected.device) for part in (weight, bias))
    head = Head(projector.weight.clone(), projector.bias.clone(), *classifier)
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
    raised = head.classifier_bias + log_odds * torch.tensor([1.0, 0.0], device=head.classifier_bias.device)
    return replace(head, classifier_bias=raised)


def _regression(l2: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # here, since other methods need not wait a second for it

    return LogisticRegression(C=1 / l2, class_weight="balanced", max_iter=1000)


def _leave_one_out(vectors: np.ndarray, targets: np.ndarray, importance: np.ndarray) -> float:
    """The penalty with the least mean log loss of each shot under a head fitted to the others."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    if np.bincount(targets).min() < 2:
        return 1.0

    def loss(l2: float) -> float:
        chances = cross_val_predict(_regression(l2), vectors, targets, cv=LeaveOneOut(), method="predict_proba")
        return float(log_loss(targets, chances, sample_weight=importance))

    return min(_PENALTIES, key=loss)


def centre_and_scale(projected: Tensor) -> tuple[Tensor, float]:
    """Return the mean ``(width,)`` of projected shots ``(k, width)``, and their deviation over all dimensions."""
    vectors = projected.double()
    centre = vectors.mean(0)
    return centre, max(float((vectors - centre).square().mean().sqrt()), 1e-12)


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


METHOD = Method("head", fit, Settings, version=2)
