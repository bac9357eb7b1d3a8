"""How sure an adapted model can be, by the shots alone: each is classified by a head fitted to the others."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from voicefit.adaptation.method import ConfiguredMethod
from voicefit.adaptation.shots import Shots
from voicefit.scores import score

_MOST_SHOTS = 200
"""More shots take long, and are enough to hold some back for a test."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Each shot under a head fitted to the others.

    Attributes:
        logits: ``(k, classes)``.
        targets: the class of each shot, ``(k,)``.
    """

    logits: np.ndarray
    targets: np.ndarray

    @property
    def right(self) -> int:
        """Shots whose likeliest class is their own."""
        return int((self.logits.argmax(1) == self.targets).sum())

    @property
    def macro_f1(self) -> float:
        """Mean over the classes of the harmonic mean of precision and recall."""
        return score(self.targets.tolist(), self.logits.argmax(1).tolist())["macro_f1"]

    @property
    def chance(self) -> float:
        """Shots that guessing gets right on average, each class as often as it occurs: k · Σ share²."""
        shares = np.bincount(self.targets) / len(self.targets)
        return float(len(self.targets) * (shares**2).sum())

    def to_json(self) -> dict[str, Any]:
        """Plain data for a model's record."""
        return {
            "clips": len(self.targets),
            "right": self.right,
            "chance": self.chance,
            "macro_f1": self.macro_f1,
        }

    def words(self) -> str:
        """The counts in a sentence for people."""
        return (
            f"on {len(self.targets)} clips: {self.right} right when each was left out (chance {self.chance:.3g}), "
            f"macro F1 {self.macro_f1:.2f}"
        )


def leave_one_out(method: ConfiguredMethod[Any], encoder: Any, shots: Shots, seed: int) -> LeaveOneOut | None:
    """Fit a head to all shots but one, for each of them; ``None`` where that says nothing.

    That is where a class has one shot, which cannot be left out, or none; where the method trains the encoder, so that
    each shot would take as long as the whole adaptation; and where there are over 200 shots.

    Few shots make it too low: each is classified by a head that lacks a clip of that very class (docs/evidence.md).
    """
    count = len(shots.targets)
    if (
        method.method.trains_encoder
        or np.bincount(shots.targets, minlength=shots.classes).min() < 2
        or count > _MOST_SHOTS
    ):
        return None
    rows = []
    for index in range(count):
        others = [other for other in range(count) if other != index]
        head = method.fit(encoder, _subset(shots, others), seed)
        rows.append(head(shots.pooled[index : index + 1])[0])
    return LeaveOneOut(np.stack(rows), shots.targets)


def _subset(shots: Shots, chosen: list[int]) -> Shots:
    # The methods that are fitted here leave the encoder as it is: they read no frames.
    return replace(shots, pooled=shots.pooled[chosen], frames=[], targets=shots.targets[chosen])
