"""From several channels to one, and what is to be told about them."""

import math

import numpy as np

_FRAME_S = 0.02
_ACTIVE = 10 ** (-40 / 10)
"""A frame has sound in it if its energy is at least this, beside the loudest one's."""

_DOMINANT = 10.0
"""One channel has a frame for itself if it has so much more energy there than every other: 10 dB."""

_SHARE = 0.1
"""Channels differ if each of two has such a share of the frames with sound for itself."""

_CANCELLED = 0.01
"""Channels cancel out if their mean has less energy than this, beside that of the channels: -20 dB."""


class Channels:
    """Takes one channel, or the mean of all, and sees whether that is what a listener would do.

    Args:
        rate: samples per second.
        chosen: the number of the channel to take, from 1; ``None`` is the mean of all.
    """

    def __init__(self, rate: int, chosen: int | None = None):
        self._size, self._chosen = max(1, round(rate * _FRAME_S)), chosen
        self._energy: list[np.ndarray] = []
        self._cancelled = False

    def take(self, block: np.ndarray) -> np.ndarray:
        """Return the one channel of a block ``(samples, channels)``."""
        if block.shape[1] == 1:
            return block[:, 0]
        if self._chosen is not None:
            return block[:, self._chosen - 1]
        with np.errstate(over="ignore", invalid="ignore"):  # samples that are far too loud are refused later
            energy = self._frames(block)
            mixed: np.ndarray = block.mean(axis=1, dtype=np.float32)
            left, all_of_it = float(np.square(mixed, dtype=np.float64).sum()), float(energy.sum()) / block.shape[1]
        self._energy.append(energy)
        if not 0 < all_of_it < math.inf or left >= _CANCELLED * all_of_it:
            return mixed
        self._cancelled = True
        return block[:, 0]

    def _frames(self, block: np.ndarray) -> np.ndarray:
        """The energy of each frame and channel ``(frames, channels)``; a block begins a frame."""
        squares = np.square(block, dtype=np.float64)
        return np.add.reduceat(squares, np.arange(0, len(block), self._size), axis=0)

    @property
    def remarks(self) -> list[str]:
        """What a listener should know."""
        if self._cancelled:
            return ["its channels cancel each other out, so that channel 1 alone is read"]
        if self._differ:
            return ["its channels differ, as the two sides of a call do, and are mixed; choose one, as by --channel 1"]
        return []

    @property
    def _differ(self) -> bool:
        """Whether two channels take turns, as the two sides of a call do."""
        if not self._energy:
            return False
        energy = np.concatenate(self._energy)
        loudest = energy.max(axis=1)
        active = energy[loudest >= _ACTIVE * loudest.max()]
        if not len(active) or not np.isfinite(active).all() or not active.any():
            return False
        second, first = np.partition(active, -2, axis=1)[:, -2:].T
        alone = np.bincount(active.argmax(axis=1)[first > _DOMINANT * second], minlength=active.shape[1])
        return bool(np.sort(alone)[-2] >= _SHARE * len(active))
