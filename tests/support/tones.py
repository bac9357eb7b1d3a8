"""Corpora of tones, as folders of <speaker>/<label>/<audio>."""

import numpy as np
import soundfile

PITCHES = {"angry": 1500.0, "neutral": 200.0, "sad": 500.0}


def write_tone(path, pitch, seed):
    generator = np.random.default_rng(seed)
    time = np.arange(int(generator.uniform(0.15, 0.3) * 16_000)) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * pitch * generator.uniform(0.95, 1.05) * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone + 0.01 * generator.normal(size=len(time)), 16_000)


def build_tones(root, labels, takes=4, speakers=("ann", "bob", "cem")):
    """A label's pitch tells it from the others, whoever speaks."""
    seed = len(root.name)
    for speaker in speakers:
        for label in labels:
            for take in range(takes):
                seed += 1
                write_tone(root / speaker / label / f"{take}.wav", PITCHES[label], seed)
    return root
