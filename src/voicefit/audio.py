"""Reading of audio: soundfile decodes, soxr resamples, channels are averaged."""

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
"""Every waveform inside Voicefit has so many samples per second."""

MIN_SAMPLES = 400
"""The shortest waveform that a wav2vec 2.0 front end accepts has so many samples: 25 ms, its receptive field."""

AUDIO_SUFFIXES = frozenset(f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW") | {
    ".opus",
    ".oga",
    ".aif",
}
"""Files with these suffixes, in lower case, may be readable by libsndfile.

Raw samples are left out: they do not tell their rate or number of channels.
"""

OTHER_SUFFIXES = frozenset({".3gp", ".aac", ".amr", ".m4a", ".m4b", ".mka", ".mov", ".mp4", ".webm", ".wma"})
"""Recordings with these suffixes, in lower case, cannot be read by libsndfile; the error advises to convert them."""

RECORDING_SUFFIXES = AUDIO_SUFFIXES | OTHER_SUFFIXES
"""Recordings have these suffixes, in lower case, whether they can be read or not."""

STDIN = Path("-")
"""This path means standard input."""

RATES = range(4_000, 384_001)
"""A file may have so many samples per second: below, no speech is left; above, no recorder exists."""

MAX_CHANNELS = 32
"""A file may have at most so many channels."""

MAX_FRAMES = 2**27
"""At most so many samples per channel are read: 2.3 hours at 16 kHz, 46 minutes at 48 kHz, 512 MB as float32."""

_MAX_AMPLITUDE = 2.0**32
"""Louder samples are refused. Full scale is 1; some programs store whole numbers of 32 bits as floats."""

_UNKNOWN_FRAMES = 2**63 - 1
"""libsndfile reports so many frames if a header does not give the length."""

UNREADABLE = (soundfile.SoundFileError, RuntimeError, OSError, TypeError)
"""For a file that it cannot read, soundfile raises one of these."""

_BLOCK_SAMPLES = 2**20
"""So many samples of all channels are decoded at a time: a header with a wrong length then costs no memory."""


class AudioError(VoicefitError):
    """The error for an audio file that cannot be used.

    Attributes:
        kind: ``missing``, ``unreadable``, ``empty``, ``too-short`` or ``too-long``.
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def find_audio(paths: Iterable[Path], *, stdin: bool = False) -> list[Path]:
    """List audio files: files as given, and the recordings anywhere in folders, sorted; with ``stdin`` also ``-``.

    Files with :data:`OTHER_SUFFIXES` are among them; :func:`load_waveform` refuses these.

    Raises:
        VoicefitError: a path does not exist, or there is no audio file at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            visible = (p for p in path.rglob("*") if not p.name.startswith("."))  # archives of a Mac have ._name.wav
            files += sorted(p for p in visible if p.suffix.lower() in RECORDING_SUFFIXES and p.is_file())
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

    The file may have any format that libsndfile reads, a rate in :data:`RATES` and up to :data:`MAX_CHANNELS` channels.
    The channels are averaged, then resampled by soxr (HQ). Without ``resample`` the samples are taken as they are, as
    if they were at 16 kHz.

    Returns:
        float32 array of shape ``(samples,)``, nominally in [-1, 1].

    Raises:
        AudioError: ``missing``; ``unreadable`` (not audio, a rate or number of channels out of range, or samples
            that are not finite); ``empty`` (no samples); ``too-short`` (under 400 samples at 16 kHz);
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
    """Return the number of samples of :func:`load_waveform`, from the file's header; 0 if it would raise an error."""
    try:
        info = soundfile.info(path)
    except UNREADABLE:
        return 0
    if info.frames == _UNKNOWN_FRAMES:
        return 0
    first, count = _sample_range(start, end, info.samplerate)
    frames = min(count, max(0, info.frames - first))
    samples = int(frames * SAMPLE_RATE / info.samplerate + 0.5) if resample else frames
    return samples if samples >= MIN_SAMPLES else 0


def decode_waveform(content: bytes, name: str, max_seconds: float) -> np.ndarray:
    """Decode uploaded audio, as :func:`load_waveform` does, without a file on disk.

    Args:
        content: the bytes of an audio file.
        name: the name in error messages.
        max_seconds: the longest accepted audio; no more than this is decoded.

    Raises:
        AudioError: as :func:`load_waveform`; ``too-long`` also if it is longer than ``max_seconds``.
    """
    return _to_16k(*_decode(_Bytes(content), name, 0.0, None, max_seconds), name)


class _Bytes(BytesIO):
    """Bytes that, like a file, do not move when libsndfile seeks before their start, as for damaged audio."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _decode(
    source: Path | BytesIO, name: str, start: float, end: float | None, max_seconds: float | None
) -> tuple[np.ndarray, int]:
    """Return the mean of the channels between ``start`` and ``end`` seconds, and its rate."""
    try:
        with soundfile.SoundFile(source) as file:
            rate = file.samplerate
            _check_header(file, name)
            first, count = _sample_range(start, end, rate)
            file.seek(min(first, file.frames))
            most = MAX_FRAMES if max_seconds is None else min(MAX_FRAMES, int(max_seconds * rate))
            _check_length(min(count, file.frames - file.tell()), most, rate, name)
            return _read_mono(file, count, most, name), rate
    except UNREADABLE as error:
        reason = getattr(error, "error_string", error)  # has no address of the object
        if Path(name).suffix.lower() in OTHER_SUFFIXES:
            reason = "convert it to WAV or FLAC, as by ffmpeg"
        raise AudioError("unreadable", f"{name}: not readable as audio ({reason})") from error


def _sample_range(start: float, end: float | None, rate: int) -> tuple[int, int]:
    """Return the first sample between two times in seconds, and how many samples follow; without an end, all."""
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
    if file.frames == _UNKNOWN_FRAMES:  # a FLAC written to a pipe; libsndfile cannot read it
        raise AudioError("unreadable", f"{name}: its header does not give its length; save it again as WAV")


def _check_length(frames: int, most: int, rate: int, name: str) -> None:
    if frames > most:
        raise AudioError("too-long", f"{name}: longer than {_duration(most / rate)}, the longest that is read; cut it")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _read_mono(file: soundfile.SoundFile, count: int, most: int, name: str) -> np.ndarray:
    """Read block by block: memory depends on the samples in the file, not on the length in its header."""
    parts, read, size = [np.zeros(0, np.float32)], 0, _BLOCK_SAMPLES // file.channels
    while read < count:
        block = file.read(min(size, count - read), dtype="float32", always_2d=True)
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
    if np.abs(mono).max() > _MAX_AMPLITUDE:
        raise AudioError("unreadable", f"{name}: holds samples far beyond full scale")
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if len(mono) < MIN_SAMPLES:
        milliseconds = 1000 * len(mono) / SAMPLE_RATE
        raise AudioError("too-short", f"{name}: {milliseconds:.0f} ms long, at least 25 ms are needed")
    return np.ascontiguousarray(mono, dtype=np.float32)
