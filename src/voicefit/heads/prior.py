"""What the corpora teach of each label, before a new speaker's first shot: a head, and the frame in which to read it.

The encoder's pooled vectors ``(clips, hidden_size)`` are projected on linear discriminants, in which clips of one
speaker and emotion have unit variance; everything else is told in these coordinates. Each corpus counts the same, and
each label of a speaker.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from voicefit.corpora import Clip
from voicefit.errors import VoicefitError
from voicefit.heads.discriminants import in_double, linear_discriminants, scatter_of

WIDTH = 128
"""Discriminants kept, at most."""

_INVERSE_PENALTY = 1000.0
"""Of the heads, on weights that add up to 1 over the clips."""

_NEUTRAL = "neutral"


@dataclass(frozen=True)
class Prior:
    """What a checkpoint remembers of its corpora's labels; ``w`` discriminants of ``d`` = ``hidden_size`` dimensions.

    Attributes:
        labels: those that any corpus has.
        shared: how many of them two corpora have, or all of them where there is one corpus.
        origin: ``(d,)``, the mean of the corpora's means.
        basis: ``(d, w)``, the discriminants.
        signal: ``(w,)``, variance of a speaker's label means along each discriminant, falling.
        speakers: ``(w,)``, variance of speakers' means about the origin.
        neutral: ``(w,)``, mean of neutral clips about their speaker's mean; 0 where no corpus has any.
        heads, biases: ``(labels, w)`` and ``(labels,)``: log-odds of each label against the others, at even odds.
    """

    labels: tuple[str, ...]
    shared: int
    origin: np.ndarray
    basis: np.ndarray
    signal: np.ndarray
    speakers: np.ndarray
    neutral: np.ndarray
    heads: np.ndarray
    biases: np.ndarray

    def project(self, pooled: Tensor) -> np.ndarray:
        """Discriminant coordinates ``(clips, w)`` of pooled vectors ``(clips, d)``, float64."""
        return _project(pooled.reshape(-1, len(self.origin)), self.origin, self.basis)

    @property
    def log_odds(self) -> float:
        """The log-odds against one label among as many as corpora share, all equally likely."""
        return float(np.log(max(self.shared - 1, 1)))

    def save(self, path: Path) -> None:
        """Write a safetensors file, float32."""
        tensors = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float32) for name in _ARRAYS}
        save_file(tensors, path, metadata={"labels": json.dumps(self.labels), "shared": str(self.shared)})

    @classmethod
    def load(cls, path: Path) -> "Prior":
        """Read what :meth:`save` wrote.

        Raises:
            VoicefitError: the file is damaged or something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                about = file.metadata()
                arrays = {name: file.get_tensor(name).astype(np.float64) for name in _ARRAYS}
            return cls(tuple(json.loads(about["labels"])), int(about["shared"]), **arrays)
        except Exception as error:  # safetensors raises its own kind, which it does not export everywhere
            raise VoicefitError(f"{path}: is damaged, or not what pre-finetuning writes ({error})") from error


_ARRAYS = tuple(field.name for field in fields(Prior) if field.type is np.ndarray)


@dataclass(frozen=True)
class _Lesson:
    """One corpus: its clips, how they vary about their classes and, by speaker, the mean vector of each label."""

    vectors: Tensor
    labels: np.ndarray
    within: np.ndarray
    means: list[dict[str, np.ndarray]]

    @property
    def middles(self) -> np.ndarray:
        return np.array([np.mean(list(means.values()), axis=0) for means in self.means])

    @property
    def deviations(self) -> np.ndarray:
        pairs = zip(self.means, self.middles, strict=True)
        return np.array([mean - middle for means, middle in pairs for mean in means.values()])

    @property
    def neutral(self) -> np.ndarray | None:
        pairs = zip(self.means, self.middles, strict=True)
        found = [means[_NEUTRAL] - middle for means, middle in pairs if _NEUTRAL in means]
        return np.mean(found, axis=0) if found else None


def learn_prior(pooled: Mapping[str, Tensor], clips: Mapping[str, Sequence[Clip]]) -> Prior:
    """Learn from labelled clips.

    Args:
        pooled: corpus → ``(clips, hidden_size)``.
        clips: corpus → its clips, in the same order.
    """
    lessons = [_lesson(pooled[name], part) for name, part in clips.items()]
    between = np.mean([lesson.deviations.T @ lesson.deviations / len(lesson.deviations) for lesson in lessons], axis=0)
    within = np.mean([lesson.within for lesson in lessons], axis=0)
    basis, signal = linear_discriminants(between, within, WIDTH)
    centres = [lesson.middles.mean(axis=0) for lesson in lessons]
    origin = np.mean(centres, axis=0)
    neutral = [lesson.neutral @ basis for lesson in lessons if lesson.neutral is not None]
    labels = sorted({str(label) for lesson in lessons for label in lesson.labels})
    carriers = [sum(label in lesson.labels for lesson in lessons) for label in labels]
    # Centred by corpus and not by speaker: heads then learn to look past what differs between speakers.
    points = [_project(lesson.vectors, centre, basis) for lesson, centre in zip(lessons, centres, strict=True)]
    heads = [_fit_head(points, [lesson.labels for lesson in lessons], label, signal) for label in labels]
    return Prior(
        labels=tuple(labels),
        shared=sum(count > 1 for count in carriers) if len(lessons) > 1 else len(labels),
        origin=origin,
        basis=basis,
        signal=signal,
        speakers=np.mean([(((lesson.middles - origin) @ basis) ** 2).mean(axis=0) for lesson in lessons], axis=0),
        neutral=np.mean(neutral, axis=0) if neutral else np.zeros(len(signal)),
        heads=np.array([weight for weight, _ in heads]),
        biases=np.array([bias for _, bias in heads]),
    )


def _project(vectors: Tensor, origin: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return np.concatenate([(part - origin) @ basis for _, part in in_double(vectors)])


def _lesson(vectors: Tensor, clips: Sequence[Clip]) -> _Lesson:
    scatter = scatter_of(vectors, clips)
    means: dict[str, dict[str, np.ndarray]] = {}
    for speaker, label, mean in zip(scatter.speakers, scatter.labels, scatter.means, strict=True):
        means.setdefault(speaker, {})[label] = mean
    return _Lesson(vectors, np.array([str(clip.label) for clip in clips]), scatter.within, list(means.values()))


def _fit_head(
    points: Sequence[np.ndarray], labels: Sequence[np.ndarray], label: str, signal: np.ndarray
) -> tuple[np.ndarray, float]:
    """Logistic regression of a label against the others on the corpora that have it: half the weight to each side.

    The penalty of a weight is inverse to the signal: directions in which emotions do not differ are not relied on.
    """
    from sklearn.linear_model import LogisticRegression  # here, since who only reads a prior need not wait a second

    used = [index for index, names in enumerate(labels) if label in names and len(np.unique(names)) > 1]
    if not used:
        return np.zeros(len(signal)), 0.0
    scale = np.sqrt(signal / signal[0])
    weights = np.concatenate([_clip_weights(labels[index], label) for index in used]) / len(used)
    model = LogisticRegression(C=_INVERSE_PENALTY, tol=1e-5, max_iter=2000)
    truth = np.concatenate([labels[index] for index in used]) == label
    model.fit(np.vstack([points[index] for index in used]) * scale, truth, sample_weight=weights)
    return model.coef_[0] * scale, float(model.intercept_[0])


def _clip_weights(labels: np.ndarray, label: str) -> np.ndarray:
    """Half to the clips of ``label``, half to the other labels, each of them the same."""
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = np.where(names == label, 0.5, 0.5 / (len(names) - 1))
    return (shares / counts)[index]
