"""Reading of audio: what a file is, is told by its bytes; its length is what was decoded; soxr resamples."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from voicefit.audio import limits
from voicefit.audio.find import unusable
from voicefit.audio.kinds import kind_of
from voicefit.audio.limits import MIN_SAMPLES, SAMPLE_RATE, AudioError
from voicefit.audio.opening import Wanted, open_stream, sources
from voicefit.audio.reading import Reading, check_samples
from voicefit.system.digests import read_once


@dataclass(frozen=True)
class Recording:
    """What was read of a file.

    Attributes:
        waveform: mono at 16 kHz, ``(samples,)`` float32, nominally in [-1, 1].
        rate: samples per second in the file.
        channels: channels in the file.
        flat: the longest run of samples at one value at full scale, or at the loudest; see
            :class:`voicefit.audio.flat_tops.FlatTops`.
        remarks: what a listener should know, as "its channels cancel each other out, so that channel 1 alone is read".
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
    return _read_file(Path(path), _wanted(path, start, end, channel=channel, resample=resample)).waveform


def read_recording(
    path: str | os.PathLike[str], start: float = 0.0, end: float | None = None, *, channel: int | None = None
) -> Recording:
    """Decode a file as :func:`load_waveform` does, and say what a listener should know about it.

    Raises:
        AudioError: as :func:`load_waveform`.
    """
    return _read_file(Path(path), _wanted(path, start, end, channel=channel, measure=True))


def decode_recording(content: bytes, name: str, max_seconds: float, *, channel: int | None = None) -> Recording:
    """Decode uploaded audio as :func:`read_recording` does, without a file on disk.

    Args:
        content: the bytes of an audio file.
        name: the name in error messages.
        max_seconds: the longest accepted audio; no more than this is decoded.
        channel: the number of the one channel to take, from 1.

    Raises:
        AudioError: as :func:`load_waveform`; ``too-long`` also if it is longer than ``max_seconds``.
    """
    most = min(limits.MAX_FRAMES, int(max_seconds * SAMPLE_RATE))
    return _read(BytesIO(content), Wanted(name, most=most, channel=channel, measure=True))


def waveform_length(
    path: str | os.PathLike[str], start: float = 0.0, end: float | None = None, *, resample: bool = True
) -> int:
    """Return about how many samples :func:`load_waveform` would give, by the headers; 0 if it would raise an error.

    It is exact for files whose headers are right.
    """
    wanted = _wanted(path, start, end)
    samples = 0
    try:
        for rate, known in read_once(Path(path), _streams):
            first, count = wanted.range_at(rate)
            frames = min(count, max(0, known - first))
            samples += int(frames * SAMPLE_RATE / rate + 0.5) if resample else frames
    except (AudioError, OSError):
        return 0
    return samples if samples >= MIN_SAMPLES else 0


def _streams(path: Path) -> list[tuple[int, int]]:
    """Return the rate and the length in samples of each stream of a file."""
    found = []
    with path.open("rb", buffering=0) as file:
        for kind, source in sources(file, kind_of(file)):
            with ExitStack() as stack:
                stream = open_stream(stack, source, kind, Wanted(str(path)))
                found.append((stream.rate, stream.frames if stream.frames is not None else stream.skip(sys.maxsize)))
    return found


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
    wanted = Wanted("the waveform")
    if not len(array):
        raise wanted.error("empty", "holds no samples")
    check_samples(array, wanted)
    return _long_enough(array, wanted)


def stream_waveform(
    path: str | os.PathLike[str], *, channel: int | None = None, remarks: list[str] | None = None
) -> Iterator[np.ndarray]:
    """Yield a recording as :func:`load_waveform` gives it, block by block and however long it is.

    Args:
        path: the file.
        channel: the number of the one channel to take, from 1.
        remarks: takes what a listener should know, when the recording has come to its end.

    Raises:
        AudioError: as :func:`load_waveform`, but for the length.
    """
    wanted = Wanted(str(path), channel=channel)
    with _on_disk(Path(path), wanted) as file:
        reading = Reading(file, wanted)
        yield from reading.blocks()
        if remarks is not None:
            remarks += reading.remarks


def _wanted(path: str | os.PathLike[str], start: float, end: float | None, **how: Any) -> Wanted:
    return Wanted(str(path), start, end, most=limits.MAX_FRAMES, **how)


@contextmanager
def _on_disk(path: Path, wanted: Wanted) -> Iterator[BinaryIO]:
    if not path.is_file():
        raise wanted.error("missing", _missing(path))
    if words := unusable(path):
        raise wanted.error("unreadable", f"is {words}")
    try:
        with path.open("rb", buffering=0) as file:  # libsndfile reads from the same descriptor
            yield file
    except OSError as error:
        raise wanted.error("unreadable", f"not readable ({error.strerror or error})") from error


def _read_file(path: Path, wanted: Wanted) -> Recording:
    with _on_disk(path, wanted) as file:
        return _read(file, wanted)


def _missing(path: Path) -> str:
    if path.is_dir():
        return "a folder that cannot be read"
    if not path.is_symlink():
        return "no such file"
    target = os.readlink(path)
    if "annex/objects" in target.replace(os.sep, "/"):
        return "no such file: git-annex has not fetched it; run `git annex get`"
    return f"no such file: it is a link to {target}, which is not there"


def _read(file: BinaryIO, wanted: Wanted) -> Recording:
    reading = Reading(file, wanted)
    parts = [np.zeros(0, np.float32), *reading.blocks()]
    waveform = _long_enough(np.concatenate(parts), wanted)
    return Recording(waveform, reading.rate, reading.channels, reading.flat, tuple(reading.remarks))


def _long_enough(mono: np.ndarray, wanted: Wanted) -> np.ndarray:
    if len(mono) < MIN_SAMPLES:
        milliseconds = 1000 * len(mono) / SAMPLE_RATE
        raise wanted.error("too-short", f"{milliseconds:.0f} ms long, at least 25 ms are needed")
    return np.ascontiguousarray(mono, dtype=np.float32)
