"""Run groups of trials on a Ray cluster, streaming each record back to this process, which alone writes the store.

Before them, the starting points that they lack are pre-finetuned by workers of the same kind (`starts.py`).

A worker is a Ray actor that keeps its encoder between groups, as a worker process of `engine.py` does, and is given one
group of trials at a time. A worker that is lost, be it alone or with its node, is replaced, its trial in hand is tried
once more, and then recorded as failed; one whose trial takes longer than the limit is killed, and the trial recorded as
failed. Ray ends the workers of a driver that dies.
"""

import os
import platform
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray

from voicefit.corpora import Corpus
from voicefit.encoders.cache import default_cache_root
from voicefit.errors import VoicefitError
from voicefit.sweep import record
from voicefit.sweep.engine import Record, Workplace, Worksite, group_trials, overdue_error
from voicefit.sweep.plan import TrialSpec
from voicefit.sweep.ray_cluster import last_line, most_on_a_node, share_out
from voicefit.sweep.starts import Workshop, hear
from voicefit.system.heap import keep_freed_memory
from voicefit.system.machine import describe_versions
from voicefit.system.progress import Progress

_ROOM_SECONDS = 300.0
"""How long no worker at all may be at hand, as while none of the cluster's nodes has room for one."""

_VAIN_STARTS = 3
"""Workers that may die in a row before they can be given work."""


def run_trials(
    trials: Iterable[TrialSpec], workplace: Workplace, workers: int | None = None, limit: float | None = None
) -> Generator[Record]:
    """Run every trial on the cluster that this process is connected to; records are as in `engine.run_trials`.

    Args:
        trials: what to run.
        workplace: what workers need. Its threads and devices are not read: a worker is given as many CPUs as all
            of them can have, and where the cluster has GPUs, its part of one.
        workers: how many; ``None`` is one for each GPU, or for each CPU where there is no GPU. Those that there is
            no room for begin when a node with room joins.
        limit: seconds that a trial may take, with the loading of its starting point and speaker where these fall to
            it; ``None`` is for ever.

    Raises:
        VoicefitError: a node cannot see a clip or a starting point, or has other versions than this one; or there is
            no room for a worker.
    """
    groups = group_trials(trials)
    if groups:
        needed = {(trial.encoder, trial.start) for group in groups for trial in group}
        count, needs = share_out(ray.nodes(), workers)
        together = most_on_a_node(ray.nodes(), count, needs)
        everywhere = _absolute(replace(workplace, threads=needs["num_cpus"], workers=together))
        yield from _Crew(groups, everywhere, list_files(everywhere, needed), count, needs, limit).records()


def make_starts(workshop: Workshop, progress: Progress, workers: int | None = None) -> None:
    """Pre-finetune all that are missing on the cluster that this process is connected to, each on one worker.

    Args:
        workshop: what workers need. Its threads and devices are not read, see :func:`run_trials`.
        progress: told of every worker's steps.
        workers: how many at once at most; never more than starting points, nor than GPUs or, without GPUs, CPUs.

    Raises:
        VoicefitError: one cannot be made; or as :func:`run_trials`, and where a node cannot see the run directory.
    """
    if not workshop.keys:
        return
    most, _ = share_out(ray.nodes(), None)
    count, needs = share_out(ray.nodes(), min(workers or most, most, len(workshop.keys)))
    together = most_on_a_node(ray.nodes(), count, needs)
    everywhere = _absolute_workshop(replace(workshop, threads=needs["num_cpus"], workers=together))
    crew = _Crew(everywhere.groups, everywhere, _files_of_workshop(everywhere), count, needs, None)
    hear(everywhere, crew.records(), progress)


def _absolute(workplace: Workplace) -> Workplace:
    """The same with absolute paths: workers are in other folders, and have caches of their own unless told."""
    starts = {place: replace(start, source=_absolute_source(start.source)) for place, start in workplace.starts.items()}
    targets, cache_root = _absolute_clips(workplace.targets), _absolute_cache(workplace.cache_root)
    return replace(workplace, starts=starts, targets=targets, cache_root=cache_root)


def _absolute_workshop(workshop: Workshop) -> Workshop:
    sources = {encoder: _absolute_source(source) for encoder, source in workshop.sources.items()}
    corpora, cache_root = _absolute_clips(workshop.corpora), _absolute_cache(workshop.cache_root)
    return replace(workshop, sources=sources, corpora=corpora, cache_root=cache_root, out=workshop.out.absolute())


def _absolute_source(source: str) -> str:
    return os.path.abspath(source) if os.path.isdir(source) else source


def _absolute_clips(corpora: Mapping[str, Corpus]) -> dict[str, Corpus]:
    return {
        name: replace(corpus, clips=tuple(replace(clip, path=clip.path.absolute()) for clip in corpus.clips))
        for name, corpus in corpora.items()
    }


def _absolute_cache(root: Path | None) -> Path:
    return (root or default_cache_root()).absolute()


def list_files(workplace: Workplace, needed: Iterable[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """What a worker must see: what each file is part of, its path, and its bytes as they are here.

    Args:
        workplace: what workers need.
        needed: the (encoder, start) that trials begin at; one from the hub has no files to look for.
    """
    clips = {(f"target {name}", clip.path) for name, corpus in workplace.targets.items() for clip in corpus.clips}
    folders = {place: workplace.starts[place].source for place in needed if place in workplace.starts}
    starts = {(f"start {'/'.join(place)}", path) for place, folder in folders.items() for path in _files_in(folder)}
    return _sized(clips | starts)


def _files_of_workshop(workshop: Workshop) -> list[tuple[str, str, int]]:
    """As :func:`list_files`; the record of the run stands for its directory."""
    names = {name for _, start in workshop.keys for name in start.split("+")}
    clips = {(f"corpus {name}", clip.path) for name in names for clip in workshop.corpora[name].clips}
    sources = {encoder: workshop.sources[encoder] for encoder, _ in workshop.keys}
    encoders = {(f"encoder {name}", path) for name, source in sources.items() for path in _files_in(source)}
    return _sized(clips | encoders | {("the run directory", workshop.out / record.NAME)})


def _files_in(source: str) -> list[Path]:
    return [path for path in Path(source).iterdir() if path.is_file()] if os.path.isdir(source) else []


def _sized(files: Iterable[tuple[str, Path]]) -> list[tuple[str, str, int]]:
    return [(what, str(path), path.stat().st_size) for what, path in sorted(files) if path.exists()]


class _Actor:
    """A worker, in a process of its own on some node."""

    def __init__(self, workplace: Worksite):
        keep_freed_memory()
        self._runner = workplace.runner("cuda:0" if ray.get_gpu_ids() else "cpu")

    def look(self, files: Sequence[tuple[str, str, int]], versions: dict[str, str]) -> str:
        """What keeps this node from working like the driver's; empty if nothing does."""
        node = f"node {platform.node()} ({ray.util.get_node_ip_address()})"
        for name, version in describe_versions().items():
            if version != versions[name]:
                return f"{node} has {name} {version}, and this one has {versions[name]}; install the same"
        for what, path, size in files:
            try:
                found = os.stat(path).st_size
            except OSError:
                return f"{node} cannot see {path} of {what}; every node must mount it under that path"
            if found != size:
                return f"{node} sees another {path} of {what}: {found} bytes, and here it has {size}"
        return ""

    def run(self, group: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """The results of each task of a group."""
        for _, result in self._runner.run(group):
            yield result


@dataclass(eq=False)
class _Worker:
    actor: Any
    awaited: Any  # its look around; then the stream of its records
    fit: bool = False  # it has looked around and can be given work
    todo: deque[Any] = field(default_factory=deque)
    since: float = 0.0  # when the task in hand was begun, by the monotonic clock

    def arrived(self) -> bool:
        """Whether a record waits to be read."""
        return bool(ray.wait([self.awaited], timeout=0)[0])


class _Crew:
    """The workers, and the groups of trials, or of starting points, that are left to give them."""

    def __init__(
        self,
        groups: deque[deque[Any]],
        workplace: Worksite,
        files: Sequence[tuple[str, str, int]],
        count: int,
        needs: dict[str, Any],
        limit: float | None,
    ):
        self.groups, self.count, self.limit = groups, count, limit
        self.workers: list[_Worker] = []
        self._actor = ray.remote(_Actor).options(**needs, max_restarts=0, scheduling_strategy="SPREAD")
        self._workplace, self._files = ray.put(workplace), ray.put(files)
        self._deaths: Counter[Any] = Counter()
        self._vain_starts = 0
        self._alone_since = time.monotonic()  # when a worker was last at hand

    def records(self) -> Generator[tuple[Any, dict[str, Any]]]:
        """Every record, as soon as it is there."""
        try:
            while self.groups or any(worker.todo for worker in self.workers):
                self._give()
                for worker in self._listen():
                    yield from self._hear(worker)
                for worker in self._overdue():
                    yield self._stop(worker)
        finally:
            for worker in self.workers:
                ray.kill(worker.actor)

    def _give(self) -> None:
        """Hire as many workers as there is work for, and give each that is fit and has none a group."""
        busy = sum(1 for worker in self.workers if worker.todo)
        while len(self.workers) < min(self.count, busy + len(self.groups)):
            actor = self._actor.remote(self._workplace)
            self.workers.append(_Worker(actor, actor.look.remote(self._files, describe_versions())))
        for worker in self.workers:
            if self.groups and worker.fit and not worker.todo:
                worker.todo = self.groups.popleft()
                worker.awaited = worker.actor.run.options(num_returns="streaming").remote(list(worker.todo))
                worker.since = time.monotonic()

    def _listen(self) -> list[_Worker]:
        """Wait until a worker has said something, a trial is overdue, or it is plain that no worker will come."""
        now = time.monotonic()
        if any(worker.fit for worker in self.workers):
            self._alone_since = now
        elif now - self._alone_since > _ROOM_SECONDS:
            raise VoicefitError(
                f"no node of the Ray cluster has had room for a worker for {_ROOM_SECONDS:.0f} s; finished trials "
                "are kept, and the same command goes on"
            )
        begun = [worker.since for worker in self.workers if worker.todo and self.limit is not None]
        patience = max(0.0, min(begun) + self.limit - now) if begun and self.limit is not None else _ROOM_SECONDS
        awaited = {worker.awaited: worker for worker in self.workers if worker.todo or not worker.fit}
        if not ray.wait(list(awaited), timeout=patience)[0]:
            return []
        return [awaited[ready] for ready in ray.wait(list(awaited), num_returns=len(awaited), timeout=0)[0]]

    def _hear(self, worker: _Worker) -> Iterator[tuple[Any, dict[str, Any]]]:
        try:
            said = ray.get(next(worker.awaited) if worker.fit else worker.awaited)
        except ray.exceptions.RayTaskError as error:  # a trial's own errors are in its record
            raise VoicefitError(f"a worker on the Ray cluster failed: {last_line(error)}") from error
        except (StopIteration, ray.exceptions.RayError) as error:
            yield from self._bury(worker, last_line(error))
        else:
            if worker.fit:
                yield (worker.todo[0] if "progress" in said else worker.todo.popleft()), said
                worker.since = time.monotonic()
            elif said:
                raise VoicefitError(f"Ray: {said}")
            else:
                worker.fit, self._vain_starts = True, 0

    def _bury(self, worker: _Worker, cause: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Put a lost worker's trials back; give up on the one in hand when two workers were lost with it."""
        self._dismiss(worker)
        if not worker.fit:
            self._vain_starts += 1
            if self._vain_starts == _VAIN_STARTS:
                raise VoicefitError(f"workers cannot start on the Ray cluster: {cause}")
            return
        in_hand = worker.todo[0]
        self._deaths[in_hand] += 1
        if self._deaths[in_hand] == 2:
            worker.todo.popleft()
            yield in_hand, {"error": f"the worker died twice ({cause})"}
        self._put_back(worker)

    def _overdue(self) -> list[_Worker]:
        """Workers whose trial takes too long; one whose record waits to be read is not among them."""
        if self.limit is None:
            return []
        late = time.monotonic() - self.limit
        return [w for w in self.workers if w.todo and w.since <= late and not w.arrived()]

    def _stop(self, worker: _Worker) -> tuple[Any, dict[str, Any]]:
        """Kill a worker whose trial takes too long, put the rest of its trials back, and give the failed record."""
        self._dismiss(worker)
        in_hand = worker.todo.popleft()
        self._put_back(worker)
        return in_hand, overdue_error(self.limit)

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        ray.kill(worker.actor)

    def _put_back(self, worker: _Worker) -> None:
        if worker.todo:
            self.groups.appendleft(worker.todo)
