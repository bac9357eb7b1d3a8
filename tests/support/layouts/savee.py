"""A miniature SAVEE."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

STEMS = ("a01", "d15", "f01", "h01", "n30", "sa01", "su01")


def build_savee(
    root: Path, speakers: tuple[str, ...] = ("DC", "KL"), flat: str | None = None, suffix: str = ".wav"
) -> Path:
    """Every emotion once per speaker: a folder for each speaker, or ``flat`` between speaker and the rest."""
    seeds = count()
    for speaker in speakers:
        for stem in STEMS:
            name = f"{speaker}{'/' if flat is None else flat}{stem}{suffix}"
            write_noise(root / name, next(seeds))
    (root / "Info.txt").write_text("Speakers\n")
    return root
