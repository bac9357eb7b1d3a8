"""File → waveform: soundfile decodes, soxr resamples, channels are averaged."""

import os
import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr

from voicefit.errors import VoicefitError

SAMPLE_RATE = 16_000
"""Samples per second of every waveform inside Voicefit."""

MIN_SAMPLES = 400
"""The shortest waveform a wav2vec 2.0 front end accepts: 25 ms, its receptive field."""

AUDIO_SUFFIXES = frozenset(f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW") | {
    ".opus",
    ".oga",
    ".aif",
}  # raw samples tell neither rate nor channels
"""File suffixes that libsndfile may be able to read, lower case."""

OTHER_SUFFIXES = frozenset({".3gp", ".aac", ".amr", ".m4a", ".m4b", ".mka", ".mov", ".mp4", ".webm", ".wma"})
"""File suffixes of recordings, as of phones, that libsndfile cannot read, lower case: who gives them is told so."""

RECORDING_SUFFIXES = AUDIO_SUFFIXES | OTHER_SUFFIXES
"""File suffixes of recordings, whether they can be read or not."""

STDIN = Path("-")
"""The path that stands for standard input."""

RATES = range(4_000, 384_001)
"""Samples per second that a file may have: below there is no speech left, above there is no recorder."""

MAX_CHANNELS = 32
MAX_FRAMES = 2**27
"""The most samples per channel that are read at once: 2.3 hours at 16 kHz, 46 minutes at 48 kHz, 512 MB as float32."""

_LOUDEST = 2.0**32
"""Full scale is 1; whole numbers of 32 bits, stored as floats, are the loudest that anything writes in earnest."""

_UNKNOWN_LENGTH = 2**63 - 1

UNREADABLE = (soundfile.SoundFileError, RuntimeError, OSError, TypeError)
"""What soundfile raises for a file that it cannot read."""

_BLOCK = 2**20
"""Samples of all channels that are decoded at a time: a header that lies about its length then costs nothing."""


class AudioError(VoicefitError):
    """An audio file that cannot be used.

    ``kind`` is one of ``missing``, ``unreadable``, ``empty``, ``too-short`` and ``too-long``.
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def find_audio(paths: Iterable[Path], *, stdin: bool = False) -> list[Path]:
    """Files as they are given, and the recordings anywhere in folders, sorted; with ``stdin`` also ``-`` as it is.

    Among them are those of :data:`OTHER_SUFFIXES`, which :func:`load_waveform` refuses.

    Raises:
        VoicefitError: a path does not exist, or there is no audio file at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if not p.name.startswith("."))  # a Mac's archives hold ._name.wav too
            files += sorted(p for p in inside if p.suffix.lower() in RECORDING_SUFFIXES and p.is_file())
        elif path.exists() or (stdin and path == STDIN):
            files.append(path)
        else:
            raise VoicefitError(f"{path}: no such file or folder")
    if not files:
        raise VoicefitError(f"{', '.join(map(str, paths))}: no audio file here")
    return files


def load_waveform(
    path: str | os.PathLike[str], start: float = 0.0, end: float | None = None, *, resample: bool = True
) -> np.ndarray:
    """Decode ``path`` between ``start`` and ``end`` seconds to a mono waveform at 16 kHz.

    Any format that libsndfile reads, at a rate in :data:`RATES` and with up to :data:`MAX_CHANNELS` channels, which are
    averaged, then resampled by soxr (HQ). Without ``resample`` the samples are taken as they are, as if they were
    at 16 kHz.

    Returns:
        float32 array of shape ``(samples,)``, nominally in [-1, 1].

    Raises:
        AudioError: ``missing``; ``unreadable`` (not audio, a rate or number of channels that no recording of speech
            has, or samples that are not finite); ``empty`` (no samples); ``too-short`` (under 400 samples at 16 kHz);
            or ``too-long`` (over :data:`MAX_FRAMES`).
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError("missing", f"{path}: no such file")
    mono, rate = _decode(path, str(path), start, end, None)
    return _to_16k(mono, rate if resample else SAMPLE_RATE, str(path))


def waveform_length(
    path: str | os.PathLike[str], start: float = 0.0, end: float | None = None, *, resample: bool = True
) -> int:
    """How many samples :func:`load_waveform` gives, by the file's header alone; 0 where it can be seen to give none."""
    try:
        about = soundfile.info(path)
    except UNREADABLE:
        return 0
    if about.frames == _UNKNOWN_LENGTH:
        return 0
    first, wanted = _stretch(start, end, about.samplerate)
    there = min(wanted, max(0, about.frames - first))
    samples = int(there * SAMPLE_RATE / about.samplerate + 0.5) if resample else there
    return samples if samples >= MIN_SAMPLES else 0


def decode_waveform(content: bytes, name: str, max_seconds: float) -> np.ndarray:
    """Decode what somebody sent, as :func:`load_waveform` does, without a file on disk.

    Args:
        content: the bytes of an audio file.
        name: what errors call it.
        max_seconds: the longest that is accepted; no more than this is decoded.

    Raises:
        AudioError: as :func:`load_waveform`; ``too-long`` also where there is more than ``max_seconds``.
    """
    return _to_16k(*_decode(_Bytes(content), name, 0.0, None, max_seconds), name)


class _Bytes(BytesIO):
    """Damaged files make libsndfile seek to before the start, which a file answers by staying where it is."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _decode(
    source: Path | BytesIO, name: str, start: float, end: float | None, max_seconds: float | None
) -> tuple[np.ndarray, int]:
    """The mean of the channels between ``start`` and ``end``, and its rate."""
    try:
        with soundfile.SoundFile(source) as file:
            rate = file.samplerate
            _check_header(file, name)
            first, wanted = _stretch(start, end, rate)
            file.seek(min(first, file.frames))
            most = MAX_FRAMES if max_seconds is None else min(MAX_FRAMES, int(max_seconds * rate))
            _check_length(min(wanted, file.frames - file.tell()), most, rate, name)
            return _read_mono(file, wanted, most, name), rate
    except UNREADABLE as error:
        reason = getattr(error, "error_string", error)  # without the address of the object that was read
        if Path(name).suffix.lower() in OTHER_SUFFIXES:
            reason = "convert it to WAV or FLAC, as by ffmpeg"
        raise AudioError("unreadable", f"{name}: not readable as audio ({reason})") from error


def _stretch(start: float, end: float | None, rate: int) -> tuple[int, int]:
    """The first sample between two times, and how many follow; without an end, all."""
    first = int(start * rate)
    return first, sys.maxsize if end is None else max(0, int(end * rate) - first)


def _check_header(file: soundfile.SoundFile, name: str) -> None:
    if file.samplerate not in RATES:
        raise AudioError(
            "unreadable",
            f"{name}: {file.samplerate:,} samples per second; from {RATES[0]:,} to {RATES[-1]:,} can be used",
        )
    if file.channels > MAX_CHANNELS:
        raise AudioError("unreadable", f"{name}: {file.channels} channels; at most {MAX_CHANNELS} can be used")
    if file.frames == _UNKNOWN_LENGTH:  # a FLAC that was written to a pipe; libsndfile cannot read these
        raise AudioError("unreadable", f"{name}: its header does not say how long it is; save it again as WAV")


def _check_length(frames: int, most: int, rate: int, name: str) -> None:
    if frames > most:
        raise AudioError("too-long", f"{name}: longer than {_duration(most / rate)}, the most that is read; cut it")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _read_mono(file: soundfile.SoundFile, wanted: int, most: int, name: str) -> np.ndarray:
    """Read block by block: memory follows what is in the file, not what its header says."""
    parts, read, size = [np.zeros(0, np.float32)], 0, _BLOCK // file.channels
    while read < wanted:
        block = file.read(min(size, wanted - read), dtype="float32", always_2d=True)
        if not len(block):
            break
        read += len(block)
        _check_length(read, most, file.samplerate, name)
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            parts.append(block.mean(axis=1, dtype=np.float32))
    return np.concatenate(parts)


def _to_16k(mono: np.ndarray, rate: int, name: str) -> np.ndarray:
    if not len(mono):
        raise AudioError("empty", f"{name}: holds no samples")
    if not np.isfinite(mono).all():
        raise AudioError("unreadable", f"{name}: holds samples that are not finite numbers")
    if np.abs(mono).max() > _LOUDEST:
        raise AudioError("unreadable", f"{name}: holds samples far beyond full scale")
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if len(mono) < MIN_SAMPLES:
        milliseconds = 1000 * len(mono) / SAMPLE_RATE
        raise AudioError("too-short", f"{name}: {milliseconds:.0f} ms long, at least 25 ms are needed")
    return np.ascontiguousarray(mono, dtype=np.float32)
