"""What names a starting point and a trial, and the columns that a stored trial is known by."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple


class StartId(NamedTuple):
    """One starting point of a plan.

    Attributes:
        encoder: the encoder's name in the plan.
        start: ``none``, or corpora joined by ``+``.
    """

    encoder: str
    start: str

    def __str__(self) -> str:
        """``encoder/start``, as messages name it."""
        return f"{self.encoder}/{self.start}"


@dataclass(frozen=True)
class TrialSpec:
    """All that a trial's result depends on.

    Attributes:
        encoder: its name in the plan.
        start: ``none`` or corpora joined by ``+``.
        start_key: digest of what made the starting point: encoder, corpora, settings, seed.
        target: the target corpus.
        protocol: ``clean`` or ``paper``.
        task: ``one-vs-rest`` or ``multiclass``.
        method: the plan's name for the method.
        method_key: digest of the method's version and settings.
        speaker: the target's speaker.
        label: the emotion that is classified against the rest; empty for ``multiclass``.
        k: number of support clips in all.
        draw: number of the draw, from 0.
        seed: the plan's seed.
    """

    encoder: str
    start: str
    start_key: str
    target: str
    protocol: str
    task: str
    method: str
    method_key: str
    speaker: str
    label: str
    k: int
    draw: int
    seed: int

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits that stand for the whole spec."""
        return digest({name: getattr(self, name) for name in _FIELDS})

    @property
    def start_id(self) -> StartId:
        """The starting point that the trial begins at."""
        return StartId(self.encoder, self.start)

    @property
    def method_seed(self) -> int:
        """The seed that the method gets, the same for every starting point."""
        return int(digest([self.target, self.speaker, self.label, self.k, self.draw, self.seed])[:15], 16)

    def __str__(self) -> str:
        """The trial in words, as messages name it."""
        cell = f"{self.target}/{self.speaker}, {self.label or self.task}, k={self.k}, draw {self.draw}"
        return f"{self.start_id}, {self.method}, {cell}"


_FIELDS = tuple(field.name for field in fields(TrialSpec))

TRIAL_COLUMNS: dict[str, type] = {
    field.name: int if field.type is int else str
    for field in fields(TrialSpec)
    if field.name not in ("start_key", "method_key")
}
"""The columns that name a trial in a store, and their types: the spec without its digests.

A trial whose starting point or method has changed since has another key, and the same values in these columns.
"""


_encode = json.JSONEncoder(sort_keys=True, default=str).encode  # json.dumps would make one for each trial


def digest(value: Any) -> str:
    """Return 32 hexadecimal digits that stand for a value that JSON can write."""
    return hashlib.blake2b(_encode(value).encode(), digest_size=16).hexdigest()
