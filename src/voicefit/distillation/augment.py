"""Augmentation: changes of speech as by microphones, rooms, phones and speakers, drawn at random.

All functions take a waveform, float32 ``(samples,)`` at 16 kHz; a generator fixes what is drawn.
"""

from io import BytesIO

import numpy as np
import soundfile
import soxr
from scipy.signal import fftconvolve

from voicefit.audio import MIN_SAMPLES, SAMPLE_RATE

_CODECS = (("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "ULAW"), ("WAV", "GSM610"))
"""Containers and codecs of libsndfile; those in WAV files are codecs of telephones."""


def speed(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Play a waveform ``factor`` times as fast, with its pitch and formants (Ko et al. 2015, "Audio augmentation")."""
    return soxr.resample(waveform, SAMPLE_RATE * factor, SAMPLE_RATE, quality="MQ").astype(np.float32)


def gain(waveform: np.ndarray, decibels: float) -> np.ndarray:
    """Make a waveform louder or softer, at most as loud as full scale."""
    factor = 10 ** (decibels / 20)
    peak = np.abs(waveform).max(initial=0.0) * factor
    return (waveform * (factor / max(1.0, peak))).astype(np.float32)


def add_noise(waveform: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Add stationary noise at 5 … 30 dB below the clip, with a spectrum between white and brown."""
    spectrum = np.fft.rfft(draw.standard_normal(len(waveform)))
    spectrum[1:] *= np.arange(1, len(spectrum), dtype=float) ** -draw.uniform(0, 1)
    noise = np.fft.irfft(spectrum, len(waveform))
    level = np.sqrt(np.mean(waveform.astype(float) ** 2) / max(np.mean(noise**2), 1e-20))
    return (waveform + noise * level * 10 ** (-draw.uniform(5, 30) / 20)).astype(np.float32)


def reverberate(waveform: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Add a room's sound: noise that decays by 60 dB in 0.1 … 0.6 s, 0 … 12 dB below the clip; keep the loudness."""
    seconds = draw.uniform(0.1, 0.6)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = draw.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail *= 10 ** (-draw.uniform(0, 12) / 20) / np.sqrt((tail**2).sum())
    tail[0] += 1.0
    wet = fftconvolve(waveform, tail)[: len(waveform)]
    power = np.mean(waveform.astype(float) ** 2) / max(np.mean(wet**2), 1e-20)
    return (wet * np.sqrt(power)).astype(np.float32)


def encode_and_decode(waveform: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Encode and decode a waveform with Opus, MP3, or at 8 kHz with the telephone's µ-law or GSM."""
    container, codec = _CODECS[draw.integers(len(_CODECS))]
    rate = 8_000 if container == "WAV" else SAMPLE_RATE
    sent = waveform if rate == SAMPLE_RATE else soxr.resample(waveform, SAMPLE_RATE, rate, quality="MQ")
    buffer = BytesIO()
    soundfile.write(buffer, np.clip(sent, -1, 1), rate, format=container, subtype=codec)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    resampled = decoded if rate == SAMPLE_RATE else soxr.resample(decoded, rate, SAMPLE_RATE, quality="MQ")
    return _set_length(resampled, len(waveform))


def degrade(waveform: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Degrade half of the clips: apply a room, noise and a codec, each with its own probability."""
    if draw.random() < 0.5:
        return waveform
    if draw.random() < 0.5:
        waveform = reverberate(waveform, draw)
    if draw.random() < 0.7:
        waveform = add_noise(waveform, draw)
    if draw.random() < 0.2 and len(waveform) >= MIN_SAMPLES:
        waveform = encode_and_decode(waveform, draw)
    return waveform


def _set_length(waveform: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform)))).astype(np.float32)
