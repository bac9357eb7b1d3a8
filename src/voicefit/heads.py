"""Classification heads: linear layers over pooled, projected frames, as `transformers` classifies audio."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn

from voicefit.corpora import Clip
from voicefit.scatter import Scatter, scatter_of

_SHRINKAGE = 0.3
"""Weight of the identity in the covariance within classes: short corpora have fewer clips than dimensions."""


@dataclass(frozen=True)
class Adapter:
    """Changes of an encoder's weights kept apart from them, as the library `peft` writes and loads them.

    Attributes:
        weights: what ``adapter_model.safetensors`` holds of the encoder, by `peft`'s names.
        config: what ``adapter_config.json`` holds, plain data.
    """

    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """A linear classifier of pooled vectors, in the two steps that a `transformers` audio classifier takes.

    Attributes:
        projector_weight, projector_bias: ``(width, hidden_size)`` and ``(width,)``.
        classifier_weight, classifier_bias: ``(labels, width)`` and ``(labels,)``.
        adapter: the changes of the encoder that go with it, where the method can tell them apart.
    """

    projector_weight: Tensor
    projector_bias: Tensor
    classifier_weight: Tensor
    classifier_bias: Tensor
    adapter: Adapter | None = field(default=None, kw_only=True)

    def __call__(self, pooled: Tensor) -> Tensor:
        """Logits ``(clips, labels)`` of pooled vectors ``(clips, hidden_size)``."""
        projected = nn.functional.linear(pooled, self.projector_weight, self.projector_bias)
        return nn.functional.linear(projected, self.classifier_weight, self.classifier_bias)


class CorpusHeads(nn.Module):
    """One linear head per corpus over the same projected vectors.

    Args:
        labels: corpus name → its labels in the order of the logits.
        width: size of a projected vector.
    """

    def __init__(self, labels: Mapping[str, Sequence[str]], width: int):
        super().__init__()
        self.labels = {corpus: list(names) for corpus, names in labels.items()}
        # A list, not a ModuleDict: that one refuses names with a dot and names such as "type" or "keys".
        self.linear = nn.ModuleList(nn.Linear(width, len(names)) for names in self.labels.values())

    def forward(self, projected: Tensor, corpus: str) -> Tensor:
        """Logits ``(clips, labels of the corpus)`` of projected vectors ``(clips, width)``."""
        return self.linear[list(self.labels).index(corpus)](projected)

    def stacked(self) -> tuple[Tensor, Tensor, list[str]]:
        """All heads as one: weight ``(all labels, width)``, bias and labels, each written ``corpus/label``.

        One matrix is what a `transformers` classifier can hold; the rows of a corpus are its head.
        """
        weight = torch.cat([head.weight.detach() for head in self._heads()])
        bias = torch.cat([head.bias.detach() for head in self._heads()])
        names = [f"{corpus}/{label}" for corpus, labels in self.labels.items() for label in labels]
        return weight, bias, names

    def _heads(self) -> Iterator[nn.Linear]:
        return (head for head in self.linear if isinstance(head, nn.Linear))


@torch.no_grad()
def discriminant_projector(pooled: Mapping[str, Tensor], clips: Mapping[str, Sequence[Clip]], width: int) -> nn.Linear:
    """The directions in which a speaker's emotions differ most, relative to how clips of one emotion differ.

    Fisher's linear discriminants with classes (corpus, speaker, label) and each speaker's mean removed, every
    corpus counting the same. Projected clips have unit variance within a class, so that distances between
    them mean something from the first step on; what varies for other reasons (length, words, the voice) is
    damped.

    Args:
        pooled: corpus → ``(clips, hidden_size)``.
        clips: corpus → its clips, in the same order.
        width: number of directions, at most ``hidden_size``.

    Returns:
        the projector, ``hidden_size`` → ``width``; projected clips of all corpora have mean 0.
    """
    within, between, means = [], [], []
    for corpus, vectors in pooled.items():
        scatter = scatter_of(vectors, clips[corpus])
        shares = scatter.counts / scatter.counts.sum()
        away = scatter.means - _speaker_means(scatter)
        within.append(scatter.within)
        between.append((shares[:, None] * away).T @ away)
        means.append(shares @ scatter.means)
    noise = np.mean(within, axis=0)
    signal = np.mean(between, axis=0)
    directions, _ = linear_discriminants(signal, noise, width)
    projector = nn.Linear(*directions.shape)
    projector.weight.copy_(torch.from_numpy(directions.T.copy()))
    projector.bias.copy_(torch.from_numpy(-np.mean(means, axis=0) @ directions))
    return projector


def _speaker_means(scatter: Scatter) -> np.ndarray:
    """For each class the mean of all clips of its speaker, ``(classes, d)``."""
    _, speaker = np.unique(scatter.speakers, return_inverse=True)
    sums = np.zeros((speaker.max() + 1, scatter.means.shape[1]))
    np.add.at(sums, speaker, scatter.counts[:, None] * scatter.means)
    return (sums / np.bincount(speaker, scatter.counts)[:, None])[speaker]


def linear_discriminants(signal: np.ndarray, noise: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's linear discriminants of covariances between and within classes, each ``(d, d)``.

    Returns:
        ``(d, width)``, scaled so that classes have unit variance within; and ``(width,)`` their variance between
        classes, positive and falling.
    """
    # Where classes have a clip each nothing varies within them: a trace of the signal keeps it solvable.
    typical = max(np.trace(noise), 1e-6 * np.trace(signal), 1e-12) / len(noise)
    noise = (1 - _SHRINKAGE) * noise + _SHRINKAGE * typical * np.eye(len(noise))
    values, directions = scipy.linalg.eigh(signal, noise)
    return directions[:, ::-1][:, :width].copy(), np.maximum(values[::-1], 1e-6 * values[-1])[:width]
