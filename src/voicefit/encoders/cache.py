"""The output of the frozen front end for each clip, computed once and kept on disk in half precision."""

import hashlib
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voicefit.audio import AudioError, load_waveform, waveform_length
from voicefit.corpora import Clip
from voicefit.encoders.cache_limit import ADVICE, CachePlan, bytes_under, free_bytes, read_limit
from voicefit.encoders.encoder import Encoder
from voicefit.errors import VoicefitError
from voicefit.system.digests import file_digest
from voicefit.system.files import default_cache_root, new_file
from voicefit.system.machine import limit_threads

_HEADER_BYTES = 128
"""A file of the cache has so many bytes before its frames."""


class FrontCache:
    """Front-end outputs by clip: one float16 ``.npy`` file per clip, memory-mapped when read.

    The name of a file is a digest of the front end's weights and settings (:meth:`Encoder.front_key`), the bytes of
    the audio file and the bounds of the clip. These fix the clip's samples without decoding them. Files are written
    under a temporary name and renamed: processes may share a cache, and a kill leaves no half-written file. A damaged
    file is computed again. Frames stay in memory once read, up to an eighth of the machine's memory: the next epoch
    does not wait for the disk.

    If ``$VOICEFIT_CACHE_LIMIT`` limits ``root`` to so many GB, further clips are not stored, and the front end runs
    again for each use. Files within the limit are still read.

    Attributes:
        memory_share: an eighth of the machine's memory, divided among the processes, in bytes.

    Args:
        encoder: the encoder whose front end is run.
        root: the folder of the cache; ``None`` is the user's cache folder.
        processes: the number of processes that share the machine's memory and the limit.

    Raises:
        VoicefitError: the limit is not a number of GB.
    """

    def __init__(self, encoder: Encoder, root: Path | None = None, processes: int = 1):
        self.encoder = encoder
        self.root = root or default_cache_root()
        self.folder = self.root / encoder.front_key()
        self._processes = processes
        self._limit = read_limit()
        self._held: dict[Clip, np.ndarray] = {}
        self.memory_share = _physical_memory() // 8 // processes
        self._memory_left = self.memory_share
        self._counting = Lock()  # held while the room on disk is looked at or taken

    def frames(self, clip: Clip) -> Tensor:
        """Return the front end's output for ``clip``: float16 tensor ``(frames, width)``.

        Raises:
            AudioError: the clip cannot be decoded and is not in the cache.
            VoicefitError: the disk is full.
        """
        frames = self._held.get(clip)
        if frames is None:
            entry = self._entry(clip)
            frames = _read(entry)
            if frames is None:
                frames = self._front(self._decode(clip))
                self._store(entry, frames)
            self._hold(clip, frames)
        return torch.from_numpy(np.array(frames))

    def plan(self, clips: Iterable[Clip], progress: Callable[[], None] | None = None) -> CachePlan:
        """Return the disk space that the missing clips need, read from the headers of their files.

        ``progress`` is called after each clip.
        """
        missing: set[str] = set()
        size = 0
        for clip in clips:
            entry = self._entry(clip)
            if entry.name not in missing and not entry.exists():
                samples = waveform_length(clip.path, clip.start, clip.end, resample=self.encoder.front_end.resample)
                if samples:
                    missing.add(entry.name)
                    size += self._entry_bytes(samples)
            if progress:
                progress()
        return CachePlan(self.root, len(missing), size, self._disk_left * self._processes, free_bytes(self.root))

    def fill(
        self, clips: Iterable[Clip], progress: Callable[[], None] | None = None, at_once: int = 1
    ) -> dict[str, str]:
        """Check that every clip can be used, and store its frames while there is room; call ``progress`` after each.

        Clips are worked on side by side, each on one thread from reading its file to writing its frames. On a processor
        there is a thread more than torch has, so that no core waits where one of them waits for a file. A GPU has two.

        Args:
            clips: the clips.
            progress: called after each clip.
            at_once: on a processor, work on at least so many clips at once, as where a sweep has so many workers.

        Returns:
            clip id → reason, for the clips that cannot be used.

        Raises:
            VoicefitError: the disk is full.
        """
        broken: dict[str, str] = {}
        cores = max(torch.get_num_threads(), at_once) if self.encoder.device.type == "cpu" else 1
        with ThreadPoolExecutor(cores + 1) as pool, limit_threads(1):
            for clip, filled in _ahead(pool, self._fill_one, clips, 2 * (cores + 1)):
                try:
                    frames = filled.result()
                except AudioError as error:
                    broken[clip.id] = f"{error.kind}: {error}"
                else:
                    if frames is not None:
                        self._hold(clip, frames)
                if progress:
                    progress()
        return broken

    def _fill_one(self, clip: Clip) -> np.ndarray | None:
        """Return the frames of a clip, and store them; ``None`` if they are in memory, or if there is no room."""
        if clip in self._held:
            return None
        entry = self._entry(clip)
        frames = _read(entry)
        if frames is None:
            waveform = self._decode(clip)
            with self._counting:
                room = max(self._disk_left, self._memory_left)
            if self._entry_bytes(len(waveform)) > room:
                return None
            frames = self._front(waveform)
            self._store(entry, frames)
        return frames

    def _decode(self, clip: Clip) -> np.ndarray:
        resample = self.encoder.front_end.resample
        return load_waveform(clip.path, clip.start, clip.end, resample=resample, channel=clip.channel)

    def _front(self, waveform: np.ndarray) -> np.ndarray:
        return self.encoder.front(waveform).half().cpu().numpy()

    def _store(self, entry: Path, frames: np.ndarray) -> None:
        """Write an entry, if there is room."""
        size = _HEADER_BYTES + frames.nbytes
        with self._counting:
            if size > self._disk_left:
                return
            self._disk_left -= size
        try:
            with new_file(entry) as file:
                np.save(file, frames, allow_pickle=False)
        except OSError as error:
            raise VoicefitError(f"{self.folder}: cannot be written to ({error.strerror or error}); {ADVICE}") from error

    def _hold(self, clip: Clip, frames: np.ndarray) -> None:
        """Keep frames in memory while there is room; those of a file are read."""
        if clip not in self._held and frames.nbytes <= self._memory_left:
            self._held[clip] = np.array(frames) if isinstance(frames, np.memmap) else frames
            self._memory_left -= frames.nbytes

    def _entry(self, clip: Clip) -> Path:
        part = f"{clip.start}:{clip.end}:" + ("" if clip.channel is None else f"{clip.channel}:")
        name = hashlib.blake2b(part.encode() + file_digest(clip.path), digest_size=16)
        return self.folder / name.hexdigest()[:2] / f"{name.hexdigest()}.npy"

    def _entry_bytes(self, samples: int) -> int:
        frames, width = self.encoder.front_shape(samples)
        return _HEADER_BYTES + 2 * frames * width

    @cached_property
    def _disk_left(self) -> float:
        """The bytes that this process may still store."""
        if not self._limit:  # no need to measure: no limit, or a limit of 0
            return math.inf if self._limit is None else 0
        return max(0, self._limit - bytes_under(self.root)) // self._processes


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[Clip], Any], clips: Iterable[Clip], most: int
) -> Iterator[tuple[Clip, Future[Any]]]:
    """Yield each clip with the future result of ``function``, which has begun or waits for ``most`` clips beyond it."""
    pending: deque[tuple[Clip, Future[Any]]] = deque()
    for clip in clips:
        pending.append((clip, pool.submit(function, clip)))
        if len(pending) > most:
            yield pending.popleft()
    yield from pending


def _read(entry: Path) -> np.ndarray | None:
    """Return the frames of an entry, or ``None`` if it is absent, damaged or no frames."""
    try:
        # numpy.load would open a file that begins like a zip archive as one, and fail in other ways.
        stored = np.lib.format.open_memmap(entry, mode="r")
    except Exception:  # a damaged header raises many classes; in all cases the frames are computed again
        return None
    return stored if stored.dtype == np.float16 and stored.ndim == 2 else None


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
