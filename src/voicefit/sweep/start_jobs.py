"""The starting points of a sweep that have to be pre-finetuned, as jobs.

Each is pre-finetuned in this process, or several at once by workers. A worker makes one at a time and reports every
second how far it is. The scheduler replaces a worker that is lost, and the next one resumes from the saved state.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path

from voicefit.checkpoints.record import read_record
from voicefit.corpora import Corpus
from voicefit.corpora.same_audio import corpus_audio
from voicefit.errors import VoicefitError
from voicefit.prefinetuning.prefinetune import Run, prefinetune, split_clips, told_of_single_clips
from voicefit.sweep.jobs import Event, Lost, Message, ProgressReport, Record
from voicefit.sweep.plan import Plan
from voicefit.sweep.process_transport import ProcessTransport
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId
from voicefit.system.files import read_metadata
from voicefit.system.heap import give_back_freed_memory
from voicefit.system.machine import limit_threads
from voicefit.system.progress import Progress

_PROGRESS_INTERVAL_S = 1.0
"""A worker reports this often how far a starting point is. One whose scheduler has died notices at the next report."""


def has_checkpoint(path: Path, start_key: str, corpora: Mapping[str, Corpus]) -> bool:
    """Return whether a starting point is finished.

    Args:
        path: the directory of its checkpoint.
        start_key: digest of what it is to be made of.
        corpora: name → corpus, with the clips that can be used. The audio of those that it is made of is compared,
            where the checkpoint says what it was.

    Raises:
        VoicefitError: there is a checkpoint that was made of something else.
    """
    if not path.exists():
        return False
    for weights in sorted(path.glob("*.safetensors")):
        _require_whole(weights, path)
    record = read_record(path)
    if record.get("start_key") != start_key:
        raise VoicefitError(
            f"{path}: was made of other clips, settings or another encoder than the plan now names; "
            "remove it, or choose another --out"
        )
    for made_of in record.get("corpora", ()):
        if made_of.get("audio") and made_of["audio"] != corpus_audio(corpora[made_of["name"]]):
            raise VoicefitError(
                f"{path}: was made when corpus {made_of['name']} had other audio; remove it, or choose another --out"
            )
    return True


def _require_whole(weights: Path, folder: Path) -> None:
    """Refuse a checkpoint whose weights were cut off, as by a disk that lost what it had taken."""
    try:
        read_metadata(weights)
    except VoicefitError as error:
        raise VoicefitError(f"{error}; remove {folder}, and the same command makes it again") from error


@dataclass(frozen=True)
class StartJobs:
    """All that it takes to pre-finetune the starting points that a run lacks.

    Attributes:
        plan: of the run.
        keys: those starting points → digest of what each is made of.
        sources: encoder → where it is loaded from.
        corpora: name → corpus, with the clips that can be used.
        run: the run directory.
        cache_root: the front-end cache.
        threads: CPU threads of each worker.
        devices: where workers run, in turn.
        workers: how many share this machine's memory.
    """

    plan: Plan
    keys: Mapping[StartId, str]
    sources: Mapping[str, str]
    corpora: Mapping[str, Corpus]
    run: RunDirectory
    cache_root: Path | None
    threads: int
    devices: Sequence[str] = ("cpu",)
    workers: int = 1

    def runner(self, device: str) -> "StartRunner":
        """Return what pre-finetunes in a worker on ``device``."""
        return StartRunner(self, device)

    @property
    def groups(self) -> deque[deque[StartId]]:
        """A group for each starting point, those of many clips first: one begun last would be waited for."""

        def clips(start_id: StartId) -> int:
            return sum(len(self.corpora[name].clips) for name in start_id.start.split("+"))

        return deque(deque([start_id]) for start_id in sorted(self.keys, key=clips, reverse=True))

    def told(self) -> list[str]:
        """Return a line for each corpus that these starting points learn little of labels from."""
        lines: dict[str, None] = {}
        for start_id in self.keys:
            corpora = [self.corpora[name] for name in start_id.start.split("+")]
            for split in split_clips(corpora, self.plan.prefinetune_settings(start_id.encoder), self.plan.seed):
                lines.update(dict.fromkeys(told_of_single_clips(split)))
        return list(lines)

    def shared(self, workers: int) -> "StartJobs":
        """Return the same with the threads shared out among so many workers."""
        return replace(self, threads=max(1, self.threads // workers), workers=workers)

    def make(self, start_id: StartId, device: str, progress: Progress) -> None:
        """Pre-finetune a starting point, or resume, and write its checkpoint into the run directory.

        Args:
            start_id: one of ``keys``.
            device: where to train.
            progress: called at every step.

        Raises:
            VoicefitError: see :func:`voicefit.prefinetuning.prefinetune.prefinetune`.
        """
        encoder, start = start_id
        path = self.run.checkpoint(start_id)
        if has_checkpoint(
            path, self.keys[start_id], self.corpora
        ):  # of a worker that was lost before it could report it
            return
        encoder_plan = self.plan.encoders[encoder]
        loaded = encoder_plan.model_copy(update={"source": self.sources[encoder]}).load()
        prefinetune(
            loaded.to(device),
            [self.corpora[name] for name in start.split("+")],
            path,
            source=encoder_plan.source,
            protocol=self.plan.protocol,
            settings=self.plan.prefinetune_settings(encoder),
            start_key=self.keys[start_id],
            run=Run(
                seed=self.plan.seed,
                resume=True,
                cache_root=self.cache_root,
                memory_share=self.workers,
                progress=lambda what, done, total: progress(f"{start_id}: {what}", done, total),
            ),
        )


class StartRunner:
    """Pre-finetunes one starting point after another in a worker."""

    def __init__(self, jobs: StartJobs, device: str):
        self.jobs, self.device = jobs, device

    def run(self, group: Iterable[StartId]) -> Iterator[Message[StartId]]:
        """Yield for each starting point how far it is, every second, and at its end its record."""
        for start_id in group:
            yield from self._run_one(start_id)

    def _run_one(self, start_id: StartId) -> Iterator[Message[StartId]]:
        latest: dict[str, tuple[int, int]] = {}
        work = _in_thread(lambda: self._make(start_id, latest))
        is_done = False
        while not is_done:
            is_done = bool(wait([work], timeout=_PROGRESS_INTERVAL_S).done)
            yield ProgressReport(start_id, tuple((what, *latest.pop(what)) for what in list(latest)))
        give_back_freed_memory()  # which trials of the same worker could not use
        try:
            work.result()
        except VoicefitError as error:
            yield Record(start_id, error=str(error))
        else:
            yield Record(start_id)

    def _make(self, start_id: StartId, latest: dict[str, tuple[int, int]]) -> None:
        with limit_threads(self.jobs.threads):
            self.jobs.make(start_id, self.device, lambda what, done, total: latest.update({what: (done, total)}))


def _in_thread(act: Callable[[], None]) -> "Future[None]":
    """Begin ``act`` in a thread that keeps no process from ending."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            act()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    return future


def make_starts(jobs: StartJobs, progress: Progress, workers: int) -> None:
    """Pre-finetune all that are missing, as many at once as there are workers, but one at a time on each GPU.

    Args:
        jobs: the starting points.
        progress: called at every step of each.
        workers: how many worker processes; with 1, all is done in this process.

    Raises:
        VoicefitError: one cannot be made. The next call resumes the others from what they have saved.
    """
    count = starts_at_once(jobs, workers)
    if count <= 1:
        for start_id in jobs.keys:
            jobs.make(start_id, jobs.devices[0], progress)
        give_back_freed_memory()  # to workers that run trials
        return
    shared = jobs.shared(count)
    follow_starts(shared, Scheduler(shared.groups, ProcessTransport(shared), count).run(), progress)


def starts_at_once(jobs: StartJobs, workers: int) -> int:
    """Return how many of the workers pre-finetune at the same time."""
    most = workers if jobs.devices[0] == "cpu" else len(jobs.devices)
    return min(workers, most, len(jobs.keys))


def follow_starts(jobs: StartJobs, messages: Generator[Event[StartId]], progress: Progress) -> None:
    """Follow workers until all starting points are there.

    Args:
        jobs: the starting points.
        messages: of the workers.
        progress: called with what they report.

    Raises:
        VoicefitError: see :func:`handle_message`.
    """
    with contextlib.closing(messages):
        for message in messages:
            handle_message(jobs, message, progress)


def handle_message(jobs: StartJobs, message: Event[StartId], progress: Progress) -> bool:
    """Pass on what a worker reports, or check that the starting point that it has finished is there.

    Args:
        jobs: the starting points.
        message: of a worker.
        progress: called with what the message reports.

    Returns:
        whether the starting point is finished.

    Raises:
        VoicefitError: the starting point cannot be made, or its checkpoint is not seen from here.
    """
    if isinstance(message, ProgressReport):
        for step in message.steps:
            progress(*step)
        return False
    if isinstance(message, Lost):  # another worker goes on from the state that was last saved
        return False
    assert isinstance(message, Record)  # starting points come in no batches
    if message.error is not None:
        raise VoicefitError(f"pre-finetuning of {message.job}: {message.error}")
    _require_visible(jobs.run.checkpoint(message.job))
    return True


def _require_visible(path: Path) -> None:
    # A list, since a network file system may answer from memory whether one path exists.
    if not path.parent.is_dir() or path.name not in os.listdir(path.parent):
        raise VoicefitError(
            f"{path}: a worker has written this checkpoint, but it cannot be seen here; every node must mount the run "
            "directory under that path"
        )
