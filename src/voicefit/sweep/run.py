"""A sweep from plan to full store: check, pre-finetune what is needed, run the trials not finished yet."""

import contextlib
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import torch

from voicefit.corpora.left_out import Account, told_of_corpus
from voicefit.encoders.cache_limit import CachePlan
from voicefit.errors import VoicefitError
from voicefit.sweep import process_engine, ray_cluster
from voicefit.sweep.estimate import Estimate, estimate_time
from voicefit.sweep.jobs import Record
from voicefit.sweep.loaded_plan import LoadedPlan
from voicefit.sweep.plan import NONE, Plan, shots_without_trials
from voicefit.sweep.record import check_run_directory, clips_digest, write_record
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.shard import Shard
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.start_jobs import StartJobs, has_checkpoint
from voicefit.sweep.store import TrialStore
from voicefit.sweep.trial_jobs import StartingPoint, TrialJobs
from voicefit.system.heap import give_back_freed_memory
from voicefit.system.machine import devices
from voicefit.system.progress import Notify, Progress, silent

_MOST_LINES_OF_ONE_ERROR = 10
"""This many trials that fail with one error are named; a start that lacks a label fails thousands in the same way."""

Engine = Literal["process", "ray"]


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended.

    Attributes:
        skipped: trials that were finished before.
        finished: trials that were finished now.
        failed: trials that failed now.
    """

    skipped: int
    finished: int
    failed: int


@dataclass(frozen=True)
class DryRun:
    """What a plan would do.

    Attributes:
        trials: number of trials that the targets have enough clips for.
        prefinetunings: starting points that must be trained, ``encoder/start``.
        estimate: seconds by stage, or ``None`` when nothing could be measured.
        cache: what would be added to the front-end cache, or ``None`` when an encoder is not here.
        unknown: why there is no estimate; empty when there is one.
        shots_without_trials: of which k there are no trials, and why; empty when of none.
    """

    trials: int
    prefinetunings: list[str]
    estimate: Estimate | None
    cache: CachePlan | None
    unknown: str = ""
    shots_without_trials: str = ""


class RunJobs(Protocol):
    """An engine at work: it makes missing starting points and runs trials."""

    def __call__(
        self, trials: Sequence[TrialSpec], start_jobs: StartJobs, trial_jobs: TrialJobs, *, progress: Progress
    ) -> Generator[Record[TrialSpec]]:
        """Yield the record of each trial as soon as it is there."""


def dry_run(plan: Plan, shard: Shard | None = None) -> DryRun:
    """Count a plan's trials, or those of one shard, and estimate their time by measuring a few steps on this machine.

    Args:
        plan: the plan.
        shard: the part of it that is meant; ``None`` is all of it.

    Raises:
        VoicefitError: a corpus cannot be loaded.
    """
    loaded = LoadedPlan.load(plan)
    all_trials = loaded.trials()
    trials, without = _trials_of_shard(all_trials, shard), shots_without_trials(plan, all_trials)
    needed = [str(start_id) for start_id in _prefinetuned_starts(trials)]
    try:
        estimate = estimate_time(plan, loaded.corpora, loaded.targets, trials)
        cache = loaded.plan_cache()
    except VoicefitError as error:  # an encoder that is not here yet need not keep trials from being counted
        return DryRun(len(trials), needed, None, None, str(error), without)
    unknown = "" if estimate else "no clip could be read to measure on"
    return DryRun(len(trials), needed, estimate, cache, unknown, without)


def run_sweep(
    plan: Plan,
    out: str | Path,
    *,
    shard: Shard | None = None,
    engine: Engine = "process",
    address: str | None = None,
    workers: int | None = None,
    cache_root: Path | None = None,
    max_failures: int | None = None,
    trial_timeout: float | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> SweepResult:
    """Run a plan, or what is left of it, in the run directory ``out``.

    Every finished trial is in ``out/trials.sqlite`` at once. Stopping at any moment therefore loses only the trials in
    hand, and of a starting point in hand what came after its last epoch or half hour. The next call resumes.
    Pre-finetuned starting points are in ``out/checkpoints/ENCODER/START``.

    Args:
        plan: what to run.
        out: new, or the directory of an earlier call with the same plan, whose ``grid`` may have changed.
        shard: run this part of the plan's trials alone; ``None`` runs all.
        engine: ``process`` pre-finetunes and runs trials in this process or in worker processes, ``ray`` on a Ray
            cluster, whose nodes must see ``out``. Everything else is done here.
        address: of the cluster, see :func:`voicefit.sweep.ray_cluster.connected`.
        workers: how many pre-finetune, of which no two share a GPU, and run trials. Left out, it is this process
            alone, or as many as the cluster has room for.
        cache_root: the front-end cache; ``None`` is the user's cache folder.
        max_failures: end when more trials than this have failed in this call; ``None`` never does.
        trial_timeout: seconds after which a trial is stopped and has failed, see
            :func:`voicefit.sweep.trial_jobs.run_trials`; ``None`` is never.
        progress: called at every step.
        notify: called with a line about what the front-end cache will take, about clips that are left out, and about
            trials that fail: the first ten with the same error.

    Returns:
        how many trials were skipped, finished and failed.

    Raises:
        VoicefitError: ``out`` belongs to another plan, shard or other clips, or holds something else; its store is
            damaged; a corpus or encoder cannot be loaded; a starting point cannot be made; the disk has no room for the
            front-end cache; more than ``max_failures`` trials have failed; or the cluster cannot be reached, or has a
            node that cannot run the trials.
    """
    run = RunDirectory(Path(out))
    digests_before = check_run_directory(plan, run, shard)
    loaded = LoadedPlan.load(plan)
    with _connected(engine, address, workers, trial_timeout) as run_jobs, _created_store(run) as store:
        loaded.fill_cache(cache_root, progress, notify)
        give_back_freed_memory()  # to workers
        _notify_of_broken_clips(loaded, notify)
        _check_clips(loaded, digests_before, run)
        trials = _plan_trials(loaded, run, shard, notify)
        finished = store.finished_keys()
        todo = [trial for trial in trials if trial.key not in finished]
        start_jobs = _start_jobs(loaded, todo, run, cache_root)
        trial_jobs = _trial_jobs(loaded, run, cache_root, workers or 1)
        skipped, failures = len(trials) - len(todo), _Failures(run, max_failures, notify)
        with contextlib.closing(run_jobs(todo, start_jobs, trial_jobs, progress=progress)) as records:
            for done, record in enumerate(records, skipped + 1):
                store.add(record.job, {**record.result, "error": record.error})
                progress("trials", done, len(trials))
                if record.error is not None:
                    failures.add(record.job, record.error)
    return SweepResult(skipped, len(todo) - failures.total, failures.total)


@contextlib.contextmanager
def _connected(
    engine: Engine, address: str | None, workers: int | None, trial_timeout: float | None
) -> Iterator[RunJobs]:
    """Yield an engine that can be used for as long as the block lasts."""
    if engine == "process":
        if address is not None:
            raise VoicefitError("an address is that of a Ray cluster; add --engine ray, or leave it out")
        yield partial(process_engine.run_jobs, workers=workers or 1, trial_timeout=trial_timeout)
        return
    with ray_cluster.connected(address):
        from voicefit.sweep import ray_engine

        yield partial(ray_engine.run_jobs, workers=workers, trial_timeout=trial_timeout)


def _created_store(run: RunDirectory) -> TrialStore:
    """Open the store for writing, in a folder that is created where it is missing."""
    run.path.mkdir(parents=True, exist_ok=True)
    return run.open_store(read_only=False)


def _plan_trials(loaded: LoadedPlan, run: RunDirectory, shard: Shard | None, notify: Notify) -> list[TrialSpec]:
    """Return the trials of this run, and write `run.json`."""
    all_trials = loaded.trials()
    if without := shots_without_trials(loaded.plan, all_trials):
        notify(without)
    trials = _trials_of_shard(all_trials, shard)
    write_record(run, loaded.plan, loaded.describe(), planned=len(trials), shard=shard, planned_in_all=len(all_trials))
    return trials


def _trials_of_shard(trials: list[TrialSpec], shard: Shard | None) -> list[TrialSpec]:
    return trials if shard is None else shard.of(trials)


def _notify_of_broken_clips(loaded: LoadedPlan, notify: Notify) -> None:
    for name, broken in loaded.left_out.items():
        for words in told_of_corpus(name, broken, Account()):
            notify(words)
    for name, corpus in loaded.used().items():
        for words in told_of_corpus(name, {}, corpus.account):
            notify(words)


def _check_clips(loaded: LoadedPlan, digests_before: Mapping[str, str | None], run: RunDirectory) -> None:
    """Refuse to continue with other clips: checkpoints, draws and test sets would not be those of before."""
    for name, corpus in loaded.used().items():
        if digests_before.get(name) not in (None, clips_digest(corpus)):
            raise VoicefitError(
                f"{run}: was begun when corpus {name} had other usable clips than now; choose another --out"
            )


class _Failures:
    """Counts the trials that fail, names the first of each error, and ends a sweep with too many.

    Args:
        run: the run directory, for the message.
        most: how many are allowed; ``None`` is any number.
        notify: called with a line about a trial.
    """

    def __init__(self, run: RunDirectory, most: int | None, notify: Notify):
        self._run, self._most, self._notify = run, most, notify
        self._by_error: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many trials have failed."""
        return self._by_error.total()

    def add(self, trial: TrialSpec, error: str) -> None:
        """Count a trial that failed.

        Raises:
            VoicefitError: it is one too many.
        """
        self._by_error[error] += 1
        if self._by_error[error] <= _MOST_LINES_OF_ONE_ERROR:
            self._notify(f"failed trial {self.total}: {trial}: {error}")
        if self._by_error[error] == _MOST_LINES_OF_ONE_ERROR:
            self._notify("further trials that fail in this way are counted, and stand in the report")
        if self._most is not None and self.total > self._most:
            raise VoicefitError(
                f"{self._run}: stopped after {self.total} failed trials, the last with {error}; finished trials are "
                "kept, and the same command resumes and tries the failed ones again"
            )


def _prefinetuned_starts(trials: Iterable[TrialSpec]) -> list[StartId]:
    """Return the starting points of trials, each once, without those that are not pre-finetuned."""
    return list(dict.fromkeys(trial.start_id for trial in trials if trial.start != NONE))


def _start_jobs(
    loaded: LoadedPlan, trials: Sequence[TrialSpec], run: RunDirectory, cache_root: Path | None
) -> StartJobs:
    """Return the jobs for the starting points that the trials need and the run lacks."""
    keys = {start_id: loaded.start_key(start_id) for start_id in _prefinetuned_starts(trials)}
    return StartJobs(
        plan=loaded.plan,
        keys={start_id: key for start_id, key in keys.items() if not has_checkpoint(run.checkpoint(start_id), key)},
        sources={name: encoder.source for name, encoder in loaded.plan.encoders.items()},
        corpora=loaded.corpora,
        run=run,
        cache_root=cache_root,
        threads=torch.get_num_threads(),
        devices=devices(),
    )


def _trial_jobs(loaded: LoadedPlan, run: RunDirectory, cache_root: Path | None, workers: int) -> TrialJobs:
    starts = {}
    for start_id in loaded.plan.start_ids:
        encoder, is_plain = loaded.plan.encoders[start_id.encoder], start_id.start == NONE
        source = encoder.source if is_plain else str(run.checkpoint(start_id))
        reading = encoder.reading if is_plain else encoder.reading.model_copy(update={"depth": None})
        starts[start_id] = StartingPoint(source, reading)
    methods = {name for grid in loaded.plan.grid for name in grid.methods}
    return TrialJobs(
        starts=starts,
        targets=loaded.targets,
        methods={name: loaded.plan.method(name) for name in methods},
        cache_root=cache_root,
        workers=workers,
        threads=max(1, torch.get_num_threads() // workers),  # what the user left to this process, shared out
        devices=devices(),
    )
