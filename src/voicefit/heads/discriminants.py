"""Fisher's linear discriminants of pooled vectors; a class is what one speaker says under one label."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn

from voicefit.corpora import Clip

_ROWS = 4096
"""Vectors that are in double precision together: all of a large corpus would be several GB, and every step a copy."""


@dataclass(frozen=True)
class Scatter:
    """Means of classes, in the order of speaker and label, and the covariance about them.

    Attributes:
        speakers, labels: of each class.
        counts: ``(classes,)``, clips of each.
        means: ``(classes, d)``, float64.
        within: ``(d, d)``, the mean outer product of what clips differ by from the mean of their class.
    """

    speakers: list[str]
    labels: list[str]
    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray


def scatter_of(vectors: Tensor, clips: Sequence[Clip]) -> Scatter:
    """Of pooled vectors ``(clips, d)`` and their clips, at least one."""
    classes = sorted({(clip.speaker, str(clip.label)) for clip in clips})
    places = {names: place for place, names in enumerate(classes)}
    index = np.array([places[clip.speaker, str(clip.label)] for clip in clips])
    counts = np.bincount(index, minlength=len(classes))
    sums = torch.zeros(len(classes), vectors.shape[1], dtype=torch.float64)
    for rows, part in in_double(vectors):
        sums.index_add_(0, torch.from_numpy(index[rows]), torch.from_numpy(part))
    means = sums.numpy() / counts[:, None]
    within = np.zeros((vectors.shape[1],) * 2)
    for rows, part in in_double(vectors):
        residuals = part - means[index[rows]]
        within += residuals.T @ residuals
    speakers, labels = (list(names) for names in zip(*classes, strict=True))
    return Scatter(speakers, labels, counts, means, within / len(clips))


def in_double(vectors: Tensor) -> Iterator[tuple[slice, np.ndarray]]:
    """Some rows of ``(clips, d)`` after others, float64, each time with where they stand."""
    for start in range(0, max(1, len(vectors)), _ROWS):
        rows = slice(start, start + _ROWS)
        yield rows, vectors[rows].double().cpu().numpy()


_SHRINKAGE = 0.3
"""Weight of the identity in the covariance within classes: short corpora have fewer clips than dimensions."""


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
