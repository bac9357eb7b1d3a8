"""A bounded queue of work beside the event loop: who finds it full is told at once."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from voicefit.errors import VoicefitError

Result = TypeVar("Result")


class BusyError(VoicefitError):
    """There is no room for more work or another session; the same request may succeed in a while."""


class Lane:
    """Threads for one kind of work, and a count of the requests that are in it.

    PyTorch lets other threads run while it computes, so that a lane does not hold up another, nor the event loop.
    """

    def __init__(self, name: str, workers: int, waiting: int):
        self.name, self._room = name, workers + waiting
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._inside = 0

    @property
    def inside(self) -> int:
        """Requests that are arriving, waiting or at work."""
        return self._inside

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for as long as the block lasts, before reading what was sent.

        Raises:
            BusyError: there is none.
        """
        with self._lock:
            if self._inside >= self._room:
                raise BusyError(f"{self._inside} requests to {self.name} are waiting already; try again in a while")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    async def run(self, job: Callable[[], Result]) -> Result:
        """Run ``job`` in a thread of this lane; the caller holds a place."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    def close(self) -> None:
        """Drop what waits, and wait for what is at work."""
        self._pool.shutdown(wait=True, cancel_futures=True)
