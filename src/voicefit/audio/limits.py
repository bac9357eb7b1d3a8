"""What a recording may be: rates, channels, lengths; and the error for one that cannot be used."""

from pathlib import Path

from voicefit.errors import VoicefitError

SAMPLE_RATE = 16_000
"""Every waveform inside Voicefit has so many samples per second."""

MIN_SAMPLES = 400
"""The shortest waveform that a wav2vec 2.0 front end accepts has so many samples: 25 ms, its receptive field."""

STDIN = Path("-")
"""This path means standard input."""

RATES = range(4_000, 384_001)
"""A file may have so many samples per second: below, no speech is left; above, no recorder exists."""

MAX_CHANNELS = 32
"""A file may have at most so many channels."""

MAX_FRAMES = 2**27
"""The longest waveform has so many samples at 16 kHz: 2.3 hours, 512 MB as float32."""

SILENCE_PEAK = 10 ** (-60 / 20)
"""A recording is near-silent if its peak is below this amplitude: -60 dBFS, about 33 steps of 16 bits.

The peak decides, not the mean level: in RAVDESS, quiet speech between pauses has a mean down to -64 dBFS, but no peak
is below -47 dBFS.
"""


class AudioError(VoicefitError):
    """The error for an audio file that cannot be used.

    Attributes:
        kind: ``missing``, ``unreadable``, ``empty``, ``too-short`` or ``too-long``.
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def duration(seconds: float) -> str:
    """A length in words.

    >>> duration(30), duration(8388.6)
    ('30 s', '140 minutes')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
