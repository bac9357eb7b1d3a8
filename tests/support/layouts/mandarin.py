"""A miniature Mandarin Affective Speech."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise


def build_mandarin(
    root: Path, speakers: tuple[str, ...] = ("001", "068"), plural: bool = False, suffix: str = ".wav"
) -> Path:
    """A phrase and a sentence with each emotion by each speaker, one neutral paragraph, and the release's papers."""
    seeds = count()
    s = "s" if plural else ""
    for speaker in speakers:
        folder = root / "man_aff_spch" / "data" / speaker
        for emotion in ("anger", "elation", "neutral", "panic", "sadness"):
            write_noise(folder / emotion / f"phrase{s}" / f"1011{suffix}", next(seeds), rate=22_050)
            write_noise(folder / emotion / f"utterance{s}" / f"2011{suffix}", next(seeds), rate=22_050)
        write_noise(folder / "neutral" / f"paragraph{s}" / f"301{suffix}", next(seeds), rate=22_050)
    (root / "man_aff_spch" / "doc").mkdir()
    (root / "man_aff_spch" / "readme.html").write_text("<html></html>")
    return root
