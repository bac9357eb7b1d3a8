"""Learning of a prior from labelled clips: discriminants, and a linear head for each label of the corpora."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from voicefit.corpora import Clip
from voicefit.heads.discriminants import in_double, linear_discriminants, scatter_of
from voicefit.heads.prior import Prior

WIDTH = 128
"""A prior keeps at most so many discriminants."""

_INVERSE_PENALTY = 1000.0
"""The ``C`` of scikit-learn's logistic regression, for clip weights that add up to 1."""

_NEUTRAL = "neutral"
"""The label of clips without emotion, in all corpora that have it."""


@dataclass(frozen=True)
class _CorpusStatistics:
    """The statistics of one corpus.

    Attributes:
        vectors: the pooled vectors of its clips, ``(clips, d)``.
        labels: the labels of its clips.
        within: the covariance about the means of classes, ``(d, d)``.
        means: for each speaker, the mean vector of each label.
    """

    vectors: Tensor
    labels: np.ndarray
    within: np.ndarray
    means: list[dict[str, np.ndarray]]

    @property
    def centres(self) -> np.ndarray:
        """The mean of the label means of each speaker, ``(speakers, d)``."""
        return np.array([np.mean(list(means.values()), axis=0) for means in self.means])

    @property
    def deviations(self) -> np.ndarray:
        """The label means of all speakers about their centres, ``(classes, d)``."""
        pairs = zip(self.means, self.centres, strict=True)
        return np.array([mean - centre for means, centre in pairs for mean in means.values()])

    @property
    def neutral(self) -> np.ndarray | None:
        """The mean of neutral clips about their speaker's centre, ``(d,)``; ``None`` without neutral clips."""
        pairs = zip(self.means, self.centres, strict=True)
        deviations = [means[_NEUTRAL] - centre for means, centre in pairs if _NEUTRAL in means]
        return np.mean(deviations, axis=0) if deviations else None


def learn_prior(pooled: Mapping[str, Tensor], clips: Mapping[str, Sequence[Clip]]) -> Prior:
    """Learn a prior from labelled clips.

    Args:
        pooled: corpus → ``(clips, hidden_size)``.
        clips: corpus → its clips, in the same order.
    """
    corpora = [_statistics(pooled[name], part) for name, part in clips.items()]
    between = np.mean([corpus.deviations.T @ corpus.deviations / len(corpus.deviations) for corpus in corpora], axis=0)
    within = np.mean([corpus.within for corpus in corpora], axis=0)
    basis, signal = linear_discriminants(between, within, WIDTH)
    centres = [corpus.centres.mean(axis=0) for corpus in corpora]
    origin = np.mean(centres, axis=0)
    neutral = [corpus.neutral @ basis for corpus in corpora if corpus.neutral is not None]
    labels = sorted({str(label) for corpus in corpora for label in corpus.labels})
    corpus_counts = [sum(label in corpus.labels for corpus in corpora) for label in labels]
    # Clips are centred by corpus, not by speaker: the heads then learn to ignore differences between speakers.
    points = [_project(corpus.vectors, centre, basis) for corpus, centre in zip(corpora, centres, strict=True)]
    heads = [_fit_head(points, [corpus.labels for corpus in corpora], label, signal) for label in labels]
    return Prior(
        labels=tuple(labels),
        shared=sum(count > 1 for count in corpus_counts) if len(corpora) > 1 else len(labels),
        origin=origin,
        basis=basis,
        signal=signal,
        speakers=np.mean([(((corpus.centres - origin) @ basis) ** 2).mean(axis=0) for corpus in corpora], axis=0),
        neutral=np.mean(neutral, axis=0) if neutral else np.zeros(len(signal)),
        heads=np.array([weight for weight, _ in heads]),
        biases=np.array([bias for _, bias in heads]),
    )


def _project(vectors: Tensor, origin: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return np.concatenate([(part - origin) @ basis for _, part in in_double(vectors)])


def _statistics(vectors: Tensor, clips: Sequence[Clip]) -> _CorpusStatistics:
    scatter = scatter_of(vectors, clips)
    means: dict[str, dict[str, np.ndarray]] = {}
    for speaker, label, mean in zip(scatter.speakers, scatter.labels, scatter.means, strict=True):
        means.setdefault(speaker, {})[label] = mean
    labels = np.array([str(clip.label) for clip in clips])
    return _CorpusStatistics(vectors, labels, scatter.within, list(means.values()))


def _fit_head(
    points: Sequence[np.ndarray], labels: Sequence[np.ndarray], label: str, signal: np.ndarray
) -> tuple[np.ndarray, float]:
    """Fit logistic regression of a label against the others, on the corpora that have it; each side weighs half.

    The penalty of a weight is inverse to the signal: directions in which emotions do not differ have little influence.
    """
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
    """Return clip weights: half for the clips of ``label``, half for the other labels, evenly."""
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = np.where(names == label, 0.5, 0.5 / (len(names) - 1))
    return (shares / counts)[index]
