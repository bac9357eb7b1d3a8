"""A sweep's work on a Ray cluster; each record comes back to this process, which alone writes the store.

Before the trials, the starting points that they lack are pre-finetuned by workers of the same kind.
"""

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ray

from voicefit.corpora import Corpus
from voicefit.sweep.jobs import Outcome
from voicefit.sweep.ray_cluster import most_on_a_node, share_out
from voicefit.sweep.ray_transport import NeededFile, RayTransport
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.start_jobs import StartJobs, follow_starts
from voicefit.sweep.trial_jobs import TrialJobs, first_trial, group_trials
from voicefit.system.files import default_cache_root
from voicefit.system.progress import Progress


def run_jobs(
    trials: Sequence[TrialSpec],
    start_jobs: StartJobs,
    trial_jobs: TrialJobs,
    workers: int | None,
    trial_timeout: float | None,
    progress: Progress,
    losses: Mapping[TrialSpec, Sequence[str]] | None = None,
) -> Generator[Outcome[TrialSpec]]:
    """Make every missing starting point and run every trial on the cluster that this process is connected to.

    Args:
        trials: what to run.
        start_jobs: the starting points that they lack.
        trial_jobs: what the trials need.
        workers: how many at most, see :func:`make_starts` and :func:`run_trials`.
        trial_timeout: seconds that a trial may take, see :func:`run_trials`.
        progress: called at every step of a starting point.
        losses: trial → what ended the attempts at it that were lost in earlier calls.

    Yields:
        the record of each trial as soon as it is there, and each attempt that was lost with its worker.

    Raises:
        VoicefitError: see :func:`make_starts` and :func:`run_trials`.
    """
    make_starts(start_jobs, progress, workers)
    yield from run_trials(trials, trial_jobs, workers, trial_timeout, losses)


def run_trials(
    trials: Iterable[TrialSpec],
    jobs: TrialJobs,
    workers: int | None = None,
    trial_timeout: float | None = None,
    losses: Mapping[TrialSpec, Sequence[str]] | None = None,
) -> Generator[Outcome[TrialSpec]]:
    """Run every trial on the cluster that this process is connected to.

    Args:
        trials: what to run.
        jobs: what workers need. Its threads and devices are not read: a worker is given as many CPUs as all of them can
            have, and where the cluster has GPUs, its part of one.
        workers: how many; ``None`` is one for each GPU, or for each CPU where there is no GPU. Those that there is
            no room for begin when a node with room joins.
        trial_timeout: seconds that a trial may take, with the loading of its starting point and speaker where these
            fall to it; ``None`` is for ever.
        losses: trial → what ended the attempts at it that were lost in earlier calls.

    Yields:
        the record of each trial as soon as it is there; that of a failed trial has an error; and each attempt that was
        lost with its worker.

    Raises:
        VoicefitError: a node cannot see a clip or a starting point, or has other versions than this one; or there is
            no room for a worker.
    """
    groups = group_trials(trials, jobs.methods, losses or ())
    if groups:
        needed = {first_trial(group).start_id for group in groups}
        count, needs = share_out(ray.nodes(), workers)
        together = most_on_a_node(ray.nodes(), count, needs)
        shared = _absolute_trial_jobs(replace(jobs, threads=needs["num_cpus"], workers=together))
        transport = RayTransport(shared, files_of_trials(shared, needed), needs)
        yield from Scheduler(groups, transport, count, trial_timeout, losses).outcomes()


def make_starts(jobs: StartJobs, progress: Progress, workers: int | None = None) -> None:
    """Pre-finetune all that are missing on the cluster that this process is connected to, each on one worker.

    Args:
        jobs: what workers need. Its threads and devices are not read, see :func:`run_trials`.
        progress: called at every worker's steps.
        workers: how many at once at most; never more than starting points, nor than GPUs or, without GPUs, CPUs.

    Raises:
        VoicefitError: one cannot be made; or as :func:`run_trials`, and where a node cannot see the run directory.
    """
    if not jobs.keys:
        return
    most, _ = share_out(ray.nodes(), None)
    count, needs = share_out(ray.nodes(), min(workers or most, most, len(jobs.keys)))
    together = most_on_a_node(ray.nodes(), count, needs)
    shared = _absolute_start_jobs(replace(jobs, threads=needs["num_cpus"], workers=together))
    transport = RayTransport(shared, _files_of_starts(shared), needs)
    follow_starts(shared, Scheduler(shared.groups, transport, count).run(), progress)


def files_of_trials(jobs: TrialJobs, needed: Iterable[StartId]) -> list[NeededFile]:
    """Return the files that a worker must see to run trials.

    Args:
        jobs: what workers need.
        needed: the starting points that the trials begin at; one from the hub has no files to look for.
    """
    clips = {(f"target {name}", clip.path) for name, corpus in jobs.targets.items() for clip in corpus.clips}
    sources = {start_id: jobs.starts[start_id].source for start_id in needed if start_id in jobs.starts}
    starts = {(f"start {start_id}", path) for start_id, source in sources.items() for path in _files_in(source)}
    return _existing(clips | starts)


def _files_of_starts(jobs: StartJobs) -> list[NeededFile]:
    """Return the files that a worker must see to pre-finetune; the record of the run stands for its directory."""
    names = {name for _, start in jobs.keys for name in start.split("+")}
    clips = {(f"corpus {name}", clip.path) for name in names for clip in jobs.corpora[name].clips}
    sources = {encoder: jobs.sources[encoder] for encoder, _ in jobs.keys}
    encoders = {(f"encoder {name}", path) for name, source in sources.items() for path in _files_in(source)}
    return _existing(clips | encoders | {("the run directory", jobs.run.record_path)})


def _files_in(source: str) -> list[Path]:
    return [path for path in Path(source).iterdir() if path.is_file()] if os.path.isdir(source) else []


def _existing(files: Iterable[tuple[str, Path]]) -> list[NeededFile]:
    return [NeededFile.at(part_of, path) for part_of, path in sorted(files) if path.exists()]


def _absolute_trial_jobs(jobs: TrialJobs) -> TrialJobs:
    """Return the same with absolute paths: workers are in other folders, with other cache folders."""
    starts = {key: replace(start, source=_absolute_source(start.source)) for key, start in jobs.starts.items()}
    targets, cache_root = _absolute_clips(jobs.targets), _absolute_cache(jobs.cache_root)
    return replace(jobs, starts=starts, targets=targets, cache_root=cache_root)


def _absolute_start_jobs(jobs: StartJobs) -> StartJobs:
    """Return the same with absolute paths, as :func:`_absolute_trial_jobs` does."""
    sources = {encoder: _absolute_source(source) for encoder, source in jobs.sources.items()}
    corpora, cache_root = _absolute_clips(jobs.corpora), _absolute_cache(jobs.cache_root)
    run = RunDirectory(jobs.run.path.absolute())
    return replace(jobs, sources=sources, corpora=corpora, cache_root=cache_root, run=run)


def _absolute_source(source: str) -> str:
    return os.path.abspath(source) if os.path.isdir(source) else source


def _absolute_clips(corpora: Mapping[str, Corpus]) -> dict[str, Corpus]:
    return {
        name: replace(corpus, clips=tuple(replace(clip, path=clip.path.absolute()) for clip in corpus.clips))
        for name, corpus in corpora.items()
    }


def _absolute_cache(root: Path | None) -> Path:
    return (root or default_cache_root()).absolute()
