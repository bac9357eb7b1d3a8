"""Run groups of trials in this process or in worker processes, streaming each record as it is made.

Worker processes pre-finetune starting points too (`starts.py`): what they run is whatever their place of work says.

A worker is given one group of trials at a time (one encoder, start, target and speaker), so that it loads the
starting point and pools the speaker's clips once. A worker that is killed is replaced, its trial in hand is
tried once more, and then recorded as failed; one whose trial takes longer than the limit is killed, and the trial
recorded as failed. When the driver dies, its workers see their pipe close and end.
"""

import contextlib
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol, TypeVar

from voicefit.checkpoints.start import Start, open_start
from voicefit.corpora import Corpus
from voicefit.encoders import FrontCache, Reading
from voicefit.errors import VoicefitError
from voicefit.sweep.plan import TrialSpec
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.trial import SpeakerBench, run_trial
from voicefit.system.heap import keep_freed_memory
from voicefit.system.machine import limit_threads

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How workers on processors begin: as forks of one process that has done the imports, which take seconds and memory.
Elsewhere, system libraries may not survive a fork; nor does a GPU's driver."""

_SERVER_GONE = 255
"""What is read as the exit code of a fork when the process that would have told is gone too."""

Record = tuple[TrialSpec, dict[str, Any]]
Task = TypeVar("Task", bound=Hashable)


class Runner(Protocol):
    """What a worker works with."""

    def run(self, group: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Yield each task of a group with its result; one that holds ``progress`` is not the task's last."""


class Worksite(Protocol):
    """All that a worker needs besides its tasks."""

    @property
    def devices(self) -> Sequence[str]:
        """Where workers run, in turn."""

    def runner(self, device: str) -> Runner:
        """What a worker on ``device`` works with."""


@dataclass(frozen=True)
class StartingPoint:
    """Where an encoder is loaded from, and how it is read."""

    source: str
    reading: Reading


@dataclass(frozen=True)
class Workplace:
    """All that a worker needs besides the trials.

    Attributes:
        starts: (encoder, start) → where it is loaded from.
        targets: name → corpus, with the clips that can be used.
        methods: the plan's name for a method → the method.
        cache_root: the front-end cache.
        threads: CPU threads of each worker.
        devices: where workers run, in turn; several may share a GPU.
        workers: how many share this machine's memory.
    """

    starts: Mapping[tuple[str, str], StartingPoint]
    targets: Mapping[str, Corpus]
    methods: Mapping[str, PlannedMethod]
    cache_root: Path | None
    threads: int
    devices: Sequence[str] = ("cpu",)
    workers: int = 1

    def runner(self, device: str) -> "GroupRunner":
        """What a worker on ``device`` works with."""
        return GroupRunner(self, device)


def run_trials(
    trials: Iterable[TrialSpec], workplace: Workplace, workers: int, limit: float | None = None
) -> Generator[Record]:
    """Run every trial and yield its record as soon as it is there; a failed trial's record has ``error``.

    Args:
        trials: what to run.
        workplace: what workers need.
        workers: how many; 1 is this process, unless there is a limit: no process can stop itself.
        limit: seconds that a trial may take, with the start of its worker and the loading of its starting point
            and speaker where these fall to it; ``None`` is for ever.

    Raises:
        VoicefitError: worker processes cannot be started.
    """
    groups = group_trials(trials)
    if workers == 1 and limit is None:
        runner = workplace.runner(workplace.devices[0])
        for group in groups:
            yield from runner.run(group)
    else:
        yield from run_in_workers(groups, workplace, workers, limit)


def group_trials(trials: Iterable[TrialSpec]) -> deque[deque[TrialSpec]]:
    """The trials of each encoder, start, target and speaker together, in the order in which they come."""
    groups: dict[tuple[str, str, str, str], deque[TrialSpec]] = {}
    for trial in trials:
        groups.setdefault((trial.encoder, trial.start, trial.target, trial.speaker), deque()).append(trial)
    return deque(groups.values())


def overdue_error(limit: float | None) -> dict[str, Any]:
    """The record of a trial that took longer than ``limit`` seconds."""
    return {"error": f"took longer than the limit of {limit:g} s and was stopped"}


class GroupRunner:
    """Runs one group after another, keeping the starting point between groups that share it."""

    def __init__(self, workplace: Workplace, device: str):
        self.workplace, self.device = workplace, device
        self._opened: tuple[tuple[str, str], Start, FrontCache] | None = None

    def run(self, group: Iterable[TrialSpec]) -> Iterator[Record]:
        """Yield the record of each trial of a group."""
        bench: SpeakerBench | None = None
        with limit_threads(self.workplace.threads):
            for trial in group:
                try:
                    bench = bench or self._bench(trial)
                    result = run_trial(bench, trial, self.workplace.methods[trial.method])
                except Exception as error:  # a trial that fails is a result too; the sweep goes on
                    result = {"error": "".join(traceback.format_exception_only(error)).strip()}
                yield trial, result

    def _bench(self, trial: TrialSpec) -> SpeakerBench:
        start, cache = self._open(trial.encoder, trial.start)
        target = self.workplace.targets[trial.target]
        return SpeakerBench.of(start.encoder, cache, target, trial.speaker, trial.protocol, start.prior)

    def _open(self, encoder: str, start: str) -> tuple[Start, FrontCache]:
        if self._opened is None or self._opened[0] != (encoder, start):
            place = self.workplace.starts[encoder, start]
            begin = open_start(place.source, place.reading).to(self.device)
            cache = FrontCache(begin.encoder, self.workplace.cache_root, self.workplace.workers)
            self._opened = ((encoder, start), begin, cache)
        return self._opened[1:]


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    device: str
    todo: deque[Any]
    since: float = 0.0  # when the task in hand was begun, by the monotonic clock


def run_in_workers(
    groups: deque[deque[Task]], workplace: Worksite, workers: int, limit: float | None = None
) -> Generator[tuple[Task, dict[str, Any]]]:
    """Run groups of tasks in worker processes, each group in one, and yield what they give.

    Args:
        groups: the tasks, which are taken away from the left; more groups may be added while records are read.
        workplace: what workers need.
        workers: how many processes.
        limit: seconds that a trial may take, as in :func:`run_trials`.

    Raises:
        VoicefitError: worker processes cannot be started.
    """
    crew: list[_Worker] = []
    deaths: Counter[Any] = Counter()
    try:
        while groups or any(worker.todo for worker in crew):
            while groups and len(crew) < workers:
                crew.append(_hire(workplace, Counter(worker.device for worker in crew)))
            for worker in crew:
                if groups and not worker.todo:
                    worker.todo = groups.popleft()
                    worker.since = time.monotonic()
                    with contextlib.suppress(OSError):  # it has died: the end of its pipe is read below
                        worker.pipe.send(worker.todo)
            ready = wait([worker.pipe for worker in crew], _patience(crew, limit))  # of those at rest: their death
            for worker in [worker for worker in crew if worker.pipe in ready]:
                try:
                    record = worker.pipe.recv()
                except (EOFError, OSError):
                    crew.remove(worker)
                    yield from _bury(worker, groups, deaths)
                else:
                    if "progress" not in record[1]:
                        worker.todo.popleft()
                        worker.since = time.monotonic()
                    yield record
            for worker in _overdue(crew, limit):
                crew.remove(worker)
                yield _stop(worker, groups, limit)
    finally:
        for worker in crew:
            worker.pipe.close()
            worker.process.terminate()
            worker.process.join()


def _at_trials(crew: Iterable[_Worker]) -> list[_Worker]:
    return [worker for worker in crew if worker.todo and isinstance(worker.todo[0], TrialSpec)]


def _patience(crew: Iterable[_Worker], limit: float | None) -> float | None:
    """Seconds until the first trial in hand is overdue."""
    begun = [worker.since for worker in _at_trials(crew)]
    if limit is None or not begun:
        return None
    return max(0.0, min(begun) + limit - time.monotonic())


def _overdue(crew: Iterable[_Worker], limit: float | None) -> list[_Worker]:
    """Workers whose trial takes too long; one whose record waits to be read is not among them."""
    if limit is None:
        return []
    late = time.monotonic() - limit
    return [worker for worker in _at_trials(crew) if worker.since <= late and not worker.pipe.poll()]


def _stop(worker: _Worker, groups: deque[deque[Any]], limit: float | None) -> tuple[Any, dict[str, Any]]:
    """Kill a worker whose trial takes too long, put the rest of its trials back, and give the failed record."""
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    in_hand = worker.todo.popleft()
    if worker.todo:
        groups.appendleft(worker.todo)
    return in_hand, overdue_error(limit)


def _hire(workplace: Worksite, crowding: Counter[str]) -> _Worker:
    device = min(workplace.devices, key=lambda name: crowding[name])
    here, there = multiprocessing.Pipe()
    arguments = (there, workplace, device, dict(os.environ))
    try:
        process = _begin("spawn" if device.startswith("cuda") else START_METHOD, arguments)
    except (OSError, EOFError):  # as where the path of temporary files is too long for the socket to what would fork
        process = _begin("spawn", arguments)
    there.close()
    return _Worker(process, here, device, deque())


def _begin(method: str, arguments: tuple[Any, ...]) -> Any:
    context: Any = multiprocessing.get_context(method)
    context.set_forkserver_preload(["voicefit.sweep.preload"])
    process = context.Process(target=_work, args=arguments, daemon=True)
    process.start()
    return process


def _bury(worker: _Worker, groups: deque[deque[Any]], deaths: Counter[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Put a dead worker's trials back, if it had any; give up on the one in hand when it has killed two workers."""
    worker.process.join()
    if 0 < worker.process.exitcode != _SERVER_GONE:  # not killed: a worker catches whatever a trial raises
        raise VoicefitError(
            f"a worker process ended with exit code {worker.process.exitcode}, see its error above. A script "
            'that uses worker processes must do so below `if __name__ == "__main__":`'
        )
    if not worker.todo:
        return
    in_hand = worker.todo[0]
    deaths[in_hand] += 1
    if deaths[in_hand] == 2:
        worker.todo.popleft()
        yield in_hand, {"error": f"the worker process died twice (exit code {worker.process.exitcode})"}
    if worker.todo:
        groups.appendleft(worker.todo)


def _work(pipe: Connection, workplace: Worksite, device: str, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    keep_freed_memory()
    runner = workplace.runner(device)
    try:
        while True:
            for record in runner.run(pipe.recv()):
                pipe.send(record)
    except (EOFError, ConnectionError, KeyboardInterrupt):
        os._exit(0)  # the driver is gone, or the user has stopped it
