"""Objectives of pre-finetuning besides the labels of the corpora, on projected clips; chosen by ``objective``.

Each is a module that returns a scalar loss for a batch. Its weights, if any, are trained with the heads.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from voicefit.prefinetuning.settings import PrefinetuneSettings


class _Reversed(torch.autograd.Function):
    """The identity forwards, the gradient times -1 backwards (Ganin et al. 2016, equations 15 and 16)."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class SpeakerAdversary(nn.Module):
    """A loss that removes the speaker from projected clips.

    Ganin et al. (2016), "Domain-Adversarial Training of Neural Networks". A linear classifier learns to tell speakers
    apart; the encoder learns the opposite, by reversed gradients. The loss is the classifier's cross-entropy over the
    logarithm of the number of speakers: 1 at chance.

    Args:
        width: the size of a projected vector.
        speakers: the speakers of all training clips.
    """

    def __init__(self, width: int, speakers: Sequence[str]):
        super().__init__()
        self.indices = {speaker: index for index, speaker in enumerate(dict.fromkeys(speakers))}
        self.classifier = nn.Linear(width, len(self.indices))

    def forward(self, projected: Tensor, labels: Sequence[str], speakers: Sequence[str]) -> Tensor:
        """Return the loss of clips ``(clips, width)``."""
        truth = torch.tensor([self.indices[speaker] for speaker in speakers], device=projected.device)
        logits = self.classifier(_Reversed.apply(projected))
        return nn.functional.cross_entropy(logits, truth) / math.log(max(2, len(self.indices)))


class SupervisedContrast(nn.Module):
    """A loss that brings clips with the same label together, across corpora.

    Khosla et al. (2020), "Supervised Contrastive Learning", equation 2 (L_out), on vectors of length 1. Corpora
    share the names of their labels. A clip that is alone with its label in a batch is no anchor.
    """

    temperature = 0.1

    def forward(self, projected: Tensor, labels: Sequence[str], speakers: Sequence[str]) -> Tensor:
        """Return the loss of clips ``(clips, width)``; 0 if no two clips share a label."""
        unit = nn.functional.normalize(projected, dim=1)
        diagonal = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        similarity = (unit @ unit.T / self.temperature).masked_fill(diagonal, -math.inf)
        index = torch.tensor([sorted(set(labels)).index(label) for label in labels], device=unit.device)
        positives = (index[:, None] == index[None]) & ~diagonal
        log_probabilities = similarity.log_softmax(1).masked_fill(~positives, 0)
        anchors = positives.any(1)
        means = log_probabilities.sum(1) / positives.sum(1).clamp(min=1)
        return -means[anchors].sum() / anchors.sum().clamp(min=1)


class Episodic(nn.Module):
    """A loss that classifies clips by the first clip of each label.

    Snell, Swersky & Zemel (2017), "Prototypical Networks for Few-shot Learning", algorithm 1, one shot a label. It
    expects batches of one speaker (:func:`voicefit.prefinetuning.batches.speaker_batches`), as in adaptation.
    """

    def forward(self, projected: Tensor, labels: Sequence[str], speakers: Sequence[str]) -> Tensor:
        """Return the loss of clips ``(clips, width)``, over the logarithm of the number of labels: 1 at chance.

        It is 0 if there is no clip to classify.
        """
        names = list(dict.fromkeys(labels))
        shots = [labels.index(name) for name in names]
        queries = [index for index in range(len(labels)) if index not in shots]
        if not queries or len(names) < 2:
            return projected.sum() * 0
        truth = torch.tensor([names.index(labels[index]) for index in queries], device=projected.device)
        distances = torch.cdist(projected[queries], projected[shots]).square() / projected.shape[1]
        return nn.functional.cross_entropy(-distances, truth) / math.log(len(names))


def make_objective(settings: PrefinetuneSettings, width: int, speakers: Sequence[str]) -> nn.Module | None:
    """Return the objective that the settings name; ``None`` for the labels alone."""
    if settings.objective == "dann":
        return SpeakerAdversary(width, speakers)
    if settings.objective == "supcon":
        return SupervisedContrast()
    return Episodic() if settings.objective == "episodic" else None
