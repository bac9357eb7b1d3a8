"""What every adaptation method is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior

if TYPE_CHECKING:
    from torch import Tensor

OTHER: Final = "other"
"""The first class of a one-vs-rest task: whatever does not carry the emotion."""


@dataclass(frozen=True)
class Shots:
    """The labelled clips of one voice.

    Attributes:
        pooled: the encoder's output for each clip before any adaptation, float32 ``(k, size)``.
        frames: the front end's output for each clip, tensors ``(frames, width)``; only methods that train the encoder
            read it, and others may be given none.
        targets: class of each clip, int64 ``(k,)``, 0 … classes - 1.
        classes: how many classes there are.
        validation: labelled clips beyond the shots, under the ``paper`` protocol alone.
        labels: the names of the classes, where a method is to know them; for one-vs-rest ``("other", emotion)``.
        unlabelled: pooled vectors of more clips of the voice, ``(clips, size)``.
        prior: what the start's corpora know of labels; ``None`` for a start without.
        partial: whether a class may have no clip yet; only the methods that begin at the prior can tell it then.

    Raises:
        VoicefitError: a class has no clip, and ``partial`` does not allow it.
    """

    pooled: np.ndarray
    frames: "Sequence[Tensor]"
    targets: np.ndarray
    classes: int
    validation: "Shots | None" = None
    labels: tuple[str, ...] = ()
    unlabelled: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    prior: Prior | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        """Refuse shots from which a class cannot be learnt."""
        missing = np.flatnonzero(np.bincount(self.targets, minlength=self.classes) == 0)
        if len(missing) and not self.partial:
            names = ", ".join(map(str, missing))
            raise VoicefitError(f"no clip of class {names} among the {len(self.targets)} shots; each needs one")

    @property
    def one_vs_rest(self) -> bool:
        """Whether one emotion is told from a rest without names."""
        return self.classes == 2 and self.labels[:1] == (OTHER,)

    def importance(self) -> np.ndarray:
        """Return how many clips each shot counts as, ``(k,)``: every class counts the same, and all add up to k."""
        return importance_of(self.targets[None], self.classes)[0]

    def alone(self) -> "ShotsBatch":
        """Return a batch of these shots alone."""
        k, clips = len(self.pooled), len(self.unlabelled)
        voice = Voice(np.concatenate([self.pooled, self.unlabelled]) if clips else self.pooled, self.prior)
        rows = np.arange(k + clips)[None]
        return ShotsBatch(voice, rows[:, :k], self.targets[None], self.classes, (self.labels,), rows[:, k:])


class Voice:
    """The clips of one voice, of which every trial takes some.

    Args:
        pooled: the encoder's output for each clip before any adaptation, float32 ``(clips, size)``.
        prior: what the start's corpora know of labels; ``None`` for a start without.
    """

    def __init__(self, pooled: np.ndarray, prior: Prior | None):
        self.pooled, self.prior = pooled, prior

    @cached_property
    def points(self) -> np.ndarray:
        """The clips in the prior's discriminants, ``(clips, discriminants)``, float64."""
        assert self.prior is not None
        return self.prior.project(self.pooled)


@dataclass(frozen=True)
class ShotsBatch:
    """The shots of several trials of one voice that are alike in number: ``trials`` times ``k``.

    Attributes:
        voice: its clips.
        rows: which of them are shots, ``(trials, k)``.
        targets: class of each shot, ``(trials, k)``, 0 … classes - 1.
        classes: how many classes there are.
        labels: the names of the classes of each trial, as those of :class:`Shots`.
        unlabelled: which more of the clips each trial is given without labels, ``(trials, clips)``.
    """

    voice: Voice
    rows: np.ndarray
    targets: np.ndarray
    classes: int
    labels: Sequence[tuple[str, ...]]
    unlabelled: np.ndarray

    @property
    def one_vs_rest(self) -> bool:
        """Whether one emotion is told from a rest without names."""
        return self.classes == 2 and self.labels[0][:1] == (OTHER,)

    def repeated(self, count: int) -> "ShotsBatch":
        """Return a batch with every trial so many times."""
        rows, targets, unlabelled = (np.tile(part, (count, 1)) for part in (self.rows, self.targets, self.unlabelled))
        return replace(self, rows=rows, targets=targets, labels=list(self.labels) * count, unlabelled=unlabelled)

    def importance(self) -> np.ndarray:
        """Return how many clips each shot counts as, ``(trials, k)``, as :meth:`Shots.importance` does."""
        return importance_of(self.targets, self.classes)


def importance_of(targets: np.ndarray, classes: int) -> np.ndarray:
    """Return how many clips each shot counts as, ``(…, k)``: every class counts the same, and all add up to k.

    Args:
        targets: the classes of sets of shots, ``(…, k)``.
        classes: how many there are.
    """
    counts = (targets[..., None] == np.arange(classes)).sum(axis=-2)
    share = targets.shape[-1] / np.maximum(1, (counts > 0).sum(axis=-1, keepdims=True))
    return np.asarray(share / np.take_along_axis(counts, targets, axis=-1))


def shots_without_clips(prior: Prior, unlabelled: np.ndarray) -> Shots:
    """Return shots of all labels of the corpora, without a clip, and pooled vectors ``(clips, hidden_size)``."""
    return Shots(
        unlabelled[:0],
        [],
        np.empty(0, np.int64),
        len(prior.labels),
        labels=prior.labels,
        unlabelled=unlabelled,
        prior=prior,
        partial=True,
    )
