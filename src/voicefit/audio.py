"""File → waveform: soundfile decodes, soxr resamples, channels are averaged."""

import os
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


class AudioError(VoicefitError):
    """An audio file that cannot be used; ``kind`` is one of ``missing``, ``unreadable``, ``empty``, ``too-short``."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def load_waveform(
    path: str | os.PathLike[str], start: float = 0.0, end: float | None = None, *, resample: bool = True
) -> np.ndarray:
    """Decode ``path`` between ``start`` and ``end`` seconds to a mono waveform at 16 kHz.

    Any format, rate and channel count that libsndfile reads; channels are averaged, then resampled by soxr (HQ).
    Without ``resample`` the samples are taken as they are, as if they were at 16 kHz.

    Returns:
        float32 array of shape ``(samples,)``, nominally in [-1, 1].

    Raises:
        AudioError: ``missing``, ``unreadable`` (not audio, or samples that are not finite), ``empty`` (no samples)
            or ``too-short`` (under 400 samples at 16 kHz).
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError("missing", f"{path}: no such file")
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(min(int(start * rate), file.frames))
            frames = -1 if end is None else max(0, int(end * rate) - int(start * rate))
            samples = file.read(frames, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError) as error:
        raise AudioError("unreadable", f"{path}: not readable as audio ({error})") from error
    return _to_mono_16k(samples, rate if resample else SAMPLE_RATE, path)


def _to_mono_16k(samples: np.ndarray, rate: int, path: Path) -> np.ndarray:
    if samples.shape[0] == 0:
        raise AudioError("empty", f"{path}: holds no samples")
    mono = samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise AudioError("unreadable", f"{path}: holds samples that are not finite numbers")
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if len(mono) < MIN_SAMPLES:
        milliseconds = 1000 * len(mono) / SAMPLE_RATE
        raise AudioError("too-short", f"{path}: {milliseconds:.0f} ms long, at least 25 ms are needed")
    return np.ascontiguousarray(mono, dtype=np.float32)
