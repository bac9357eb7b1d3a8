"""Decoding by libsndfile, and by FFmpeg through PyAV: a stream of samples each, read from its start on."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile

from voicefit.audio.kinds import GSM, Kind
from voicefit.audio.part import Part
from voicefit.audio.riff import has_fitting_notes

UNREADABLE = (soundfile.SoundFileError, RuntimeError, OSError, TypeError, ValueError)
"""For a file that it cannot read, soundfile raises one of these."""

UNKNOWN_FRAMES = 2**63 - 1
"""libsndfile reports so many frames if a header does not give the length."""

_WHOLE_NUMBERS = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW", "DPCM_8", "DPCM_16"})
"""Samples of these encodings cannot be beyond full scale."""

_BLOCK_SAMPLES = 2**20
"""So many samples of all channels are decoded at a time when they are only passed over."""


class Stream(Protocol):
    """Samples, to be read in their order.

    Attributes:
        rate: samples per second.
        channels: their number.
        frames: how many samples a channel has, by the header; ``None`` if it does not say.
        is_limited: whether no sample can be beyond full scale.
        remarks: what else is to be told.
    """

    rate: int
    channels: int
    frames: int | None
    is_limited: bool
    remarks: list[str]

    def read(self, count: int) -> np.ndarray:
        """Return up to so many samples, ``(samples, channels)`` float32; none at the end."""
        ...

    def skip(self, count: int) -> int:
        """Pass over so many samples; return how many there were."""
        ...


class SndfileStream:
    """A stream that libsndfile decodes, see :class:`Stream`."""

    def __init__(self, file: soundfile.SoundFile):
        self._file = file
        self.rate, self.channels = file.samplerate, file.channels
        self.frames: int | None = file.frames if file.frames != UNKNOWN_FRAMES else None
        self.is_limited = file.subtype in _WHOLE_NUMBERS
        self.remarks: list[str] = []

    def read(self, count: int) -> np.ndarray:
        """See :class:`Stream`."""
        return self._file.read(count, dtype="float32", always_2d=True)

    def skip(self, count: int) -> int:
        """See :class:`Stream`."""
        if self._file.seekable() and self.frames is not None:
            return self._file.seek(min(count, self.frames))
        return passed_over(self, count)


@contextlib.contextmanager
def sndfile_stream(source: Any, kind: Kind) -> Iterator[SndfileStream]:
    """Open a stream for libsndfile.

    Args:
        source: a file on disk, by its descriptor, or a file in Python.
        kind: what it is.
    """
    # GSM without a header is always of this rate. A file is known by its bytes: libsndfile sees no name.
    how = {"format": "RAW", "subtype": "GSM610", "samplerate": 8000, "channels": 1} if kind is GSM else {}
    with soundfile.SoundFile(source, closefd=False, **how) as file:
        yield SndfileStream(file)


def descriptor(file: BinaryIO) -> Any:
    """What libsndfile reads a file from, which is at its start: the system's own file, if there is one."""
    file.seek(0)
    with contextlib.suppress(OSError, AttributeError):
        number = file.fileno()
        os.lseek(number, 0, os.SEEK_SET)
        return number
    return file if isinstance(file, Part) else Part(file, 0, file.seek(0, os.SEEK_END))


def passed_over(stream: Stream, count: int) -> int:
    """Read over samples that nobody wants."""
    left = count
    while left > 0:
        block = stream.read(min(left, max(1, _BLOCK_SAMPLES // stream.channels)))
        if not len(block):
            break
        left -= len(block)
    return count - left


class MissingPyAV(Exception):
    """PyAV is not installed."""


class AvStream:
    """A stream that FFmpeg decodes, see :class:`Stream`."""

    def __init__(self, container: Any, index: int):
        audio = container.streams.audio
        self._container, self._stream = container, audio[index]
        if self._stream.codec_context is None:
            raise ValueError("FFmpeg has no decoder for it")
        self._stream.thread_type = "NONE"
        self.remarks: list[str] = []
        self.frames: int | None = None
        self.is_limited = self._stream.codec_context.name.startswith(("pcm_s", "pcm_u", "pcm_alaw", "pcm_mulaw"))
        self._blocks = self._decode()
        self._left: np.ndarray = np.zeros((0, 1), np.float32)
        self._broken = 0
        first = next(self._blocks, None)  # what the header says of rate and channels may be wrong
        if first is None:
            raise ValueError("no sound could be decoded")
        self.rate, self.channels, self._left = first
        if self._stream.duration and self._stream.time_base:
            self.frames = int(self._stream.duration * self._stream.time_base * self.rate)
        elif container.duration:
            self.frames = container.duration * self.rate // 1_000_000

    def read(self, count: int) -> np.ndarray:
        """See :class:`Stream`."""
        parts, length = [self._left], len(self._left)
        while length < count:  # a codec's frame has a thousand samples or so
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block[2])
            length += len(block[2])
        samples = np.concatenate(parts)
        found, self._left = samples[:count], samples[count:].copy()
        return found

    def skip(self, count: int) -> int:
        """See :class:`Stream`."""
        return passed_over(self, count)

    def _decode(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield rate, channels and samples; all with the rate and channels of the first."""
        import av

        rate, channels, layout, like = 0, 0, None, None
        resampler: Any = None
        for frame in self._frames():
            now = frame.sample_rate, frame.layout.nb_channels, frame.format.name
            if not all(now[:2]):
                continue
            rate, channels, layout = rate or now[0], channels or now[1], layout or frame.layout.name
            if now != like:  # also in the middle, as of a broadcast, or of joined files
                yield from ((rate, channels, block) for block in _flushed(resampler, channels))
                # All samples in one plane: of planes, PyAV counts too many where there are more than eight.
                resampler, like = av.AudioResampler(format="flt", layout=layout, rate=rate), now
            for part in resampler.resample(frame):
                yield rate, channels, part.to_ndarray().reshape(-1, channels)
        yield from ((rate, channels, block) for block in _flushed(resampler, channels))

    def _frames(self) -> Iterator[Any]:
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, LookupError):  # PyAV looks in vain for a track that begins in the middle
                self.remarks.append("it breaks off in the middle; what is behind is not read")
                return
            if packet is None:
                break
            try:
                yield from packet.decode()
            except av.FFmpegError:  # one packet is damaged; what is before and behind it is read
                self._broken += 1
        if self._broken:
            self.remarks.append(f"{self._broken} of its packets are damaged and were not read")


def _flushed(resampler: Any, channels: int) -> Iterator[np.ndarray]:
    """What a resampler still holds."""
    for part in resampler.resample(None) if resampler is not None else ():
        yield part.to_ndarray().reshape(-1, channels)


@contextlib.contextmanager
def av_stream(source: BinaryIO, kind: Kind) -> Iterator[AvStream]:
    """Open a stream for FFmpeg, which reads it as the kind that it is: other files that it names are not opened.

    Raises:
        MissingPyAV: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingPyAV from error
    if kind.demuxer in ("wav", "avi") and not has_fitting_notes(source):
        raise ValueError("its header is damaged")
    source.seek(0)
    with av.open(source, format=kind.demuxer, mode="r", metadata_errors="replace") as container:
        audio = container.streams.audio
        if not audio:
            raise ValueError("it holds no sound")
        stream = AvStream(container, 0)
        if len(audio) > 1:
            stream.remarks.append(f"it has {len(audio)} sound tracks, of which the first is read")
        yield stream


def unreadable_by_av() -> tuple[type[BaseException], ...]:
    """For a file that it cannot read, PyAV raises one of these."""
    import av

    return (av.FFmpegError, OSError, ValueError, RuntimeError, TypeError, LookupError)
