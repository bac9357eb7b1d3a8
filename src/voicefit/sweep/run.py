"""A sweep from plan to full store: check, pre-finetune what is needed, run the trials not finished yet."""

import contextlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import torch

from voicefit.corpora.left_out import Account, told_of_corpus
from voicefit.errors import VoicefitError
from voicefit.sweep import process_engine, ray_cluster
from voicefit.sweep.both_sides import describe_shared
from voicefit.sweep.cells import NotRun
from voicefit.sweep.clip_table import write_clip_table
from voicefit.sweep.jobs import Lost, Outcome
from voicefit.sweep.loaded_plan import LoadedPlan
from voicefit.sweep.plan import NONE, Plan, prefinetuned_starts
from voicefit.sweep.process_transport import prepare_workers
from voicefit.sweep.record import EarlierCall, check_run_directory, find_changes, write_record
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.run_lock import RunLock
from voicefit.sweep.shard import Shard
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.start_jobs import StartJobs, has_checkpoint
from voicefit.sweep.store import TrialStore
from voicefit.sweep.trial_jobs import StartingPoint, TrialJobs
from voicefit.system.heap import give_back_freed_memory
from voicefit.system.machine import devices
from voicefit.system.progress import Notify, Progress, silent

_MOST_REASONS = 5
"""Where a plan has no trial, so many reasons are named."""

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
        left_failed: trials that failed before and were left so.
        not_run: the cells of the plan that have no trial.
    """

    skipped: int
    finished: int
    failed: int
    left_failed: int = 0
    not_run: tuple[NotRun, ...] = field(default=(), compare=False)


class RunJobs(Protocol):
    """An engine at work: it makes missing starting points and runs trials."""

    def __call__(
        self,
        trials: Sequence[TrialSpec],
        start_jobs: StartJobs,
        trial_jobs: TrialJobs,
        *,
        progress: Progress,
        losses: Mapping[TrialSpec, Sequence[str]],
    ) -> Generator[Outcome[TrialSpec]]:
        """Yield the record of each trial as soon as it is there, and each attempt that was lost with its worker."""


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
    begin_anew: bool = False,
    retry_failed: bool = True,
    wait: bool = False,
    progress: Progress = silent,
    notify: Notify = silent,
) -> SweepResult:
    """Run a plan, or what is left of it, in the run directory ``out``.

    Every finished trial is in ``out/trials.sqlite`` at once, or with those of its batch. Stopping at any moment
    therefore loses only the trials and batches in hand, and of a starting point in hand what came after its last epoch
    or half hour. The next call resumes.
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
        begin_anew: where the audio of a corpus, or an encoder, is not what it was when the run began, keep what there
            is in ``out/earlier`` and run everything again; otherwise the run is refused.
        retry_failed: try trials again that failed in an earlier call; otherwise they are left failed.
        wait: where another sweep is at work in ``out``, wait until it has ended; otherwise this one is refused.
        progress: called at every step.
        notify: called with a line about what the front-end cache will take, about clips that are left out or there
            twice, and about trials that fail: the first ten with the same error.

    Returns:
        how many trials were skipped, finished and failed.

    Raises:
        VoicefitError: ``out`` belongs to another plan, shard or other clips, or holds something else; another sweep is
            at work there; its store is damaged, or its disk is full; a corpus or encoder cannot be loaded; a target has
            files that are pre-finetuned on; there is no trial; a starting point cannot be made; more than
            ``max_failures`` trials have failed; or the cluster cannot be reached, or has a node that cannot run the
            trials.
    """
    run = RunDirectory(Path(out))
    check_run_directory(plan, run, shard)
    loaded = LoadedPlan.load(plan)
    _refuse_no_trials(*loaded.expand())  # before anything is written
    with _locked(run, wait, notify) as lock, _connected(engine, address, workers, trial_timeout) as run_jobs:
        # A run that resumes may have nothing left for workers.
        if engine == "process" and ((workers or 1) > 1 or trial_timeout is not None) and run.is_fresh():
            prepare_workers(devices())
        loaded.earlier = check_run_directory(plan, run, shard)  # again, as another sweep may have ended meanwhile
        _prepare_clips(loaded, run, lock, cache_root, workers or 1, begin_anew, progress, notify)
        give_back_freed_memory()  # to workers
        all_trials, not_run = loaded.expand()
        _refuse_no_trials(all_trials, not_run)
        trials = _trials_of_shard(all_trials, shard)
        lock.check()  # it may have been lost in the hours of the front end
        with run.open_store(read_only=False) as store:
            if store.remark:
                notify(store.remark)
            _write_record(loaded, run, not_run, trials, all_trials, shard)
            finished = store.finished_keys()
            left = set() if retry_failed else store.failed_keys() - finished
            todo = [trial for trial in trials if trial.key not in finished and trial.key not in left]
            start_jobs = _start_jobs(loaded, todo, run, cache_root)
            for words in start_jobs.told():
                notify(words)
            trial_jobs = _trial_jobs(loaded, run, cache_root, workers or 1)
            left_failed = sum(trial.key in left for trial in trials)
            skipped, failures = len(trials) - len(todo) - left_failed, _Failures(run, max_failures, notify)
            losses = _lost_before(store, todo)
            with contextlib.closing(
                run_jobs(todo, start_jobs, trial_jobs, progress=progress, losses=losses)
            ) as outcomes:
                _keep(outcomes, store, lock, failures, partial(progress, "trials"), skipped + left_failed, len(trials))
    return SweepResult(skipped, len(todo) - failures.total, failures.total, left_failed, tuple(not_run))


def _keep(
    outcomes: Iterable[Outcome[TrialSpec]],
    store: TrialStore,
    lock: RunLock,
    failures: "_Failures",
    progress: Callable[[int, int], None],
    done: int,
    total: int,
) -> None:
    """Write every record and every lost attempt as it comes."""
    for outcome in outcomes:
        lock.check()
        if isinstance(outcome, Lost):
            store.add_lost(outcome.job, outcome.worker, outcome.cause)
            continue
        records = outcome if isinstance(outcome, tuple) else (outcome,)
        errors = store.add_all(
            (record.job, {**record.result, "error": record.error, "worker": record.worker}) for record in records
        )
        for record, error in zip(records, errors, strict=True):
            done += 1
            progress(done, total)
            if error is not None:
                failures.add(record.job, error)
        failures.check()


def _lost_before(store: TrialStore, trials: Iterable[TrialSpec]) -> dict[TrialSpec, list[str]]:
    """Return the trials that were lost with their workers in earlier calls → what ended these attempts."""
    lost = store.lost_attempts()
    return {trial: lost[trial.key] for trial in trials if trial.key in lost} if lost else {}


@contextlib.contextmanager
def _locked(run: RunDirectory, wait: bool, notify: Notify) -> Iterator[RunLock]:
    """Hold the lock of a run, whose folder is made; one in which nothing was written is removed after an error."""
    is_new = not run.path.exists()
    run.path.mkdir(parents=True, exist_ok=True)
    try:
        with RunLock(run.path).held(wait, notify) as lock:
            yield lock
    except BaseException:
        with contextlib.suppress(OSError):
            if is_new:
                run.path.rmdir()
        raise


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


def _write_record(
    loaded: LoadedPlan,
    run: RunDirectory,
    not_run: Sequence[NotRun],
    trials: Sequence[TrialSpec],
    all_trials: Sequence[TrialSpec],
    shard: Shard | None,
) -> None:
    write_clip_table(run.clips_path, loaded.used().values())
    write_record(
        run,
        loaded.plan,
        loaded.describe(),
        encoders=loaded.describe_encoders(),
        same_audio=loaded.describe_same_audio(),
        not_run=not_run,
        planned=len(trials),
        shard=shard,
        planned_in_all=len(all_trials),
    )


def _refuse_no_trials(trials: Sequence[TrialSpec], not_run: Sequence[NotRun]) -> None:
    if not trials:
        reasons = "; ".join(group.words() for group in not_run[:_MOST_REASONS])
        more = f"; and so on, {len(not_run)} reasons in all (see --dry-run)" if len(not_run) > _MOST_REASONS else ""
        raise VoicefitError(f"the plan has no trial: {reasons}{more}")


def _trials_of_shard(trials: list[TrialSpec], shard: Shard | None) -> list[TrialSpec]:
    return trials if shard is None else shard.of(trials)


def _notify_of_broken_clips(loaded: LoadedPlan, notify: Notify) -> None:
    for name, broken in loaded.left_out.items():
        for words in told_of_corpus(name, broken, Account()):
            notify(words)
    for name, corpus in loaded.used().items():
        for words in told_of_corpus(name, {}, corpus.account):
            notify(words)


def _prepare_clips(
    loaded: LoadedPlan,
    run: RunDirectory,
    lock: RunLock,
    cache_root: Path | None,
    workers: int,
    begin_anew: bool,
    progress: Progress,
    notify: Notify,
) -> None:
    """Fill the front-end cache, and refuse clips or encoders that a run may not have."""
    earlier = loaded.earlier
    was_compared = earlier.has_compared(loaded.used())
    if not was_compared:  # before hours of the front end
        loaded.compare_audio(progress)
    loaded.fill_cache(cache_root, progress, notify, workers)
    _notify_of_broken_clips(loaded, notify)
    changes = find_changes(run, earlier, loaded.used(), loaded.encoder_digests)
    if changes and not begin_anew:
        raise VoicefitError(
            f"{run}: was begun when {'; '.join(changes)}; put that back, choose another --out, or add --begin-anew, "
            "which keeps what there is in a folder of its own"
        )
    if changes and was_compared:
        loaded.compare_audio(progress)
    elif was_compared:
        loaded.same_audio = dict(earlier.same_audio or {})
    if changes:
        lock.check()
        place = run.set_aside()
        loaded.earlier = EarlierCall()
        notify(f"{run}: was begun when {'; '.join(changes)}; begins anew, and what there was is in {place}")
    for name, pairs in loaded.same_audio.items():
        for line in describe_shared(name, pairs):
            notify(line)
    for line in loaded.describe_known():
        notify(line)


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
        self._last = ""

    @property
    def total(self) -> int:
        """How many trials have failed."""
        return self._by_error.total()

    def add(self, trial: TrialSpec, error: str) -> None:
        """Count a trial that failed."""
        self._by_error[error] += 1
        if self._by_error[error] <= _MOST_LINES_OF_ONE_ERROR:
            self._notify(f"failed trial {self.total}: {trial}: {error}")
        if self._by_error[error] == _MOST_LINES_OF_ONE_ERROR:
            self._notify("further trials that fail in this way are counted, and stand in the report")
        self._last = error

    def check(self) -> None:
        """Refuse to go on after too many.

        Raises:
            VoicefitError: more have failed than are allowed.
        """
        if self._most is not None and self.total > self._most:
            raise VoicefitError(
                f"{self._run}: stopped after {self.total} failed trials, the last with {self._last}; finished trials "
                "are kept, and the same command resumes and tries the failed ones again"
            )


def _start_jobs(
    loaded: LoadedPlan, trials: Sequence[TrialSpec], run: RunDirectory, cache_root: Path | None
) -> StartJobs:
    """Return the jobs for the starting points that the trials need and the run lacks."""
    keys = {start_id: loaded.start_key(start_id) for start_id in prefinetuned_starts(trials)}
    return StartJobs(
        plan=loaded.plan,
        keys={
            start_id: key
            for start_id, key in keys.items()
            if not has_checkpoint(run.checkpoint(start_id), key, loaded.corpora)
        },
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
