"""Which process of a run speaks, where a launcher such as `torchrun` has started several."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from voicefit.errors import VoicefitError

LAST_WORDS = 3.0
"""Seconds that a process which fails in silence leaves to the one that says why: launchers end all when one ends."""


def process_count() -> int:
    """How many processes a launcher has started for this run; 1 without a launcher.

    Raises:
        VoicefitError: the environment says something else than a number.
    """
    return _number("WORLD_SIZE", 1)


def is_first() -> bool:
    """Whether this process is the one to print what the run has to say; raises as :func:`process_count`."""
    return process_count() == 1 or _number("RANK", 0) == 0


@contextmanager
def first_tells(*mistakes: type[Exception]) -> Iterator[None]:
    """Around what follows from the command line alone: of ``mistakes``, which every process meets, the first tells.

    In the others they become the end of the process, with exit code 2 and without a word.
    """
    try:
        yield
    except mistakes as error:
        if is_first():
            raise
        time.sleep(LAST_WORDS)
        raise SystemExit(2) from error


def _number(name: str, otherwise: int) -> int:
    value = os.environ.get(name) or str(otherwise)
    try:
        return int(value)
    except ValueError as error:
        raise VoicefitError(
            f"the environment variable {name} is {value!r}, not a number; unset it, or start with torchrun"
        ) from error
