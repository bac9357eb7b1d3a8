"""Voices and corpora whose labels can be told apart, as sound and as features."""

from pathlib import Path

import numpy as np
import soundfile

from support.layouts import write_noise
from support.tiny_models import build_wav2vec2_group_norm

LABELS = np.array(["anger", "fear", "neutral"] * 5)
PITCH = {"anger": 900.0, "neutral": 250.0, "sadness": 90.0}


def speak(path, label, seed):
    """A tone of the label's pitch in noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(generator.uniform(0.2, 0.3) * 16_000)) / 16_000
    tone = np.sin(2 * np.pi * PITCH[label] * generator.uniform(0.9, 1.1) * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * tone + 0.05 * generator.normal(size=len(time)), 16_000)


def write_corpus(root, labels, seed, takes=6):
    """Two speakers; ``labels`` says what a clip is called and how it sounds."""
    for speaker in ("anna", "ben"):
        for name, sound in labels.items():
            for take in range(takes):
                seed += 1
                speak(root / speaker / name / f"{take}.wav", sound, seed)
    return root


def build_world(root):
    """An encoder, a voice, a corpus that agrees with it, one that calls its sounds otherwise, one of other labels."""
    for label in PITCH:
        for take in range(2):
            speak(root / "voice" / label / f"{take}.wav", label, 1000 + 10 * take + len(label))
    mixed = dict(zip(PITCH, [*list(PITCH)[1:], "anger"], strict=True))
    other = dict(zip(["calm", "joy"], PITCH, strict=False))
    corpora = {
        "mixed": write_corpus(root / "mixed", mixed, 100),
        "same": write_corpus(root / "same", {name: name for name in PITCH}, 200),
        "other": write_corpus(root / "other", other, 300),
    }
    return build_wav2vec2_group_norm(root / "encoder"), root / "voice", corpora


def clouds(apart, size=4, labels=LABELS, seed=0):
    """Features in which each label has a place of its own, ``apart`` standard deviations from the others."""
    generator = np.random.default_rng(seed)
    places = generator.normal(size=(3, size))
    index = np.unique(labels, return_inverse=True)[1]
    return apart * places[index] + generator.normal(size=(len(labels), size))


def write_clips(folder: Path, *names: str, first: int = 0) -> Path:
    """Noise of different pitch and level, a file per name below ``folder``; the seed of the first is ``first``."""
    for seed, name in enumerate(names, first):
        write_noise(folder / f"{name}.wav", seed, seconds=0.5, peak=0.1 + 0.06 * (seed % 14))
    return folder
