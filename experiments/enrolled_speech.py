"""What `voicefit adapt --speech` leaves out: clips of emotional speech, which it should not, and sounds without speech.

Two hundred clips of each corpus, cut to the seconds that `mini` hears; every tenth over a telephone, in a room,
in noise and louder; and the quietest 0.8 s of these. VOICEFIT_NOISE is as in experiments/reject.py.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, folder
from experiments.reject import CHANGES, made, quietest, recorded
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import load_corpus
from voicefit.prediction.speech import holds_speech

CLIPS, HEARD_S, EVERY = 200, 4, 10


def left_out(waveforms: Sequence[np.ndarray]) -> str:
    """How many are taken to hold no speech."""
    return f"{sum(not holds_speech(one.astype(np.float32)) for one in waveforms)} of {len(waveforms)}"


def of_corpus(name: str, most: int) -> dict[str, Any]:
    """How many clips of a corpus are left out, as they are and in other conditions."""
    clips = load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]).clips
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(clips))[:most]
    waveforms = [load_waveform(clips[row].path)[: HEARD_S * SAMPLE_RATE] for row in chosen]
    row: dict[str, Any] = {"sound": name, "as it is": left_out(waveforms)}
    for condition, change in CHANGES.items():
        row[condition] = left_out([change(one, generator) for one in waveforms[::EVERY]])
    return row | {"its quietest 0.8 s": left_out([quietest(one) for one in waveforms[::EVERY]])}


def main() -> None:
    """A row per corpus, and one per kind of sound without speech."""
    options = parse_options(__doc__)
    rows = [of_corpus(name, 20 if options.quick else CLIPS) for name in FOLDERS]
    sounds = recorded(Path(os.environ["VOICEFIT_NOISE"])) if os.environ.get("VOICEFIT_NOISE") else {}
    for kind, waveforms in (sounds | made()).items():
        rows.append({"sound": kind, "as it is": left_out(waveforms)})
    publish(rows, options)


if __name__ == "__main__":
    main()
