"""The starting points of a sweep that have to be pre-finetuned: each in this process, or several at once by workers.

A worker makes one at a time and says every second how far it is. The engine replaces one that is lost, and what that
was at goes on from the state that it had saved.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voicefit.checkpoints import checkpoint
from voicefit.corpora import Corpus
from voicefit.errors import VoicefitError
from voicefit.prefinetuning.prefinetune import Run, prefinetune
from voicefit.sweep.engine import run_in_workers
from voicefit.sweep.plan import Plan
from voicefit.system.heap import give_back_freed_memory
from voicefit.system.machine import limit_threads
from voicefit.system.progress import Progress

Place = tuple[str, str]
"""The encoder and the start, both as the plan names them."""

_SECONDS = 1.0
"""Between two words of a worker. One whose driver has died finds out by the next."""


def checkpoint_path(out: Path, encoder: str, start: str) -> Path:
    """Where a run keeps a pre-finetuned starting point."""
    return out / "checkpoints" / encoder / start


def is_made(path: Path, key: str) -> bool:
    """Whether the checkpoint is there.

    Raises:
        VoicefitError: there is one made of something else than ``key`` stands for.
    """
    if not path.exists():
        return False
    if checkpoint.read_record(path).get("start_key") != key:
        raise VoicefitError(
            f"{path}: was made of other clips, settings or another encoder than the plan now names; "
            "remove it, or choose another --out"
        )
    return True


@dataclass(frozen=True)
class Workshop:
    """All that it takes to pre-finetune the starting points that a run lacks.

    Attributes:
        plan: of the run.
        keys: those starting points → digest of what each is made of.
        sources: encoder → where it is loaded from.
        corpora: name → corpus, with the clips that can be used.
        out: the run directory.
        cache_root: the front-end cache.
        threads: CPU threads of each worker.
        devices: where workers run, in turn.
        workers: how many share this machine's memory.
    """

    plan: Plan
    keys: Mapping[Place, str]
    sources: Mapping[str, str]
    corpora: Mapping[str, Corpus]
    out: Path
    cache_root: Path | None
    threads: int
    devices: Sequence[str] = ("cpu",)
    workers: int = 1

    def runner(self, device: str) -> "StartRunner":
        """What a worker on ``device`` works with."""
        return StartRunner(self, device)

    @property
    def groups(self) -> deque[deque[Place]]:
        """Each starting point for itself, those of many clips first: one begun last would be waited for."""

        def clips(place: Place) -> int:
            return sum(len(self.corpora[name].clips) for name in place[1].split("+"))

        return deque(deque([place]) for place in sorted(self.keys, key=clips, reverse=True))

    def shared(self, workers: int) -> "Workshop":
        """The same for so many workers at once."""
        return replace(self, threads=max(1, self.threads // workers), workers=workers)

    def make(self, place: Place, device: str, progress: Progress) -> None:
        """Pre-finetune one, or go on with it, and write its checkpoint into the run directory.

        Raises:
            VoicefitError: see :func:`voicefit.prefinetuning.prefinetune.prefinetune`.
        """
        encoder, start = place
        path = checkpoint_path(self.out, encoder, start)
        if is_made(path, self.keys[place]):  # by a worker that was lost before it could say so
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
            start_key=self.keys[place],
            run=Run(
                seed=self.plan.seed,
                resume=True,
                cache_root=self.cache_root,
                memory_share=self.workers,
                progress=lambda what, done, total: progress(f"{encoder}/{start}: {what}", done, total),
            ),
        )


class StartRunner:
    """Makes one starting point after another in a worker."""

    def __init__(self, workshop: Workshop, device: str):
        self.workshop, self.device = workshop, device

    def run(self, group: Iterable[Place]) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield for each starting point how far it is, as ``progress``, and at its end ``error`` or nothing."""
        for place in group:
            told: dict[str, tuple[int, int]] = {}
            work = _in_thread(lambda place=place, told=told: self._make(place, told))  # type: ignore[misc]
            done = False
            while not done:
                done = bool(wait([work], timeout=_SECONDS).done)
                yield place, {"progress": [(what, *told.pop(what)) for what in list(told)]}
            give_back_freed_memory()  # which trials of the same worker could not use
            try:
                work.result()
            except VoicefitError as error:
                yield place, {"error": str(error)}
            else:
                yield place, {}

    def _make(self, place: Place, told: dict[str, tuple[int, int]]) -> None:
        with limit_threads(self.workshop.threads):
            self.workshop.make(place, self.device, lambda what, done, total: told.update({what: (done, total)}))


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


def make_starts(workshop: Workshop, progress: Progress, workers: int) -> None:
    """Pre-finetune all that are missing, as many at once as there are workers, but one at a time on each GPU.

    With one worker this is done in this process.

    Raises:
        VoicefitError: one cannot be made. What others had saved is gone on from by the next call.
    """
    count = made_at_once(workshop, workers)
    if count <= 1:
        for place in workshop.keys:
            workshop.make(place, workshop.devices[0], progress)
        give_back_freed_memory()  # to workers that run trials
        return
    shared = workshop.shared(count)
    hear(shared, run_in_workers(shared.groups, shared, count), progress)


def made_at_once(workshop: Workshop, workers: int) -> int:
    """How many of the workers make a starting point at the same time."""
    most = workers if workshop.devices[0] == "cpu" else len(workshop.devices)
    return min(workers, most, len(workshop.keys))


def hear(workshop: Workshop, records: Generator[tuple[Place, dict[str, Any]]], progress: Progress) -> None:
    """Follow workers to their end.

    Raises:
        VoicefitError: see :func:`hear_record`.
    """
    with contextlib.closing(records):
        for place, said in records:
            hear_record(workshop, place, said, progress)


def hear_record(workshop: Workshop, place: Place, said: Mapping[str, Any], progress: Progress) -> bool:
    """Pass on how far a starting point is, and tell whether it is made; then see that it is there.

    Raises:
        VoicefitError: it cannot be made, or is not seen from here.
    """
    if "error" in said:
        raise VoicefitError(f"pre-finetuning of {'/'.join(place)}: {said['error']}")
    for step in said.get("progress", ()):
        progress(*step)
    if not said:
        _require_seen(checkpoint_path(workshop.out, *place))
    return not said


def _require_seen(path: Path) -> None:
    # A list, since a network file system may answer from memory whether one path exists.
    if not path.parent.is_dir() or path.name not in os.listdir(path.parent):
        raise VoicefitError(
            f"{path}: a worker has written this checkpoint, but it cannot be seen here; every node must mount the run "
            "directory under that path"
        )
