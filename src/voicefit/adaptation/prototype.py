"""Nearest mean: Snell, Swersky & Zemel (2017), "Prototypical Networks for Few-shot Learning", equation 2.

With squared Euclidean distances the softmax over classes is linear in the clip's vector (their section 2.4),
so that the classifier is an ordinary linear head.
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from voicefit.adaptation.method import Method, MethodSettings
from voicefit.adaptation.shots import Shots
from voicefit.heads.head import Head


class Settings(MethodSettings):
    """How near is measured, and from where."""

    distance: Literal["euclidean", "cosine"] = Field("euclidean", description="cosine: the angle at the corpora's mean")
    shrinkage: float = Field(
        0.0, ge=0, lt=1, description="share of the way that class means are moved to the corpora's mean"
    )


def fit(encoder: Any, shots: Shots, settings: Settings, seed: int) -> Head:
    """Return a head that answers with the nearest class mean; projected clips of a start's corpora have mean 0.

    Euclidean: logits are the negative squared distances to the class means, up to a term shared by all, divided by
    the width, so that the softmax is not saturated. Cosine: logits are the products with class means of length 1,
    which order the classes as cosines do; only how sure the head is grows with the clip's own length.
    """
    projection = encoder.projection
    projected = projection.project(shots.pooled)
    means = np.stack([projected[shots.targets == index].mean(axis=0) for index in range(shots.classes)])
    means, width = (1 - settings.shrinkage) * means, means.shape[1]
    if settings.distance == "cosine":
        weight = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        bias = np.zeros(len(means))
    else:
        weight, bias = 2 * means / width, -(means**2).sum(axis=1) / width
    return Head(projection.weight, projection.bias, weight, bias)


METHOD = Method("prototype", fit, Settings, version=1)
