"""What the frozen front end says of each clip, computed once and kept on disk in half precision."""

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voicefit.audio import AudioError, load_waveform
from voicefit.corpora import Clip
from voicefit.encoders.encoder import Encoder
from voicefit.files import new_file

_CLIPS_AHEAD = 8
"""Clips that are decoded while the front end is still at an earlier one."""


def default_cache_root() -> Path:
    """``$VOICEFIT_CACHE``, or ``voicefit`` in the user's cache folder."""
    return Path(os.environ.get("VOICEFIT_CACHE") or Path.home() / ".cache" / "voicefit")


class FrontCache:
    """Front-end outputs by clip: one float16 ``.npy`` file per clip, memory-mapped when read.

    A file's name is made of the front end's weights and settings (:meth:`Encoder.front_key`) and of the audio
    file's bytes and the clip's bounds, which fix its samples without decoding them. Files are written under a
    temporary name and renamed: processes may share a cache, and a kill leaves no half-written entry. An entry
    that is damaged nevertheless is computed again. What has been read stays in memory, up to an eighth of the
    machine's, so that an epoch does not wait for the disk again.

    Args:
        encoder: whose front end it is.
        root: where the files go; ``None`` is the user's cache folder.
        processes: how many share the machine's memory.
    """

    def __init__(self, encoder: Encoder, root: Path | None = None, processes: int = 1):
        self.encoder = encoder
        self.folder = (root or default_cache_root()) / encoder.front_key()
        self._entries: dict[Clip, Path] = {}
        self._held: dict[Clip, Tensor] = {}
        self._room = _physical_memory() // 8 // processes

    def frames(self, clip: Clip) -> Tensor:
        """The front end's output for ``clip``: float16 tensor ``(frames, width)``.

        Raises:
            AudioError: the clip cannot be decoded and is not in the cache.
        """
        return self._hold(clip, *self._read_or_decode(clip))

    def fill(self, clips: Iterable[Clip], progress: Callable[[], None] | None = None) -> dict[str, str]:
        """Make sure that every clip is cached; ``progress`` is called after each.

        The next clips are read and decoded while the front end runs.

        Returns:
            clip id → reason, for the clips that cannot be used.
        """
        broken: dict[str, str] = {}
        with ThreadPoolExecutor(1) as reader:
            for clip, prepared in _ahead(reader, self._read_or_decode, clips):
                try:
                    self._hold(clip, *prepared.result())
                except AudioError as error:
                    broken[clip.id] = f"{error.kind}: {error}"
                if progress:
                    progress()
        return broken

    def _read_or_decode(self, clip: Clip) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The stored frames of a clip or, where there are none, its waveform."""
        if clip in self._held:
            return self._held[clip].numpy().copy(), None
        stored = _read(self._entry(clip))
        if stored is not None:
            return np.array(stored), None
        return None, load_waveform(clip.path, clip.start, clip.end, resample=self.encoder.front_end.resample)

    def _hold(self, clip: Clip, stored: np.ndarray | None, waveform: np.ndarray | None) -> Tensor:
        """Run the front end and store what it says, if need be; keep the frames in memory while there is room."""
        if stored is None:
            assert waveform is not None
            stored = self.encoder.front(waveform).half().cpu().numpy()
            with new_file(self._entry(clip)) as file:
                np.save(file, stored, allow_pickle=False)
        frames = torch.from_numpy(stored)
        if clip not in self._held and frames.nbytes <= self._room:
            self._held[clip] = frames.clone()
            self._room -= frames.nbytes
        return frames

    def _entry(self, clip: Clip) -> Path:
        if clip not in self._entries:
            digest = hashlib.blake2b(f"{clip.start}:{clip.end}:".encode(), digest_size=16)
            with contextlib.suppress(OSError):  # load_waveform says what is wrong with the file
                digest.update(clip.path.read_bytes())
            name = digest.hexdigest()
            self._entries[clip] = self.folder / name[:2] / f"{name}.npy"
        return self._entries[clip]


def _ahead(
    reader: ThreadPoolExecutor, prepare: Callable[[Clip], Any], clips: Iterable[Clip]
) -> Iterator[tuple[Clip, Future[Any]]]:
    """Each clip with what ``prepare`` makes of it, a few clips ahead of what is asked for."""
    pending: deque[tuple[Clip, Future[Any]]] = deque()
    for clip in clips:
        pending.append((clip, reader.submit(prepare, clip)))
        if len(pending) > _CLIPS_AHEAD:
            yield pending.popleft()
    yield from pending


def _read(entry: Path) -> np.ndarray | None:
    """The entry, or ``None`` where it is absent, damaged or something else than frames."""
    try:
        # Not numpy.load: it takes a file that begins like a zip archive for one, and fails in other ways.
        stored = np.lib.format.open_memmap(entry, mode="r")
    except Exception:  # a damaged header fails in a dozen ways; whichever it is, the frames can be computed again
        return None
    return stored if stored.dtype == np.float16 and stored.ndim == 2 else None


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
