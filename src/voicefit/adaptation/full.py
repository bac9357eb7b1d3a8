"""Fine-tune the trainable rest of the encoder, its projector and a new head: Chen & Yu (2023), section 3.

The new head begins where :mod:`voicefit.adaptation.head` ends: a random one would first distort the encoder
(Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").
The schedule is fixed: no labelled clip outside the shots is needed to choose a stopping point.
"""

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from voicefit.adaptation import head
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder, Precision
from voicefit.heads import Head

VERSION = 3
TRAINS_ENCODER = True
NEEDS_VALIDATION = False
NEEDS_PRIOR = False


class Settings(BaseModel):
    """How to fine-tune."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lr: float = Field(1e-4, gt=0, description="peak learning rate of encoder and projector")
    head_lr: float = Field(1e-3, gt=0, description="peak learning rate of the new classifier")
    l2: float = Field(1.0, gt=0, description="penalty of the linear head that the classifier begins at")
    weight_decay: float = Field(0.01, ge=0)
    steps: int = Field(10, ge=1, description="optimiser steps; linear warm-up over the first tenth, then linear decay")
    batch_size: int = Field(8, ge=1, description="shots a step; k shots where k is smaller")
    precision: Precision = Field("float32", description="of all passes through the encoder")


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train ``encoder`` in place (see :meth:`Encoder.restored`), its classifier from the linear head on.

    Dropout is off: the seed fixes the order of the shots alone.
    """
    _standardise_projector(encoder, shots)
    begin = head.fit(encoder, shots, head.Settings(l2=settings.l2), seed)
    classifier = nn.Linear(begin.classifier_weight.shape[1], shots.classes, device=encoder.device)
    with torch.no_grad():
        classifier.weight.copy_(begin.classifier_weight)
        classifier.bias.copy_(begin.classifier_bias)
    groups = [
        {"params": [p for p in encoder.parameters() if p.requires_grad], "lr": settings.lr},
        {"params": list(classifier.parameters()), "lr": settings.head_lr},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    warmup = max(1, settings.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (settings.steps - step) / settings.steps)
    )
    generator = np.random.default_rng(seed)
    order: list[int] = []
    encoder.eval()
    for _ in range(settings.steps):
        if len(order) < min(settings.batch_size, len(shots.frames)):
            order += generator.permutation(len(shots.frames)).tolist()
        batch, order = order[: settings.batch_size], order[settings.batch_size :]
        pooled = encoder([shots.frames[index] for index in batch], settings.precision)
        logits = classifier(encoder.projector(pooled))
        loss = nn.functional.cross_entropy(logits, shots.targets[batch])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # before the next forward pass needs the memory
        schedule.step()
    layers = (encoder.projector, classifier)
    return Head(*(p.detach().clone() for layer in layers for p in (layer.weight, layer.bias)))


@torch.no_grad()
def _standardise_projector(encoder: Encoder, shots: Shots) -> None:
    """Let projected shots have mean 0 and unit variance: one learning rate then suits every encoder."""
    projector = encoder.projector
    centre, scale = head.centre_and_scale(projector(shots.pooled))
    projector.weight.div_(scale)
    projector.bias.sub_(centre).div_(scale)
