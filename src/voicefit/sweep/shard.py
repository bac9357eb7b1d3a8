"""Parts of a sweep that run apart from each other, and the run that they make together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voicefit.errors import VoicefitError
from voicefit.sweep.specs import TrialSpec


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a plan's trials; ``index`` is from 1 to ``count``."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read "2/8".

        Raises:
            VoicefitError: not two numbers, or the first is not from 1 to the second.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise VoicefitError(f"--shard {text}: write I/N, as 1/8 … 8/8")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """As :meth:`parse` reads it."""
        return f"{self.index}/{self.count}"

    def of(self, trials: Sequence[TrialSpec]) -> list[TrialSpec]:
        """This part of ``trials``: of equal size to one trial, and of few starting points and speakers."""
        together = sorted(trials, key=lambda trial: (trial.encoder, trial.start, trial.target, trial.speaker))
        first, last = (len(together) * edge // self.count for edge in (self.index - 1, self.index))
        return together[first:last]
