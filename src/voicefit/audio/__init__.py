"""Recordings of every kind: told by their bytes, decoded whole, mixed to one channel, resampled to 16 kHz."""

from voicefit.audio.decoders import UNREADABLE
from voicefit.audio.find import AUDIO_SUFFIXES, OTHER_SUFFIXES, RECORDING_SUFFIXES, find_audio
from voicefit.audio.limits import (
    MAX_CHANNELS,
    MAX_FRAMES,
    MIN_SAMPLES,
    RATES,
    SAMPLE_RATE,
    SILENCE_PEAK,
    STDIN,
    AudioError,
)
from voicefit.audio.load import (
    Recording,
    as_waveform,
    decode_recording,
    load_waveform,
    read_recording,
    stream_waveform,
    waveform_length,
)

__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_CHANNELS",
    "MAX_FRAMES",
    "MIN_SAMPLES",
    "OTHER_SUFFIXES",
    "RATES",
    "RECORDING_SUFFIXES",
    "SAMPLE_RATE",
    "SILENCE_PEAK",
    "STDIN",
    "UNREADABLE",
    "AudioError",
    "Recording",
    "as_waveform",
    "decode_recording",
    "find_audio",
    "load_waveform",
    "read_recording",
    "stream_waveform",
    "waveform_length",
]
