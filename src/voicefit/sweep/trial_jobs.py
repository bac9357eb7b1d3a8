"""The trials of a sweep as jobs: what a worker needs for them, and how it runs them."""

import traceback
from collections import deque
from collections.abc import Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from voicefit.checkpoints.start import Start, open_start
from voicefit.corpora import Corpus
from voicefit.encoders import FrontCache, Reading
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.jobs import Batch, Outcome, Record, Records, worker_name
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.process_transport import ProcessTransport
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_together, run_trial
from voicefit.system.machine import limit_threads

TrialJob = TrialSpec | Batch[TrialSpec]
"""What a worker is given: a trial, or a batch of trials that run together."""

_MOST_TRIALS = 256
"""Trials of a batch: with more, no trial takes less time, and more are lost with a worker."""

_MOST_NUMBERS = 2**22
"""So many numbers of all shots of a batch, or of their kernels, are held at once: 32 MB."""

_USUAL_WIDTH, _USUAL_EMOTIONS = 128, 8


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
        the record of each trial as soon as it is there, those of a batch at once; that of a failed trial has an error;
        and each attempt that was lost with its worker.

    Raises:
        VoicefitError: worker processes cannot be started.
    """
    groups = group_trials(trials, jobs.methods, losses or ())
    if workers == 1 and trial_timeout is None:
        runner = jobs.runner(jobs.devices[0])
        for group in groups:
            yield from runner.run(group)
    else:
        yield from Scheduler(groups, ProcessTransport(jobs), workers, trial_timeout, losses).outcomes()


def group_trials(
    trials: Iterable[TrialSpec], methods: Mapping[str, PlannedMethod], lost: Container[TrialSpec] = ()
) -> deque[deque[TrialJob]]:
    """Return the trials of each encoder, start, target and speaker together, in the order in which they come.

    Args:
        trials: what to run.
        methods: the plan's name for a method → the method. Trials of one that fits many at once come in batches of
            one method, task and k.
        lost: trials that were lost with their workers before: each comes by itself.
    """
    groups: dict[tuple[str, str, str, str], dict[Any, list[TrialSpec]]] = {}
    for trial in trials:
        group = groups.setdefault((trial.encoder, trial.start, trial.target, trial.speaker), {})
        planned = methods.get(trial.method)
        many = planned is not None and planned.configured.method.fit_many and trial not in lost
        group.setdefault((trial.method, trial.task, trial.k) if many else trial, []).append(trial)
    return deque(
        deque(chain.from_iterable(_batches(alike, methods) for alike in group.values())) for group in groups.values()
    )


def _batches(trials: Sequence[TrialSpec], methods: Mapping[str, PlannedMethod]) -> Iterator[TrialJob]:
    """Yield trials of one method, task and k in batches that need little memory."""
    if len(trials) == 1:
        yield trials[0]
        return
    first = trials[0]
    clips = first.k + methods[first.method].unlabelled
    fits = 1 if first.task == ONE_VS_REST else _USUAL_EMOTIONS
    at_once = max(1, min(_MOST_TRIALS, _MOST_NUMBERS // (fits * max(clips, _USUAL_WIDTH) * clips)))
    for begin in range(0, len(trials), at_once):
        yield Batch(tuple(trials[begin : begin + at_once]))


def first_trial(group: Sequence[TrialJob]) -> TrialSpec:
    """Return the first trial of a group, all of which begin at the same starting point."""
    first = group[0]
    return first.jobs[0] if isinstance(first, Batch) else first


class TrialRunner:
    """Runs one group after another, keeping the starting point between groups that share it."""

    def __init__(self, jobs: TrialJobs, device: str):
        self.jobs, self.device = jobs, device
        self._name = worker_name()
        self._opened: tuple[StartId, Start, FrontCache] | None = None

    def run(self, group: Iterable[TrialJob]) -> Iterator[Record[TrialSpec] | Records[TrialSpec]]:
        """Yield the record of each trial of a group, those of a batch at once."""
        benches: list[SpeakerBench] = []  # that of the group, once it is there
        with limit_threads(self.jobs.threads):
            for job in group:
                if isinstance(job, Batch):
                    yield tuple(self._records(job.jobs, benches))
                else:
                    yield from self._records((job,), benches)

    def _records(self, trials: Sequence[TrialSpec], benches: list[SpeakerBench]) -> Iterator[Record[TrialSpec]]:
        """Yield the records of trials that run together; where that fails, they run one by one."""
        try:
            if not benches:
                benches.append(self._bench(trials[0]))
            planned = self.jobs.methods[trials[0].method]
            if len(trials) > 1:
                results = run_together(benches[0], trials, planned)
            else:
                results = [run_trial(benches[0], trials[0], planned)]
        except Exception as error:  # a trial that fails is a result too, and the sweep continues
            if len(trials) > 1:
                yield from chain.from_iterable(self._records((trial,), benches) for trial in trials)
            else:
                text = "".join(traceback.format_exception_only(error)).strip()
                yield Record(trials[0], error=text, worker=self._name)
            return
        for trial, result in zip(trials, results, strict=True):
            yield Record(trial, result, worker=self._name)

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
