"""Nearest mean: Snell, Swersky & Zemel (2017), "Prototypical Networks for Few-shot Learning", equation 2.

With squared Euclidean distances the softmax over classes is linear in the clip's vector (their section 2.4),
so that the classifier is an ordinary linear head.
"""

import torch
from pydantic import BaseModel, ConfigDict

from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads import Head

VERSION = 1
TRAINS_ENCODER = False
NEEDS_VALIDATION = False
NEEDS_PRIOR = False


class Settings(BaseModel):
    """The method has nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@torch.no_grad()
def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """A head whose logits are the negative squared distances to the class means, up to a term shared by all.

    Distances are divided by the width, so that the softmax is not saturated.
    """
    projector = encoder.projector
    projected = projector(shots.pooled)
    means = torch.stack([projected[shots.targets == index].mean(0) for index in range(shots.classes)])
    width = means.shape[1]
    return Head(projector.weight.clone(), projector.bias.clone(), 2 * means / width, -(means**2).sum(1) / width)
