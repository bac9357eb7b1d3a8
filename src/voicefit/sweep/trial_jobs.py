"""The trials of a sweep as jobs: what a worker needs for them, and how it runs them."""

import traceback
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicefit.checkpoints.start import Start, open_start
from voicefit.corpora import Corpus
from voicefit.encoders import FrontCache, Reading
from voicefit.sweep.jobs import Outcome, Record, worker_name
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.process_transport import ProcessTransport
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial
from voicefit.system.machine import limit_threads


@dataclass(frozen=True)
class StartingPoint:
    """Where an encoder is loaded from, and how it is read."""

    source: str
    reading: Reading


@dataclass(frozen=True)
class TrialJobs:
    """All that a worker needs besides the trials.

    Attributes:
        starts: starting point → where it is loaded from.
        targets: name → corpus, with the clips that can be used.
        methods: the plan's name for a method → the method.
        cache_root: the front-end cache.
        threads: CPU threads of each worker.
        devices: where workers run, in turn; several may share a GPU.
        workers: how many share this machine's memory.
    """

    starts: Mapping[StartId, StartingPoint]
    targets: Mapping[str, Corpus]
    methods: Mapping[str, PlannedMethod]
    cache_root: Path | None
    threads: int
    devices: Sequence[str] = ("cpu",)
    workers: int = 1

    def runner(self, device: str) -> "TrialRunner":
        """Return what runs the trials of a worker on ``device``."""
        return TrialRunner(self, device)


def run_trials(
    trials: Iterable[TrialSpec],
    jobs: TrialJobs,
    workers: int,
    trial_timeout: float | None = None,
    losses: Mapping[TrialSpec, Sequence[str]] | None = None,
) -> Generator[Outcome[TrialSpec]]:
    """Run every trial on this machine.

    Args:
        trials: what to run.
        jobs: what workers need.
        workers: how many; 1 is this process, unless there is a timeout: no process can stop itself.
        trial_timeout: seconds that a trial may take, with the start of its worker and the loading of its starting
            point and speaker where these fall to it; ``None`` is for ever.
        losses: trial → what ended the attempts at it that were lost in earlier calls.

    Yields:
        the record of each trial as soon as it is there; that of a failed trial has an error; and each attempt that was
        lost with its worker.

    Raises:
        VoicefitError: worker processes cannot be started.
    """
    groups = group_trials(trials)
    if workers == 1 and trial_timeout is None:
        runner = jobs.runner(jobs.devices[0])
        for group in groups:
            yield from runner.run(group)
    else:
        yield from Scheduler(groups, ProcessTransport(jobs), workers, trial_timeout, losses).outcomes()


def group_trials(trials: Iterable[TrialSpec]) -> deque[deque[TrialSpec]]:
    """Return the trials of each encoder, start, target and speaker together, in the order in which they come."""
    groups: dict[tuple[str, str, str, str], deque[TrialSpec]] = {}
    for trial in trials:
        groups.setdefault((trial.encoder, trial.start, trial.target, trial.speaker), deque()).append(trial)
    return deque(groups.values())


class TrialRunner:
    """Runs one group after another, keeping the starting point between groups that share it."""

    def __init__(self, jobs: TrialJobs, device: str):
        self.jobs, self.device = jobs, device
        self._name = worker_name()
        self._opened: tuple[StartId, Start, FrontCache] | None = None

    def run(self, group: Iterable[TrialSpec]) -> Iterator[Record[TrialSpec]]:
        """Yield the record of each trial of a group."""
        bench: SpeakerBench | None = None
        with limit_threads(self.jobs.threads):
            for trial in group:
                try:
                    bench = bench or self._bench(trial)
                    result = run_trial(bench, trial, self.jobs.methods[trial.method])
                    record = Record(trial, result, worker=self._name)
                except Exception as error:  # a trial that fails is a result too, and the sweep continues
                    text = "".join(traceback.format_exception_only(error)).strip()
                    record = Record(trial, error=text, worker=self._name)
                yield record

    def _bench(self, trial: TrialSpec) -> SpeakerBench:
        start, cache = self._open(StartId(trial.encoder, trial.start))
        target = self.jobs.targets[trial.target]
        return SpeakerBench.of(start.encoder, cache, target, trial.speaker, trial.protocol, start.prior)

    def _open(self, start_id: StartId) -> tuple[Start, FrontCache]:
        if self._opened is None or self._opened[0] != start_id:
            point = self.jobs.starts[start_id]
            start = open_start(point.source, point.reading).to(self.device)
            cache = FrontCache(start.encoder, self.jobs.cache_root, self.jobs.workers)
            self._opened = (start_id, start, cache)
        return self._opened[1:]
