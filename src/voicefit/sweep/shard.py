"""Parts of a sweep that run apart from each other, and the run that they make together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voicefit.errors import VoicefitError
from voicefit.sweep.specs import TrialSpec


@dataclass(frozen=True)
class Shard:
    """One part of a plan's trials.

    Attributes:
        index: which part, from 1 to ``count``.
        count: how many parts there are.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read a shard as ``2/8``.

        Raises:
            VoicefitError: not two numbers, or the first is not from 1 to the second.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise VoicefitError(f"--shard {text}: write I/N, as 1/8 … 8/8")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        """The shard as :meth:`parse` reads it."""
        return f"{self.index}/{self.count}"

    def of(self, trials: Sequence[TrialSpec]) -> list[TrialSpec]:
        """Return this part of the trials; parts differ by one trial at most, and have few starting points each."""
        together = sorted(trials, key=lambda trial: (trial.encoder, trial.start, trial.target, trial.speaker))
        first, last = (len(together) * edge // self.count for edge in (self.index - 1, self.index))
        return together[first:last]
