"""What pre-finetuning may ask of projected clips besides their corpus's labels; chosen by ``objective``.

Each is a module that gives a scalar for a batch; its weights, if it has any, are trained with the heads.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from voicefit.prefinetuning.settings import PrefinetuneSettings


class _Reversed(torch.autograd.Function):
    """The same forwards; backwards the gradient times -1 (Ganin et al. 2016, equations 15 and 16)."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class SpeakerAdversary(nn.Module):
    """Projected clips shall not tell who speaks: Ganin et al. (2016), "Domain-Adversarial Training of Neural Networks".

    A linear classifier of speakers learns as well as it can, and what it reads learns the opposite. The loss is its
    cross-entropy over the logarithm of the number of speakers: 1 at chance.

    Args:
        width: size of a projected vector.
        speakers: all there are.
    """

    def __init__(self, width: int, speakers: Sequence[str]):
        super().__init__()
        self.indices = {speaker: index for index, speaker in enumerate(dict.fromkeys(speakers))}
        self.classifier = nn.Linear(width, len(self.indices))

    def forward(self, projected: Tensor, labels: Sequence[str], speakers: Sequence[str]) -> Tensor:
        """The loss of clips ``(clips, width)``."""
        truth = torch.tensor([self.indices[speaker] for speaker in speakers], device=projected.device)
        logits = self.classifier(_Reversed.apply(projected))
        return nn.functional.cross_entropy(logits, truth) / math.log(max(2, len(self.indices)))


class SupervisedContrast(nn.Module):
    """Clips with one label shall be near, whatever their corpus.

    Khosla et al. (2020), "Supervised Contrastive Learning", equation 2 (L_out), on vectors of length 1. Labels are of
    the vocabulary that corpora share. A clip that is alone with its label in a batch is no anchor.
    """

    temperature = 0.1

    def forward(self, projected: Tensor, labels: Sequence[str], speakers: Sequence[str]) -> Tensor:
        """The loss of clips ``(clips, width)``; 0 where no two clips share a label."""
        unit = nn.functional.normalize(projected, dim=1)
        itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        likeness = (unit @ unit.T / self.temperature).masked_fill(itself, -math.inf)
        index = torch.tensor([sorted(set(labels)).index(label) for label in labels], device=unit.device)
        alike = (index[:, None] == index[None]) & ~itself
        chances = likeness.log_softmax(1).masked_fill(~alike, 0)
        anchors = alike.any(1)
        return -(chances.sum(1) / alike.sum(1).clamp(min=1))[anchors].sum() / anchors.sum().clamp(min=1)


class Episodic(nn.Module):
    """The first clip of each label shall tell the others.

    Snell, Swersky & Zemel (2017), "Prototypical Networks for Few-shot Learning", algorithm 1, one shot a label. Meant
    for batches of one speaker (:func:`voicefit.prefinetuning.batches.speaker_batches`), as adaptation will meet them.
    """

    def forward(self, projected: Tensor, labels: Sequence[str], speakers: Sequence[str]) -> Tensor:
        """The loss of clips ``(clips, width)``, over the logarithm of the number of labels: 1 at chance.

        0 where no clip is left to be told.
        """
        names = list(dict.fromkeys(labels))
        first = [labels.index(name) for name in names]
        left = [index for index in range(len(labels)) if index not in first]
        if not left or len(names) < 2:
            return projected.sum() * 0
        truth = torch.tensor([names.index(labels[index]) for index in left], device=projected.device)
        distances = torch.cdist(projected[left], projected[first]).square() / projected.shape[1]
        return nn.functional.cross_entropy(-distances, truth) / math.log(len(names))


def make_objective(settings: PrefinetuneSettings, width: int, speakers: Sequence[str]) -> nn.Module | None:
    """The module that the settings name; ``None`` where the labels are all."""
    if settings.objective == "dann":
        return SpeakerAdversary(width, speakers)
    if settings.objective == "supcon":
        return SupervisedContrast()
    return Episodic() if settings.objective == "episodic" else None
