"""Does a small detector of speech hear people who speak quietly, shout or sob? Silero's, of the extra `speech`.

Twenty-five clips of each emotion. What is speech is not marked in these corpora: chunks of 32 ms that are within 25 dB
of a clip's loudest are taken for it, since the recordings are clean. A clip is lost where less than a quarter of a
second of it is found. VOICEFIT_NOISE is as in experiments/reject.py: there, whatever is found is wrong.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, folder
from experiments.reject import recorded
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import load_corpus
from voicefit.prediction.speech import CHUNK, SpeechDetector

CLIPS, BELOW_LOUDEST_DB, SPEECH = 25, 25.0, 0.5


def found_in(waveform: np.ndarray) -> tuple[np.ndarray, SpeechDetector]:
    """Whether each whole chunk is taken for speech, and the detector."""
    detector = SpeechDetector()
    list(detector.listen(iter([waveform.astype(np.float32)])))
    return np.array(detector.probabilities[: len(waveform) // CHUNK]) >= SPEECH, detector


def levels(waveform: np.ndarray) -> np.ndarray:
    """Decibels of each whole chunk."""
    chunks = waveform[: len(waveform) // CHUNK * CHUNK].reshape(-1, CHUNK)
    return np.asarray(10 * np.log10((chunks**2).mean(axis=1) + 1e-12))


def emotional(name: str, clips: int) -> Iterator[dict[str, Any]]:
    """A row per emotion of a corpus."""
    corpus = load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name])
    for label in sorted({str(clip.label) for clip in corpus.clips}):
        same = [clip for clip in corpus.clips if clip.label == label]
        chosen = np.random.default_rng(0).permutation(len(same))[:clips]
        missed, lost, level = [], 0, []
        for waveform in (load_waveform(same[index].path) for index in chosen):
            speech, detector = found_in(waveform)
            loud = levels(waveform)
            missed.append(1 - speech[loud > loud.max() - BELOW_LOUDEST_DB].mean())
            lost += not detector.has_speech(0, len(waveform) / SAMPLE_RATE)
            level.append(20 * np.log10(waveform.std() + 1e-9))
        yield {
            "sound": f"{name}, {label}",
            "level, dB": f"{np.mean(level):.0f}",
            "speech missed": f"{np.mean(missed):.3f}",
            "clips lost": f"{lost} of {len(chosen)}",
        }


def main() -> None:
    """A row per corpus and emotion, and one per kind of sound without speech."""
    options = parse_options(__doc__)
    rows = [row for name in FOLDERS for row in emotional(name, 2 if options.quick else CLIPS)]
    sounds = recorded(Path(os.environ["VOICEFIT_NOISE"])) if os.environ.get("VOICEFIT_NOISE") else {}
    for kind, waveforms in sounds.items():
        found = [found_in(one) for one in waveforms]
        pairs = zip(waveforms, found, strict=True)
        taken = sum(detector.has_speech(0, len(one) / SAMPLE_RATE) for one, (_, detector) in pairs)
        share = np.mean([speech.mean() for speech, _ in found if len(speech)])
        windows = f"{taken} of {len(found)}"
        rows.append({"sound": kind, "taken for speech": f"{share:.3f}", "windows taken for speech": windows})
    publish(rows, options)


if __name__ == "__main__":
    main()
