"""Fisher's linear discriminants of pooled vectors; a class is the clips of one speaker with one label."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn

from voicefit.corpora import Clip

_ROWS_IN_DOUBLE = 4096
"""So many vectors are in double precision at a time: those of a large corpus would take several GB per copy."""

_SHRINKAGE = 0.3
"""The identity has this weight in the covariance within classes: short corpora have fewer clips than dimensions."""


@dataclass(frozen=True)
class Scatter:
    """Means of classes, in the order of speaker and label, and the covariance about them.

    Attributes:
        speakers: the speaker of each class.
        labels: the label of each class.
        counts: ``(classes,)``, the number of clips of each class.
        means: ``(classes, d)``, float64.
        within: ``(d, d)``, the mean outer product of the differences of clips from the mean of their class.
    """

    speakers: list[str]
    labels: list[str]
    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray


def scatter_of(vectors: Tensor, clips: Sequence[Clip]) -> Scatter:
    """Return the scatter of pooled vectors ``(clips, d)`` and their clips, at least one."""
    classes = sorted({(clip.speaker, str(clip.label)) for clip in clips})
    rows_of = {names: row for row, names in enumerate(classes)}
    index = np.array([rows_of[clip.speaker, str(clip.label)] for clip in clips])
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
    """Yield blocks of rows of ``(clips, d)``, each as its slice and its float64 values."""
    for start in range(0, max(1, len(vectors)), _ROWS_IN_DOUBLE):
        rows = slice(start, start + _ROWS_IN_DOUBLE)
        yield rows, vectors[rows].double().cpu().numpy()


@torch.no_grad()
def discriminant_projector(pooled: Mapping[str, Tensor], clips: Mapping[str, Sequence[Clip]], width: int) -> nn.Linear:
    """Return the directions in which a speaker's emotions differ most, relative to the clips of one emotion.

    They are Fisher's linear discriminants with classes (corpus, speaker, label) and each speaker's mean removed. Every
    corpus has the same weight. Projected clips have unit variance within a class: distances between them are meaningful
    from the first step on, and variation for other reasons (length, words, the voice) is damped.

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
        deviations = scatter.means - _speaker_means(scatter)
        within.append(scatter.within)
        between.append((shares[:, None] * deviations).T @ deviations)
        means.append(shares @ scatter.means)
    noise = np.mean(within, axis=0)
    signal = np.mean(between, axis=0)
    directions, _ = linear_discriminants(signal, noise, width)
    projector = nn.Linear(*directions.shape)
    projector.weight.copy_(torch.from_numpy(directions.T.copy()))
    projector.bias.copy_(torch.from_numpy(-np.mean(means, axis=0) @ directions))
    return projector


def _speaker_means(scatter: Scatter) -> np.ndarray:
    """Return for each class the mean of all clips of its speaker, ``(classes, d)``."""
    _, speaker = np.unique(scatter.speakers, return_inverse=True)
    sums = np.zeros((speaker.max() + 1, scatter.means.shape[1]))
    np.add.at(sums, speaker, scatter.counts[:, None] * scatter.means)
    return (sums / np.bincount(speaker, scatter.counts)[:, None])[speaker]


def linear_discriminants(signal: np.ndarray, noise: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Fisher's linear discriminants of covariances between and within classes, each ``(d, d)``.

    Returns:
        ``(d, width)``, scaled to unit variance within classes; and ``(width,)`` their variance between
        classes, positive and falling.
    """
    # Classes of one clip have no variance within: a trace of the signal keeps the problem solvable.
    typical = max(np.trace(noise), 1e-6 * np.trace(signal), 1e-12) / len(noise)
    noise = (1 - _SHRINKAGE) * noise + _SHRINKAGE * typical * np.eye(len(noise))
    values, directions = scipy.linalg.eigh(signal, noise)
    return directions[:, ::-1][:, :width].copy(), np.maximum(values[::-1], 1e-6 * values[-1])[:width]
