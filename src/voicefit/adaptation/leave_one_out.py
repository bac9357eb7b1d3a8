"""How sure an adapted model can be, by the shots alone: each is classified by a head fitted to the others."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from voicefit.adaptation.copies import copies_in, fewest_sounds
from voicefit.adaptation.method import ConfiguredMethod
from voicefit.adaptation.shots import Shots
from voicefit.scores import score

_ENOUGH = 4
"""With so many different clips of every label the share of right ones is at most 0.08 too low; with two, 0.1 to 0.3
(research/confidence.md)."""

_MOST_SHOTS = 200
"""More shots take long, and are enough to hold some back for a test."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Each shot under a head fitted to the others.

    Attributes:
        logits: ``(k, classes)``.
        targets: the class of each shot, ``(k,)``.
        fewest: how many different shots the class with the fewest has.
        copies: how many shots are copies of others; each was left out together with its copies.
    """

    logits: np.ndarray
    targets: np.ndarray
    fewest: int
    copies: int = 0

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

    @property
    def is_rough(self) -> bool:
        """Whether a class has so few shots that a head which lacks one of them is much worse than that of all."""
        return self.fewest < _ENOUGH

    def to_json(self) -> dict[str, Any]:
        """Plain data for a model's record."""
        return {
            "clips": len(self.targets),
            "right": self.right,
            "chance": self.chance,
            "macro_f1": self.macro_f1,
            "copies": self.copies,
            "fewest": self.fewest,
        }

    def words(self) -> str:
        """The counts for people, and what they are worth where there are few shots."""
        clips, left_out = f"{len(self.targets)} clips", "each was left out"
        if self.copies:
            clips += f", {self.copies} of them {'a copy' if self.copies == 1 else 'copies'} of others"
            left_out = "each was left out with its copies"
        counts = f"{clips}: {self.right} right when {left_out} (chance {self.chance:.3g})"
        if not self.is_rough:
            return f"on {counts}, macro F1 {self.macro_f1:.2f}"
        return (
            f"hard to tell from {self.fewest} clips of a label. On {counts}, which is mostly far too low. "
            "`voicefit evaluate` on other clips tells better"
        )


def leave_one_out(
    method: ConfiguredMethod[Any], encoder: Any, shots: Shots, seed: int, groups: np.ndarray | None = None
) -> LeaveOneOut | None:
    """Fit a head to all shots but one and its copies, for each of them; ``None`` where that says nothing.

    That is where a class has one shot, which cannot be left out, or copies of one, or none; where the method trains the
    encoder, so that each shot would take as long as the whole adaptation; and where there are over 200 shots.

    Few shots make it too low: each is classified by a head that lacks a clip of that class (research/confidence.md).

    Args:
        method: the method that fits the heads.
        encoder: at its starting point.
        shots: the labelled clips of one voice.
        seed: fixes what the method draws at random.
        groups: see :func:`voicefit.adaptation.copies.groups_of`; ``None`` where no shot is a copy of another.
    """
    count = len(shots.targets)
    groups = np.arange(count) if groups is None else groups
    fewest = fewest_sounds(groups, shots.targets, shots.classes)
    if method.method.trains_encoder or fewest < 2 or count > _MOST_SHOTS:
        return None
    rows = []
    for index in range(count):
        others = np.flatnonzero(groups != groups[index]).tolist()
        head = method.fit(encoder, _subset(shots, others), seed)
        rows.append(head(shots.pooled[index : index + 1])[0])
    return LeaveOneOut(np.stack(rows), shots.targets, fewest, copies_in(groups))


def _subset(shots: Shots, chosen: list[int]) -> Shots:
    # The methods that are fitted here leave the encoder as it is: they read no frames.
    return replace(shots, pooled=shots.pooled[chosen], frames=[], targets=shots.targets[chosen])
