"""What every adaptation method is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior

OTHER: Final = "other"
"""The first class of a one-vs-rest task: whatever does not carry the emotion."""


@dataclass(frozen=True)
class Shots:
    """The labelled clips of one voice.

    Attributes:
        pooled: the encoder's output for each clip before any adaptation, float32 ``(k, size)``.
        frames: the front end's output for each clip, ``(frames, width)``; only methods that train the encoder
            read it.
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

    pooled: Tensor
    frames: Sequence[Tensor]
    targets: Tensor
    classes: int
    validation: "Shots | None" = None
    labels: tuple[str, ...] = ()
    unlabelled: Tensor = field(default_factory=lambda: torch.empty(0))
    prior: Prior | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        """Refuse shots from which a class cannot be learnt."""
        missing = torch.bincount(self.targets, minlength=self.classes) == 0
        if missing.any() and not self.partial:
            names = ", ".join(str(index) for index in missing.nonzero().flatten().tolist())
            raise VoicefitError(f"no clip of class {names} among the {len(self.targets)} shots; each needs one")

    @property
    def one_vs_rest(self) -> bool:
        """Whether one emotion is told from a rest without names."""
        return self.classes == 2 and self.labels[:1] == (OTHER,)

    def importance(self) -> np.ndarray:
        """Return how many clips each shot counts as, ``(k,)``: every class counts the same, and all add up to k."""
        targets = self.targets.cpu().numpy()
        counts = np.bincount(targets, minlength=self.classes)
        return np.asarray(len(targets) / max(1, int((counts > 0).sum())) / counts[targets])
