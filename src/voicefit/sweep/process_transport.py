"""Workers that are processes of this machine.

When the scheduler's process dies, its workers see their pipe close and end.
"""

import contextlib
import gc
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from voicefit.errors import VoicefitError
from voicefit.sweep.jobs import JobSource, Message, worker_name
from voicefit.sweep.scheduler import WorkerLostError
from voicefit.system.heap import keep_freed_memory

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How workers on processors begin. On Linux they are forks of one process that has done the imports, which take seconds
and memory. Elsewhere, system libraries may not survive a fork; nor does a GPU's driver."""

_PRELOADED = ["voicefit.sweep.preload"]
"""What the process imports that workers are forks of."""

_FORK_SERVER_LOST = 255
"""The exit code that is read of a fork when the process that would have reported it is lost as well."""


@dataclass(eq=False)
class ProcessWorker:
    """A worker process.

    Attributes:
        process: the process, as `multiprocessing` started it.
        pipe: this end of the pipe to it.
        device: where it runs jobs.
    """

    process: Any
    pipe: Connection
    device: str

    @property
    def is_ready(self) -> bool:
        """Always: a pipe keeps a group until the process reads it."""
        return True

    @property
    def name(self) -> str:
        """Its machine and process."""
        return worker_name(self.process.pid)

    def send(self, group: Sequence[Any]) -> None:
        """Write a group of jobs into the pipe."""
        with contextlib.suppress(OSError):  # the process is lost: :meth:`receive` meets the end of its pipe
            self.pipe.send(group)

    def has_message(self) -> bool:
        """Return whether the pipe holds something, its end included."""
        return self.pipe.poll()

    def receive(self) -> Message[Any]:
        """Read a message.

        Raises:
            WorkerLostError: the process was killed; with its exit code.
            VoicefitError: the process has ended by itself. A worker catches whatever a trial raises, so that no other
                worker would do better.
        """
        try:
            message: Message[Any] = self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            if 0 < self.process.exitcode != _FORK_SERVER_LOST:
                raise VoicefitError(
                    f"a worker process ended with exit code {self.process.exitcode}, see its error above. A script "
                    'that uses worker processes must do so below `if __name__ == "__main__":`'
                ) from error
            raise WorkerLostError(f"exit code {self.process.exitcode}") from error
        return message

    def kill(self) -> None:
        """Kill the process, and wait until it has ended."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@dataclass(frozen=True)
class ProcessTransport:
    """Starts worker processes.

    Attributes:
        source: what workers need besides their jobs; its devices are taken in turn.
        start_method: how workers on processors begin; those on a GPU are always spawned.
    """

    source: JobSource[Any]
    start_method: str = START_METHOD

    @property
    def worker_name(self) -> str:
        """What messages to a person call a worker."""
        return "worker process"

    def start(self, living: Sequence[ProcessWorker]) -> ProcessWorker:
        """Start a worker on the device that has the fewest of those that live."""
        crowding = Counter(worker.device for worker in living)
        device = min(self.source.devices, key=lambda name: crowding[name])
        our_end, their_end = multiprocessing.Pipe()
        arguments = (their_end, self.source, device, dict(os.environ))
        try:
            process = self.begin_process("spawn" if device.startswith("cuda") else self.start_method, arguments)
        except (OSError, EOFError):  # as where the path of temporary files is too long for the fork server's socket
            process = self.begin_process("spawn", arguments)
        their_end.close()
        return ProcessWorker(process, our_end, device)

    def begin_process(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Begin the process of a worker.

        Args:
            method: one of `multiprocessing`'s start methods.
            arguments: the worker's.

        Returns:
            the process.

        Raises:
            OSError: or EOFError, it cannot be begun by this method.
        """
        context: Any = multiprocessing.get_context(method)
        context.set_forkserver_preload(_PRELOADED)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        return process

    def wait(self, workers: Sequence[ProcessWorker], timeout: float | None) -> list[ProcessWorker]:
        """Wait until a pipe can be read; that of a worker at rest can be when the worker is lost."""
        ready = wait([worker.pipe for worker in workers], timeout)
        return [worker for worker in workers if worker.pipe in ready]


def prepare_workers(devices: Sequence[str]) -> None:
    """Begin the process that workers will be forks of, if there will be one, and do not wait for it.

    Its imports take seconds, which pass while this process reads corpora and fills the front-end cache.

    Args:
        devices: where the workers will run.
    """
    if START_METHOD != "forkserver" or all(device.startswith("cuda") for device in devices):
        return
    from multiprocessing import forkserver  # which not every system has

    forkserver.set_forkserver_preload(_PRELOADED)
    with contextlib.suppress(OSError, EOFError):  # :meth:`ProcessTransport.start` then begins workers in another way
        forkserver.ensure_running()


def _work(pipe: Connection, source: JobSource[Any], device: str, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    keep_freed_memory()
    runner = source.runner(device)
    gc.freeze()  # libraries and corpora stay: a full collection would walk through them again and again
    try:
        while True:
            for message in runner.run(pipe.recv()):
                pipe.send(message)
    except (EOFError, ConnectionError, KeyboardInterrupt):
        os._exit(0)  # the scheduler's process is gone, or the user has stopped it
