"""Does a detector of speech hear whispers? Made ones: real clips from which a vocoder takes the voicing.

WORLD (Morise et al. 2016) splits a clip into pitch, spectral envelope and aperiodicity, and puts it together again from
noise alone. Twenty-five neutral clips of each corpus: as they are, resynthesised with their voicing (what the vocoder
itself does), and whispered: at the same level, 15 dB quieter, with less of the low frequencies, and both.
Speech is every chunk of 32 ms within 25 dB of the *original* clip's loudest. WebRTC's detector stands beside. It needs
`pyworld` and `webrtcvad-wheels`, both on PyPI.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.signal import lfilter

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, folder
from experiments.speech_detection import BELOW_LOUDEST_DB, found_in, levels
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import load_corpus
from voicefit.prediction.speech import CHUNK

CLIPS, QUIETER_DB = 25, 15.0
WEBRTC_FRAME = 480
LAGS = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 60)
"""Periods of voices, 60 to 400 Hz."""


def resynthesised(waveform: np.ndarray, voiced: bool = True) -> np.ndarray:
    """A clip through WORLD, at its own level; without voicing all of it is noise."""
    import pyworld

    samples = waveform.astype(np.float64)
    pitch, times = pyworld.harvest(samples, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(samples, pitch, times, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(samples, pitch, times, SAMPLE_RATE)
    if not voiced:
        pitch, aperiodicity = np.zeros_like(pitch), np.ones_like(aperiodicity)
    made = pyworld.synthesize(pitch, envelope, aperiodicity, SAMPLE_RATE)[: len(samples)]
    return np.asarray(np.pad(made, (0, len(samples) - len(made))) * (samples.std() / made.std()))


def changes(waveform: np.ndarray) -> dict[str, np.ndarray]:
    """What is done to a clip → the clip at the same or a lower level; the tilt is 6 dB an octave below about 1 kHz."""
    whispered = resynthesised(waveform, voiced=False)
    tilted = lfilter([1.0, -0.7], [1.0], whispered)
    tilted *= waveform.std() / tilted.std()
    quieter = 10 ** (-QUIETER_DB / 20)
    return {
        "as it is": waveform,
        "resynthesised": resynthesised(waveform),
        "whispered": whispered,
        "whispered, quieter": quieter * whispered,
        "whispered, tilted": tilted,
        "whispered, quieter and tilted": quieter * tilted,
    }


def by_webrtc(waveform: np.ndarray, mode: int) -> np.ndarray:
    """Whether each chunk of 32 ms touches a frame of 30 ms that WebRTC takes for speech."""
    import webrtcvad

    detector = webrtcvad.Vad(mode)
    whole = (waveform.clip(-1, 1) * 32_767).astype("<i2")
    frames = whole[: len(whole) // WEBRTC_FRAME * WEBRTC_FRAME].reshape(-1, WEBRTC_FRAME)
    spoken = np.repeat([detector.is_speech(frame.tobytes(), SAMPLE_RATE) for frame in frames], WEBRTC_FRAME)
    spoken = np.pad(spoken, (0, len(whole) - len(spoken)), mode="edge")
    return np.asarray(spoken[: len(whole) // CHUNK * CHUNK].reshape(-1, CHUNK).any(axis=1))


def periodicity(waveform: np.ndarray, speech: np.ndarray) -> float:
    """Median over chunks of speech of the highest autocorrelation at periods of voices: near 1 if voiced."""
    found = []
    for index in np.flatnonzero(speech):
        part = waveform[max(0, index * CHUNK - CHUNK) : (index + 2) * CHUNK]
        part = part - part.mean()
        power = np.correlate(part, part, "full")[len(part) - 1 :]
        found.append(power[LAGS].max() / (power[0] + 1e-12))
    return float(np.median(found))


def measured(corpus: str, clips: int) -> Iterator[dict[str, Any]]:
    """A row per change of a corpus's neutral clips."""
    found = load_corpus(corpus, folder("VOICEFIT_DATA") / FOLDERS[corpus])
    same = [clip for clip in found.clips if clip.label == "neutral"]
    chosen = np.random.default_rng(0).permutation(len(same))[:clips]
    waveforms = [load_waveform(same[index].path) for index in chosen]
    speech = [(loud := levels(one)) > loud.max() - BELOW_LOUDEST_DB for one in waveforms]
    every = [changes(one) for one in waveforms]
    for name in every[0]:
        changed = [one[name] for one in every]
        heard = [found_in(one) for one in changed]
        lost = sum(
            not detector.has_speech(0, len(one) / SAMPLE_RATE)
            for one, (_, detector) in zip(changed, heard, strict=True)
        )
        row = {"corpus": corpus, "clips": name}
        row["level, dB"] = f"{np.mean([20 * np.log10(one.std() + 1e-9) for one in changed]):.0f}"
        row["periodicity"] = f"{np.mean([periodicity(*pair) for pair in zip(changed, speech, strict=True)]):.2f}"
        missed = [1 - spoken[loud].mean() for (spoken, _), loud in zip(heard, speech, strict=True)]
        row["missed by Silero"], row["clips lost by Silero"] = f"{np.mean(missed):.3f}", f"{lost} of {len(changed)}"
        for mode in (1, 3):
            missed = [1 - by_webrtc(one, mode)[loud].mean() for one, loud in zip(changed, speech, strict=True)]
            row[f"missed by WebRTC, mode {mode}"] = f"{np.mean(missed):.3f}"
        yield row


def main() -> None:
    """A row per corpus and change."""
    options = parse_options(__doc__)
    publish([row for name in FOLDERS for row in measured(name, 2 if options.quick else CLIPS)], options)


if __name__ == "__main__":
    main()
