"""The time that workers of a sweep take to start, and their memory.

Forks of a process that has done the imports, as on Linux, are compared with fresh processes, as on other systems.

Their tasks do nothing, and load no encoder: what is measured is the same for all methods.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import in_own_process, parse_options, publish
from voicefit.sweep.jobs import Record
from voicefit.sweep.process_transport import ProcessTransport
from voicefit.sweep.scheduler import Scheduler


class Idle:
    """Stands for an encoder and its trials: the module that every encoder needs, and a moment for each task."""

    devices = ("cpu",)

    def runner(self, device: str) -> "Idle":
        """Itself."""
        return self

    def run(self, group: Iterable[Any]) -> Iterator[Record[Any]]:
        """Yield a record of each job after a tenth of a second."""
        import transformers.models.wav2vec2.modeling_wav2vec2  # noqa: F401

        for job in group:
            time.sleep(0.1)
            yield Record(job)


def begin(method: str, workers: int) -> tuple[float, float, float]:
    """Seconds until the first worker has done something and until the last has, and MB of all, shared pages once."""
    groups = deque(deque((worker, index) for index in range(100)) for worker in range(workers))
    began, first, seen = time.perf_counter(), 0.0, set()
    with contextlib.closing(Scheduler(groups, ProcessTransport(Idle(), method), workers).records()) as records:
        while len(seen) < workers:
            seen.add(next(records).job[0])
            first = first or time.perf_counter() - began
        return first, time.perf_counter() - began, memory()


def memory() -> float:
    """Of all descendants of this process, MB: the proportional set size, in which a page that n share counts 1/n."""
    return sum(_proportional(process.pid) for process in psutil.Process().children(recursive=True)) / 1024


def _proportional(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def rows(quick: bool) -> Iterator[dict[str, Any]]:
    """A row per number of workers and way to start them."""
    for workers in (2,) if quick else (1, 2, 4, 8):
        for method in ("spawn", "forkserver"):
            (first, last, megabytes), _ = in_own_process(begin, method, workers)
            yield {
                "workers": workers,
                "start": method,
                "first begins, s": first,
                "last begins, s": last,
                "memory of all, MB": megabytes,
            }


if __name__ == "__main__":
    options = parse_options(__doc__)
    publish(list(rows(options.quick)), options)
