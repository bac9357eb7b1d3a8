"""The training loop of the methods that change the encoder: a fixed schedule, from the linear head on.

The new head begins where :mod:`voicefit.adaptation.head` ends: a random one would first distort the encoder
(Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").
The schedule is fixed: no labelled clip outside the shots is needed to choose a stopping point.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from voicefit.adaptation import head
from voicefit.adaptation.method import TrainingSettings
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.head import Head
from voicefit.training import endless_shuffles


class FineTuneSettings(TrainingSettings):
    """How to fine-tune; each method has a learning rate of its own."""

    lr: float = Field(1e-5, gt=0, description="peak learning rate of what is trained of encoder and projector")
    head_lr: float = Field(1e-3, gt=0, description="peak learning rate of the new classifier")
    l2: float = Field(1.0, gt=0, description="penalty of the linear head that the classifier begins at")
    rest_log_odds: float = Field(
        default=0.0,
        description="added to the rest's logit where one label is told from the rest, as in the method head",
    )
    weight_decay: float = Field(0.01, ge=0)
    steps: int = Field(10, ge=1, description="optimiser steps; linear warm-up over the first tenth, then linear decay")
    batch_size: int = Field(8, ge=1, description="shots a step, classes in turn; k shots where k is smaller")


def fine_tune(
    encoder: Encoder,
    shots: Shots,
    settings: FineTuneSettings,
    seed: int,
    parameters: Sequence[nn.Parameter],
    *,
    goals: Tensor | None = None,
    penalty: Callable[[], Tensor] | None = None,
) -> Head:
    """Train ``parameters`` in place (see :meth:`Encoder.restored`) together with a new classifier.

    Dropout is off: the seed fixes the order of the shots alone.

    Args:
        encoder: the encoder, trained in place.
        shots: the labelled clips.
        settings: the settings of training.
        seed: fixes the order of the shots.
        parameters: of the encoder or of what was put into it; nothing else of it is trained.
        goals: probabilities ``(k, classes)`` to learn instead of the shots' classes.
        penalty: added to the loss of every step; a scalar.
    """
    begin = head.fit_on(encoder.projection, shots, head.Settings(l2=settings.l2))
    classifier = nn.Linear(begin.classifier_weight.shape[1], shots.classes, device=encoder.device)
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(begin.classifier_weight))
        classifier.bias.copy_(torch.from_numpy(begin.classifier_bias))
    groups = [
        {"params": list(parameters), "lr": settings.lr},
        {"params": list(classifier.parameters()), "lr": settings.head_lr},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    warmup = max(1, settings.steps // 10)
    # Not training.warmup_then_decay: there the decay begins after the warm-up, here at the first step.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (settings.steps - step) / settings.steps)
    )
    goals = torch.from_numpy(shots.targets).to(encoder.device) if goals is None else goals
    order = balanced_order(shots.targets, np.random.default_rng(seed))
    encoder.eval()
    with _trained_alone(encoder, parameters):
        for _ in range(settings.steps):
            batch = [next(order) for _ in range(min(settings.batch_size, len(shots.frames)))]
            pooled = encoder([shots.frames[index] for index in batch], settings.precision)
            loss = nn.functional.cross_entropy(classifier(encoder.projector(pooled)), goals[batch])
            if penalty is not None:
                loss = loss + penalty()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)  # before the next forward pass needs the memory
            schedule.step()
    return head.raise_rest_logit(head_of(encoder, classifier), shots, settings.rest_log_odds)


def head_of(encoder: Encoder, classifier: nn.Linear) -> Head:
    """Return the encoder's projector and a classifier as a head, copied."""
    layers = (encoder.projector, classifier)
    return Head(*(p.detach().cpu().numpy().copy() for layer in layers for p in (layer.weight, layer.bias)))


@torch.no_grad()
def standardise_projector(encoder: Encoder, shots: Shots) -> None:
    """Change the projector: projected shots have mean 0 and unit variance, and one rate suits every encoder."""
    projector = encoder.projector
    centre, scale = head.centre_and_scale(encoder.projection.project(shots.pooled))
    projector.weight.div_(float(scale))
    projector.bias.sub_(torch.from_numpy(centre).to(projector.bias)).div_(float(scale))


def balanced_order(targets: np.ndarray, generator: np.random.Generator) -> Iterator[int]:
    """Yield indices of the shots without end, the classes in turn; no shot repeats before all others of its class."""
    decks = [endless_shuffles(np.flatnonzero(targets == index), generator) for index in range(targets.max() + 1)]
    while True:
        for place in generator.permutation(len(decks)):
            yield next(decks[place])


@contextmanager
def _trained_alone(encoder: Encoder, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Gradients for ``parameters`` alone inside the block."""
    wanted = {id(p) for p in parameters}
    before = [(p, p.requires_grad) for p in encoder.parameters()]
    for p, _ in before:
        p.requires_grad_(id(p) in wanted)
    try:
        yield
    finally:
        for p, trained in before:
            p.requires_grad_(trained)
