"""A bounded queue of work beside the event loop; a full queue refuses a request at once."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from voicefit.errors import VoicefitError

Result = TypeVar("Result")


class BusyError(VoicefitError):
    """The error for a full queue or too many sessions; the same request may succeed later."""


class Lane:
    """Threads for one kind of work, and a count of its requests.

    Encoders let other threads run while they compute: a lane does not block another lane, nor the event loop.
    """

    def __init__(self, name: str, workers: int, waiting: int):
        self.name, self._places = name, workers + waiting
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._inside = 0

    @property
    def inside(self) -> int:
        """The number of requests that arrive, wait or run."""
        return self._inside

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the block; a request takes one before its body is read.

        Raises:
            BusyError: there is no free place.
        """
        with self._lock:
            if self._inside >= self._places:
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
        """Drop waiting work, and wait for running work."""
        self._pool.shutdown(wait=True, cancel_futures=True)
