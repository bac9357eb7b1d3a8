"""Reading of audio: what a file is, is told by its bytes; its length is what was decoded; soxr resamples."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soxr

from voicefit.audio import limits
from voicefit.audio.channels import Channels
from voicefit.audio.decoders import UNREADABLE, Stream
from voicefit.audio.flat_tops import FlatTops
from voicefit.audio.kinds import kind_of
from voicefit.audio.limits import MIN_SAMPLES, SAMPLE_RATE, AudioError, duration
from voicefit.audio.opening import Wanted, open_stream, reason_of, sources

_MAX_AMPLITUDE = 2.0**32
"""Louder samples are refused. Full scale is 1; some programs store whole numbers of 32 bits as floats."""

_BLOCK_SAMPLES = 2**20
"""So many samples of all channels are decoded at a time: a header with a wrong length then costs no memory."""

_TOLERANCE_S = 0.1
"""A stretch may end so much behind the end of its file before that is told: times in tables are rounded."""


@dataclass(frozen=True)
class Recording:
    """What was read of a file.

    Attributes:
        waveform: mono at 16 kHz, ``(samples,)`` float32, nominally in [-1, 1].
        rate: samples per second in the file.
        channels: channels in the file.
        flat: the longest run of samples at one value at full scale, or at the loudest; see
            :class:`voicefit.audio.flat_tops.FlatTops`.
        remarks: what a listener should know, as "its channels cancel each other out, so that channel 1 alone is heard".
    """

    waveform: np.ndarray
    rate: int
    channels: int
    flat: int
    remarks: tuple[str, ...] = ()


def load_waveform(
    path: str | os.PathLike[str],
    start: float = 0.0,
    end: float | None = None,
    *,
    resample: bool = True,
    channel: int | None = None,
) -> np.ndarray:
    """Decode ``path`` between ``start`` and ``end`` seconds to a mono waveform at 16 kHz.

    What the file is, is told by its first bytes. libsndfile decodes what it can, FFmpeg the rest if PyAV is
    installed. The rate is in :data:`RATES`, and there are up to :data:`MAX_CHANNELS` channels. They are averaged, or
    if that would cancel them out, the first one is taken. soxr (HQ) resamples. Without ``resample`` the samples are
    taken as they are, as if they were at 16 kHz.

    Args:
        path: the file.
        start: in seconds.
        end: in seconds; ``None`` is the end of the file.
        resample: whether to resample.
        channel: the number of the one channel to take, from 1.

    Returns:
        float32 array of shape ``(samples,)``, nominally in [-1, 1].

    Raises:
        AudioError: ``missing``; ``unreadable`` (not audio, a rate or number of channels out of range, or samples
            that are not finite); ``empty`` (no samples); ``too-short`` (under 400 samples at 16 kHz);
            or ``too-long`` (over :data:`MAX_FRAMES`).
    """
    return _read_file(Path(path), Wanted(str(path), start, end, channel=channel, resample=resample)).waveform


def read_recording(
    path: str | os.PathLike[str], start: float = 0.0, end: float | None = None, *, channel: int | None = None
) -> Recording:
    """Decode a file as :func:`load_waveform` does, and say what a listener should know about it.

    Raises:
        AudioError: as :func:`load_waveform`.
    """
    return _read_file(Path(path), Wanted(str(path), start, end, channel=channel, measure=True))


def decode_waveform(content: bytes, name: str, max_seconds: float, *, channel: int | None = None) -> np.ndarray:
    """Decode uploaded audio, as :func:`load_waveform` does, without a file on disk.

    Args:
        content: the bytes of an audio file.
        name: the name in error messages.
        max_seconds: the longest accepted audio; no more than this is decoded.
        channel: the number of the one channel to take, from 1.

    Raises:
        AudioError: as :func:`load_waveform`; ``too-long`` also if it is longer than ``max_seconds``.
    """
    return _read(BytesIO(content), Wanted(name, max_seconds=max_seconds, channel=channel)).waveform


def waveform_length(
    path: str | os.PathLike[str], start: float = 0.0, end: float | None = None, *, resample: bool = True
) -> int:
    """Return about how many samples :func:`load_waveform` would give, by the headers; 0 if it would raise an error.

    It is exact for files whose headers are right.
    """
    wanted = Wanted(str(path), start, end, resample=resample)
    samples = 0
    try:
        with Path(path).open("rb", buffering=0) as file:
            for kind, source in sources(file, kind_of(file)):
                with ExitStack() as stack:
                    stream = open_stream(stack, source, kind, wanted)
                    first, count = wanted.range_at(stream.rate)
                    known = stream.frames if stream.frames is not None else stream.skip(sys.maxsize)
                    frames = min(count, max(0, known - first))
                    samples += int(frames * SAMPLE_RATE / stream.rate + 0.5) if resample else frames
    except (AudioError, OSError):
        return 0
    return samples if samples >= MIN_SAMPLES else 0


def as_waveform(samples: Any) -> np.ndarray:
    """Check that an array is a waveform: mono, float and finite, ``(samples,)``; return it as float32.

    Raises:
        AudioError: it is not, or it has too few samples.
    """
    array = np.asarray(samples)
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            "unreadable",
            f"a waveform of {array.dtype}: give floats from -1 to 1; whole numbers of 16 bits are divided by 32768",
        )
    if array.ndim != 1:
        raise AudioError(
            "unreadable", f"a waveform of shape {array.shape}: give one channel, (samples,), as array.mean(axis) has it"
        )
    return _checked(array.astype(np.float32), Wanted("the waveform"))


def _read_file(path: Path, wanted: Wanted) -> Recording:
    if not path.is_file():
        raise wanted.error("missing", _missing(path))
    try:
        with path.open("rb", buffering=0) as file:  # libsndfile reads from the same descriptor
            return _read(file, wanted)
    except OSError as error:
        raise wanted.error("unreadable", f"not readable ({error.strerror or error})") from error


def _missing(path: Path) -> str:
    if not path.is_symlink():
        return "no such file"
    target = os.readlink(path)
    if "annex/objects" in target.replace(os.sep, "/"):
        return "no such file: git-annex has not fetched it; run `git annex get`"
    return f"no such file: it is a link to {target}, which is not there"


def _read(file: BinaryIO, wanted: Wanted) -> Recording:
    found = _read_once(file, wanted)
    if found is None:  # the mean of the channels would be silence
        first = _read_once(file, replace(wanted, channel=1))
        assert first is not None
        words = "its channels cancel each other out, so that channel 1 alone is heard"
        return Recording(first.waveform, first.rate, first.channels, first.flat, (*first.remarks, words))
    return found


@dataclass
class _Reading:
    """A reading that goes on: what was read so far."""

    passed: float = 0.0  # seconds before the stream that is read now
    rate: int = 0
    channels: int = 0
    flat: int = 0
    seconds: float = 0.0
    parts: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, np.float32)])
    samples: int = 0
    peak: float = 0.0
    remarks: list[str] = field(default_factory=list)


def _read_once(file: BinaryIO, wanted: Wanted) -> Recording | None:
    """Read the streams of a file; ``None`` if their channels cancel out and none was chosen."""
    reading = _Reading()
    kind = kind_of(file)
    for stream_kind, source in sources(file, kind):
        if wanted.end is not None and reading.passed >= wanted.end:
            break
        try:
            with ExitStack() as stack:
                stream = open_stream(stack, source, stream_kind, wanted)
                if not _read_stream(stream, wanted, reading):
                    return None
        except AudioError as error:
            if not reading.passed or error.kind == "too-long":
                raise
            words = str(error).removeprefix(f"{wanted.name}: ")
            reading.remarks.append(
                f"another recording is joined to it at {reading.passed:.1f} s, which is not heard: {words}"
            )
    if wanted.end is not None and 0 < reading.seconds < wanted.end - wanted.start - _TOLERANCE_S:
        reading.remarks.append(f"it ends at {wanted.start + reading.seconds:.1f} s, before {wanted.end:g} s")
    waveform = np.concatenate(reading.parts)
    remarks = tuple(dict.fromkeys(reading.remarks))
    return Recording(_checked(waveform, wanted, reading.seconds), reading.rate, reading.channels, reading.flat, remarks)


def _read_stream(stream: Stream, wanted: Wanted, reading: _Reading) -> bool:
    """Read on; false if its channels cancel out and none was chosen."""
    rate = stream.rate
    reading.rate, reading.channels = reading.rate or rate, max(reading.channels, stream.channels)
    before, (first, count) = round(reading.passed * rate), wanted.range_at(rate)
    last = first + count
    skip = max(0, first - before)
    skipped = _skip(stream, skip, wanted) if skip else 0
    read, left = 0, max(0, last - before - skip)
    if stream.frames is not None:
        _check_length(reading.samples + _at_16k(min(left, stream.frames - skipped), rate, wanted), wanted)
    channels, tops = Channels(rate, wanted.channel), FlatTops(stream.is_limited)
    convert = _converter(rate, wanted)
    size = max(1, _BLOCK_SAMPLES // stream.channels)
    for block in _blocks(stream, left, size, wanted):
        read += len(block)
        if wanted.measure:
            tops.see(block)
        _add(reading, convert(channels.take(block), False), wanted)
    _add(reading, convert(np.zeros(0, np.float32), True), wanted)
    if channels.cancel and wanted.channel is None:
        return False
    reading.flat = max(reading.flat, tops.longest)
    reading.seconds += read / rate
    reading.passed += (skipped + read) / rate
    reading.remarks += stream.remarks
    if wanted.channel is None and channels.differ:
        reading.remarks.append("its channels differ, as the two sides of a call do, and are mixed: choose one of them")
    return True


def _skip(stream: Stream, count: int, wanted: Wanted) -> int:
    try:
        return stream.skip(count)
    except UNREADABLE as error:
        raise _unreadable_within(error, wanted) from error


def _unreadable_within(error: BaseException, wanted: Wanted) -> AudioError:
    words = f"not readable as audio to its end ({reason_of(error)}); copy it again, or convert it to WAV"
    return wanted.error("unreadable", words)


def _blocks(stream: Stream, left: int, size: int, wanted: Wanted) -> Iterator[np.ndarray]:
    """Read block by block: memory depends on the samples in the file, not on the length in its header."""
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


def _add(reading: _Reading, samples: np.ndarray, wanted: Wanted) -> None:
    reading.parts.append(samples)
    reading.samples += len(samples)
    _check_length(reading.samples, wanted)


def _check_length(samples: int, wanted: Wanted) -> None:
    most = limits.MAX_FRAMES
    if wanted.max_seconds is not None:
        most = min(most, int(wanted.max_seconds * SAMPLE_RATE))
    if samples > most + 1:  # resampling may round up
        longest = duration(most / SAMPLE_RATE)
        raise wanted.error("too-long", f"longer than {longest}, the longest that is read; cut it")


def _checked(mono: np.ndarray, wanted: Wanted, seconds: float | None = None) -> np.ndarray:
    if not len(mono) and not seconds:
        raise wanted.error("empty", "holds no samples")
    if not np.isfinite(mono).all():
        raise wanted.error("unreadable", "holds samples that are not finite numbers")
    if len(mono) and np.abs(mono).max() > _MAX_AMPLITUDE:
        raise wanted.error("unreadable", "holds samples far beyond full scale")
    if len(mono) < MIN_SAMPLES:
        milliseconds = 1000 * len(mono) / SAMPLE_RATE
        raise wanted.error("too-short", f"{milliseconds:.0f} ms long, at least 25 ms are needed")
    return np.ascontiguousarray(mono, dtype=np.float32)
