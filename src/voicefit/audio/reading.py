"""Reading on: the streams of a file one behind the other, as blocks at 16 kHz, and what there is to tell about them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np
import soxr

from voicefit.audio.channels import Channels
from voicefit.audio.decoders import UNREADABLE, Stream
from voicefit.audio.flat_tops import FlatTops
from voicefit.audio.kinds import kind_of
from voicefit.audio.limits import SAMPLE_RATE, AudioError, duration
from voicefit.audio.opening import Wanted, open_stream, reason_of, sources

_MAX_AMPLITUDE = 2.0**32
"""Louder samples are refused. Full scale is 1; some programs store whole numbers of 32 bits as floats."""

_BLOCK_SAMPLES = 2**20
"""So many samples of all channels are decoded at a time: a header with a wrong length then costs no memory."""

_TOLERANCE_S = 0.1
"""A stretch may end so much behind the end of its file before that is told: times in tables are rounded."""


class Reading:
    """A file that is read on; the attributes are right when :meth:`blocks` has come to its end.

    Attributes:
        rate: samples per second in the file.
        channels: channels in the file.
        flat: see :class:`voicefit.audio.flat_tops.FlatTops`.
        seconds: how much was read.
        samples: how much was given, at 16 kHz.
        remarks: what a listener should know.
    """

    def __init__(self, file: BinaryIO, wanted: Wanted):
        self._file, self._wanted = file, wanted
        self._passed = 0.0  # seconds before the stream that is read now
        self.rate = self.channels = self.flat = self.samples = 0
        self.seconds = 0.0
        self.remarks: list[str] = []

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield what is wanted of the file as mono blocks at 16 kHz, float32.

        Raises:
            AudioError: see :func:`voicefit.audio.load_waveform`.
        """
        wanted = self._wanted
        for kind, source in sources(self._file, kind_of(self._file)):
            if wanted.end is not None and self._passed >= wanted.end:
                break
            try:
                with ExitStack() as stack:
                    yield from self._blocks_of(open_stream(stack, source, kind, wanted))
            except AudioError as error:
                if not self._passed or error.kind == "too-long":
                    raise
                words = str(error).removeprefix(f"{wanted.name}: ")
                self._tell(f"another recording is joined to it at {self._passed:.1f} s, which is not read: {words}")
        if wanted.end is not None and 0 < self.seconds < wanted.end - wanted.start - _TOLERANCE_S:
            self._tell(f"it ends at {wanted.start + self.seconds:.1f} s, before {wanted.end:g} s")
        if not self.seconds:
            raise wanted.error("empty", "holds no samples")

    def _tell(self, words: str) -> None:
        if words not in self.remarks:
            self.remarks.append(words)

    def _blocks_of(self, stream: Stream) -> Iterator[np.ndarray]:
        rate, wanted = stream.rate, self._wanted
        self.rate, self.channels = self.rate or rate, max(self.channels, stream.channels)
        before, (first, count) = round(self._passed * rate), wanted.range_at(rate)
        skip = max(0, first - before)
        skipped = _skip(stream, skip, wanted) if skip else 0
        left = max(0, first + count - before - skip)
        if stream.frames is not None:
            self._check_length(_at_16k(min(left, stream.frames - skipped), rate, wanted))
        channels, tops = Channels(rate, wanted.channel), FlatTops(stream.is_limited)
        convert = _converter(rate, wanted)
        read = 0
        for block in _decoded(stream, left, wanted):
            read += len(block)
            if wanted.measure:
                tops.see(block)
            yield self._given(convert(channels.take(block), False))
        yield self._given(convert(np.zeros(0, np.float32), True))
        self.flat = max(self.flat, tops.longest)
        self.seconds += read / rate
        self._passed += (skipped + read) / rate
        for words in (*stream.remarks, *channels.remarks):
            self._tell(words)

    def _given(self, block: np.ndarray) -> np.ndarray:
        self._check_length(len(block))
        self.samples += len(block)
        check_samples(block, self._wanted)
        return block

    def _check_length(self, more: int) -> None:
        most = self._wanted.most
        if most is not None and self.samples + more > most + 1:  # resampling may round up
            longest = duration(most / SAMPLE_RATE)
            raise self._wanted.error("too-long", f"longer than {longest}, the longest that is read; cut it")


def check_samples(samples: np.ndarray, wanted: Wanted) -> None:
    """Refuse samples that no recording holds."""
    if not np.isfinite(samples).all():
        raise wanted.error("unreadable", "holds samples that are not finite numbers")
    if len(samples) and max(samples.max(), -samples.min()) > _MAX_AMPLITUDE:
        raise wanted.error("unreadable", "holds samples far beyond full scale")


def _skip(stream: Stream, count: int, wanted: Wanted) -> int:
    try:
        return stream.skip(count)
    except UNREADABLE as error:
        raise _unreadable_within(error, wanted) from error


def _unreadable_within(error: BaseException, wanted: Wanted) -> AudioError:
    words = f"not readable as audio to its end ({reason_of(error)}); copy it again, or convert it to WAV"
    return wanted.error("unreadable", words)


def _decoded(stream: Stream, left: int, wanted: Wanted) -> Iterator[np.ndarray]:
    """Read block by block: memory depends on the samples in the file, not on the length in its header."""
    size = max(1, _BLOCK_SAMPLES // stream.channels)
    while left > 0:
        try:
            block = stream.read(min(size, left))
        except UNREADABLE as error:
            raise _unreadable_within(error, wanted) from error
        if not len(block):
            return
        left -= len(block)
        yield block


def _at_16k(frames: int, rate: int, wanted: Wanted) -> int:
    return int(frames * SAMPLE_RATE / rate) if wanted.resample else frames


def _converter(rate: int, wanted: Wanted) -> Callable[[np.ndarray, bool], np.ndarray]:
    """Samples in, samples at 16 kHz out, as they come; the last time with ``True``."""
    if rate == SAMPLE_RATE or not wanted.resample:
        return lambda mono, last: mono
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    return lambda mono, last: resampler.resample_chunk(mono, last=last)
