"""Whether a recording was overdriven: a microphone or a recorder that can take no more cuts peaks off flat."""

import numpy as np

FULL_SCALE = 0.9999
"""A sample is at full scale if its absolute value is at least this."""


class FlatTops:
    """Finds the longest run of samples at full scale, in blocks of ``(samples, channels)``.

    Args:
        is_limited: whether no sample can be beyond full scale. Others can, as floats and those of MP3: there, samples
            at the loudest value, one behind the other, are a flat top.
    """

    def __init__(self, is_limited: bool):
        self._is_limited = is_limited
        self._top = FULL_SCALE
        self.longest = 0
        """Samples in the longest run so far."""

        self._open: np.ndarray | None = None  # how long the run at the end of the last block is, by channel

    def see(self, block: np.ndarray) -> None:
        """Look at the next block."""
        size = np.abs(block)
        if not self._is_limited:
            peak = float(np.nanmax(size, initial=0.0))
            if peak > self._top:  # a new peak: what was flat before was not the top
                self._top, self.longest, self._open = peak, 0, None
        full = size >= self._top
        if not full.any():
            self._open = None
            return
        before = np.zeros(block.shape[1], np.int64) if self._open is None else self._open
        after = np.zeros_like(before)
        for channel, flags in enumerate(full.T):
            longest, after[channel] = _runs(flags, int(before[channel]))
            self.longest = max(self.longest, longest)
        self._open = after


def _runs(flags: np.ndarray, before: int) -> tuple[int, int]:
    """The longest run of true, with ``before`` true ones ahead, and the length of the one at the end."""
    breaks = np.flatnonzero(~flags)
    if not len(breaks):
        return before + len(flags), before + len(flags)
    runs = np.diff(breaks) - 1
    first, last = before + int(breaks[0]), len(flags) - 1 - int(breaks[-1])
    return max(first, last, int(runs.max(initial=0))), last
