"""A miniature ESD."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

BLOCKS = {"Neutral": 0, "Angry": 350, "Happy": 700, "Sad": 1050, "Surprise": 1400}
"""Folder → number before its first utterance."""

PLACES = {20: "evaluation", 21: "test", 50: "test", 51: "train", 350: "train"}
"""Place among the 350 utterances of an emotion → folder of the split."""


def build_esd(
    root: Path, speakers: tuple[str, ...] = ("0001", "0011"), splits: bool = True, suffix: str = ".wav"
) -> Path:
    """Five utterances of each emotion by each speaker, and transcripts in one encoding each with broken lines."""
    seeds = count()
    encodings = ("gb2312", "utf-16", "latin-1", "utf-8")
    for index, speaker in enumerate(speakers):
        lines = []
        for emotion, before in BLOCKS.items():
            for place, split in PLACES.items():
                stem = f"{speaker}_{before + place:06}"
                folder = root / speaker / emotion / (split if splits else "")
                write_noise(folder / f"{stem}{suffix}", next(seeds))
                lines.append(f"{stem}\tHello.\t{'快乐' if encodings[index % 4] != 'latin-1' else emotion}")
        lines[1] = lines[1].replace("\t", " ")
        text = "\n".join(lines)
        (root / speaker / f"{speaker}.txt").write_text(text, encoding=encodings[index % 4])
    (root / "ReadMe.txt").write_text("ESD\n")
    return root
