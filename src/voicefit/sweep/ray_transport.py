"""Workers that are actors of a Ray cluster; the cluster ends those of a process that dies.

Ray's own retries are off: what is tried again, and how often, is the scheduler's to decide.
"""

import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray

from voicefit.errors import VoicefitError
from voicefit.sweep.jobs import JobSource, Message, Record, worker_name
from voicefit.sweep.ray_cluster import last_line
from voicefit.sweep.scheduler import WorkerLostError
from voicefit.system.heap import keep_freed_memory
from voicefit.system.machine import describe_versions

_WAIT_FOR_ROOM_S = 300.0
"""A sweep ends when no worker was ready for this long, as while none of the cluster's nodes has room for one."""

_MOST_FAILED_STARTS = 3
"""A sweep ends when this many workers in a row were lost before they were ready: the next would be lost too."""


class NeededFile(NamedTuple):
    """A file that a worker must see as this process does.

    Attributes:
        part_of: what the file belongs to, for messages.
        path: its absolute path.
        size: its bytes as they are here.
    """

    part_of: str
    path: str
    size: int

    @classmethod
    def at(cls, part_of: str, path: Path) -> "NeededFile":
        """Return a file as it is here."""
        return cls(part_of, str(path), path.stat().st_size)


class _Actor:
    """A worker, in a process of its own on some node."""

    def __init__(self, source: JobSource[Any]):
        keep_freed_memory()
        self._runner = source.runner("cuda:0" if ray.get_gpu_ids() else "cpu")

    def check_node(self, files: Sequence[NeededFile], versions: dict[str, str]) -> tuple[str, str]:
        """Return the worker's name, and what keeps its node from working like the scheduler's; empty for nothing."""
        return worker_name(), self._fault(files, versions)

    def _fault(self, files: Sequence[NeededFile], versions: dict[str, str]) -> str:
        node = f"node {platform.node()} ({ray.util.get_node_ip_address()})"
        for name, version in describe_versions().items():
            if version != versions[name]:
                return f"{node} has {name} {version}, and this one has {versions[name]}; install the same"
        for part_of, path, size in files:
            try:
                size_on_node = os.stat(path).st_size
            except OSError:
                return f"{node} cannot see {path} of {part_of}; every node must mount it under that path"
            if size_on_node != size:
                return f"{node} sees another {path} of {part_of}: {size_on_node} bytes, and here it has {size}"
        return ""

    def run(self, group: Sequence[Any]) -> Iterator[Message[Any]]:
        """Yield the messages of a group."""
        yield from self._runner.run(group)


class RayWorker:
    """A worker on the cluster, which looks at files and versions before it is ready.

    Args:
        transport: which started it.
        actor: the handle of its actor.
        check: the reference to what the actor finds on its node.
    """

    def __init__(self, transport: "RayTransport", actor: Any, check: Any):
        self._transport, self._actor = transport, actor
        self.is_ready = False
        self.awaited = check
        """What is to be read next: the check, then the stream of messages of a group; ``None`` at rest."""
        self._jobs_left = 0
        self.name = "a worker that was not ready"

    def send(self, group: Sequence[Any]) -> None:
        """Give the actor a group of jobs."""
        self._jobs_left = len(group)
        self.awaited = self._actor.run.options(num_returns="streaming").remote(list(group))

    def has_message(self) -> bool:
        """Return whether a message waits to be read."""
        return bool(ray.wait([self.awaited], timeout=0)[0])

    def receive(self) -> Message[Any] | None:
        """Read a message, or what was found on the node.

        Raises:
            WorkerLostError: the worker or its node is lost; with Ray's cause.
            VoicefitError: the node is not fit for work, workers cannot start, or the worker fails by itself. A trial's
                own errors are in its record.
        """
        try:
            answer = ray.get(next(self.awaited) if self.is_ready else self.awaited)
        except ray.exceptions.RayTaskError as error:
            raise VoicefitError(f"a worker on the Ray cluster failed: {last_line(error)}") from error
        except (StopIteration, ray.exceptions.RayError) as error:
            if not self.is_ready:
                self._transport.count_failed_start(last_line(error))
            raise WorkerLostError(last_line(error)) from error
        if not self.is_ready:
            self._become_ready(*answer)
            return None
        if isinstance(answer, Record | tuple):
            self._jobs_left -= 1
        if not self._jobs_left:
            self.awaited = None
        message: Message[Any] = answer
        return message

    def _become_ready(self, name: str, fault: str) -> None:
        self.name = name
        if fault:
            raise VoicefitError(f"Ray: {fault}")
        self.is_ready, self.awaited = True, None
        self._transport.failed_starts = 0

    def kill(self) -> None:
        """End the actor."""
        ray.kill(self._actor)


class RayTransport:
    """Starts workers on the cluster that this process is connected to.

    Args:
        source: what workers need besides their jobs, with absolute paths; its devices are not read.
        files: what every worker must see before it is given jobs.
        needs: what each worker takes of a node, as `share_out` in `ray_cluster.py` gives it.
    """

    def __init__(self, source: JobSource[Any], files: Sequence[NeededFile], needs: dict[str, Any]):
        self._actor = ray.remote(_Actor).options(**needs, max_restarts=0, scheduling_strategy="SPREAD")
        self._source, self._files = ray.put(source), ray.put(files)
        self.failed_starts = 0
        """Workers in a row that were lost before they were ready."""
        self._last_ready_at = time.monotonic()  # when a worker was last seen that could be given jobs

    @property
    def worker_name(self) -> str:
        """What messages to a person call a worker."""
        return "worker"

    def start(self, living: Sequence[RayWorker]) -> RayWorker:
        """Ask the cluster for a worker; it begins when a node has room."""
        actor = self._actor.remote(self._source)
        return RayWorker(self, actor, actor.check_node.remote(self._files, describe_versions()))

    def count_failed_start(self, cause: str) -> None:
        """Count a worker that was lost before it was ready.

        Raises:
            VoicefitError: it was one too many in a row.
        """
        self.failed_starts += 1
        if self.failed_starts == _MOST_FAILED_STARTS:
            raise VoicefitError(f"workers cannot start on the Ray cluster: {cause}")

    def wait(self, workers: Sequence[RayWorker], timeout: float | None) -> list[RayWorker]:
        """Wait until workers can be read, and for as long as a node may take to have room.

        Raises:
            VoicefitError: no worker has been ready for too long.
        """
        now = time.monotonic()
        if any(worker.is_ready for worker in workers):
            self._last_ready_at = now
        elif now - self._last_ready_at > _WAIT_FOR_ROOM_S:
            raise VoicefitError(
                f"no node of the Ray cluster has had room for a worker for {_WAIT_FOR_ROOM_S:.0f} s; finished trials "
                "are kept, and the same command resumes"
            )
        awaited = {worker.awaited: worker for worker in workers if worker.awaited is not None}
        if not ray.wait(list(awaited), timeout=_WAIT_FOR_ROOM_S if timeout is None else timeout)[0]:
            return []
        return [awaited[ready] for ready in ray.wait(list(awaited), num_returns=len(awaited), timeout=0)[0]]
