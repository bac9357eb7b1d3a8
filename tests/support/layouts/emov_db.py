"""A miniature EmoV-DB."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

EMOTIONS = {"bea": ("Amused", "Angry", "Disgusted", "Neutral", "Sleepy"), "josh": ("Amused", "Neutral", "Sleepy")}
"""Speaker → folders."""


def build_emov_db(root: Path, nested: bool = False, suffix: str = ".wav") -> Path:
    """Two clips with each emotion by each speaker, in one folder level or two."""
    seeds = count()
    for speaker, emotions in EMOTIONS.items():
        for emotion in emotions:
            for number in ("0001", "0015"):
                folder = root / speaker / emotion if nested else root / f"{speaker}_{emotion}"
                write_noise(folder / f"{emotion.lower()}_1-15_{number}{suffix}", next(seeds))
    (root / "cmuarctic.data").write_text('( arctic_a0001 "Author of the danger trail" )\n')
    return root
