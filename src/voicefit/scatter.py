"""How pooled vectors lie about the means of their classes; a class is what one speaker says under one label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
