"""A miniature MSP-IMPROV."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

LETTERS = "AHNOSX"

KEYS = tuple(
    f"S01{scenario}-{speaker}-{turn}"
    for scenario in "AN"
    for speaker in ("F01", "M01", "F02")
    for turn in ("P-FM01", "R-FF01" if speaker[0] == "F" else "R-MM01", "S-MF12", "T-FM01")
)
"""Name of a clip after the prefix; the letters of the evaluation follow each other from clip to clip."""


def format_block(key: str, letter: str, activation: str = "2.250000", valence: str = "3.500000") -> str:
    """A clip's lines in the label file: the summary, then the raters."""
    return (
        f"UTD-IMPROV-{key}.avi; {letter}; A:{activation}; V:{valence}; D:NaN ; N:4.000000;\n"
        "E-F01-p; Angry; Angry,Frustrated; A:3.000000; V:2.000000; D:3.000000; N:4.000000;\n"
        'WORKER00000001-p; Other; Other (she says: "no; UTD-IMPROV-"); A:3.000000; V:2.000000; D:NaN; N:NaN;\n\n'
    )


def build_msp_improv(
    root: Path, audio: str = "", evaluation: str = "Evaluation.txt", outer: str = "", suffix: str = ".wav"
) -> Path:
    """Two scenarios of the first sentence in two sessions, with videos beside the audio.

    Args:
        root: the folder to fill, and the one to load.
        audio: the folder between the corpus and the sessions; empty for none.
        evaluation: the name of the label file; empty for none.
        outer: the folder between ``root`` and the corpus; empty for none.
        suffix: of the audio; the label file names the videos.
    """
    seeds = count()
    text = ""
    for index, key in enumerate(KEYS):
        scenario, speaker, kind, _ = key.split("-")
        folder = root / outer / audio / f"session{speaker[-1]}" / scenario / kind
        write_noise(folder / f"MSP-IMPROV-{key}{suffix}", next(seeds))
        (folder / f"UTD-IMPROV-{key}.avi").write_bytes(b"video")
        text += format_block(key, LETTERS[index % len(LETTERS)])
    if evaluation:
        (root / outer / evaluation).write_text(text)
    return root
