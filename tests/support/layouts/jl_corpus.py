"""A miniature JL-Corpus."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

EMOTIONS = (
    "angry",
    "anxious",
    "apologetic",
    "assertive",
    "concerned",
    "encouraging",
    "excited",
    "happy",
    "neutral",
    "sad",
)


def build_jl_corpus(root: Path, speakers: tuple[str, ...] = ("female2", "male1"), suffix: str = ".wav") -> Path:
    """Every emotion once per speaker, a transcript of each, and the archive's second copy of a part of them."""
    seeds = count()
    folder = root / "Raw JL corpus (unchecked and unannotated)" / "JL(wav+txt)"
    for speaker in speakers:
        for emotion in EMOTIONS:
            write_noise(folder / f"{speaker}_{emotion}_10a_1{suffix}", next(seeds))
            (folder / f"{speaker}_{emotion}_10a_1.txt").write_text("Carl leaps into a jeep.")
    again = root / "raw jl corpus (unchecked and unannotated)" / "JL(wav+txt)"
    write_noise(again / f"{speakers[0]}_angry_10a_1{suffix}", 0)
    return root
