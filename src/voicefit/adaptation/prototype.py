"""Nearest mean: Snell, Swersky & Zemel (2017), "Prototypical Networks for Few-shot Learning", equation 2.

With squared Euclidean distances the softmax over classes is linear in the clip's vector (their section 2.4),
so that the classifier is an ordinary linear head.
"""

from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field

from voicefit.adaptation.method import Method, MethodSettings, fit_alone
from voicefit.adaptation.shots import ShotsBatch
from voicefit.heads.head import Heads


class Settings(MethodSettings):
    """How near is measured, and from where."""

    distance: Literal["euclidean", "cosine"] = Field("euclidean", description="cosine: the angle at the corpora's mean")
    shrinkage: float = Field(
        0.0, ge=0, lt=1, description="share of the way that class means are moved to the corpora's mean"
    )


def fit_many(encoder: Any, shots: ShotsBatch, settings: Settings) -> Heads:
    """Return heads that answer with the nearest class mean; projected clips of a start's corpora have mean 0.

    Euclidean: logits are the negative squared distances to the class means, up to a term shared by all, divided by
    the width, so that the softmax is not saturated. Cosine: logits are the products with class means of length 1,
    which order the classes as cosines do; only how sure the head is grows with the clip's own length.
    """
    projection = encoder.projection
    projected = projection.project(shots.voice.pooled).take(shots.rows, axis=0)
    own = (shots.targets[:, None] == np.arange(shots.classes)[:, None]).astype(np.float32)
    means = own @ projected / own.sum(axis=2, keepdims=True)
    means, width = (1 - settings.shrinkage) * means, means.shape[2]
    if settings.distance == "cosine":
        weights = means / np.maximum(np.linalg.norm(means, axis=2, keepdims=True), 1e-12)
        biases = np.zeros(means.shape[:2])
    else:
        weights, biases = 2 * means / width, -(means**2).sum(axis=2) / width
    return Heads(projection, weights, biases)


fit = partial(fit_alone, fit_many)

METHOD = Method("prototype", fit, Settings, version=1, fit_many=fit_many)
