"""Which process of a run prints, when a launcher such as `torchrun` has started several."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from voicefit.errors import VoicefitError

QUIET_EXIT_DELAY_S = 3.0
"""A process that fails without a message waits so many seconds before it exits.

Launchers end all processes when one exits: the process that reports the error needs the time.
"""


def process_count() -> int:
    """Return how many processes a launcher has started for this run; 1 without a launcher.

    Raises:
        VoicefitError: the environment variable is not a number.
    """
    return _number("WORLD_SIZE", 1)


def is_rank_zero() -> bool:
    """Report whether this process is the one that prints.

    Raises:
        VoicefitError: as :func:`process_count`.
    """
    return process_count() == 1 or _number("RANK", 0) == 0


@contextmanager
def only_rank_zero_reports(*mistakes: type[Exception]) -> Iterator[None]:
    """Let rank 0 alone raise ``mistakes``, errors that every process meets, such as a wrong command line.

    The other processes exit with code 2 and print nothing.
    """
    try:
        yield
    except mistakes as error:
        if is_rank_zero():
            raise
        time.sleep(QUIET_EXIT_DELAY_S)
        raise SystemExit(2) from error


def _number(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    try:
        return int(value)
    except ValueError as error:
        raise VoicefitError(
            f"the environment variable {name} is {value!r}, not a number; unset it, or start with torchrun"
        ) from error
