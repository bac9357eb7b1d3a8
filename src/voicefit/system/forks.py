"""Many short pieces of work, shared out among forks of this process."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST = 8
"""More processes than this wait for one disk."""

_WORTH_A_FORK = 500
"""So many pieces of work at least."""

_AT_ONCE = 50
"""So many pieces of work go to a process at once."""


def map_in_forks(act: Callable[[_Item], _Result], items: Sequence[_Item]) -> Generator[_Result]:
    """Yield ``act(item)`` for every item in turn; where there are many, each core takes a share.

    Where the system kills a fork, as for want of memory, this process does the rest.

    Args:
        act: what can be pickled, as all of a module can. A fork must leave alone torch, and what other threads hold.
        items: what can be pickled.
    """
    processes = min(_cores(), _MOST)
    if processes < 2 or len(items) < _WORTH_A_FORK:
        yield from map(act, items)
        return
    context, done = multiprocessing.get_context("fork"), 0
    with (
        contextlib.suppress(BrokenExecutor),
        ProcessPoolExecutor(processes, context, leave_interrupts_to_the_parent) as pool,
    ):
        for result in pool.map(act, items, chunksize=_AT_ONCE):
            done += 1
            yield result
    yield from map(act, items[done:])


def _cores() -> int:
    """Return how many cores forks may run on; libraries of other systems, and a cluster's, may not survive a fork."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" and "ray" not in sys.modules else 1


def leave_interrupts_to_the_parent() -> None:
    """Ignore Ctrl-C, which reaches every process of a terminal: a worker's parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
