"""A miniature MSP-Podcast."""

import json
from itertools import count
from pathlib import Path

import pandas as pd

from support.layouts import write_noise

FIELDS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")

ROWS = (
    ("MSP-PODCAST_0001_0008.wav", "N", 2.2, 4.0, 2.6, "30", "Male", "Test1"),
    ("MSP-PODCAST_0001_0009.wav", "A", 5.777778, 2.5, 5.0, "39", "Male", "Test1"),
    ("MSP-PODCAST_0002_0033.wav", "S", 2.0, 2.0, 3.0, "Unknown", "Unknown", "Train"),
    ("MSP-PODCAST_0002_0035.wav", "H", 5.0, 6.0, 4.0, "7", "Female", "Train"),
    ("MSP-PODCAST_0003_0001.wav", "U", 5.0, 4.0, 4.0, "Unknown", "Male", "Train"),
    ("MSP-PODCAST_0004_0001.wav", "F", 5.0, 2.0, 2.0, "8", "Male", "Development"),
    ("MSP-PODCAST_0004_0002.wav", "D", 4.0, 2.0, 4.0, "8", "Male", "Development"),
    ("MSP-PODCAST_0005_0001.wav", "C", 4.0, 3.0, 5.0, "9", "Male", "Test2"),
    ("MSP-PODCAST_0005_0002_0001.wav", "O", 4.0, 4.0, 4.0, "9", "Male", "Test2"),
    ("MSP-PODCAST_0006_0001.wav", "X", 4.0, 4.0, 4.0, "10", "Female", "Train"),
)


def build_msp_podcast(
    root: Path,
    labels: str = "Labels/labels_consensus.csv",
    audio: str = "Audios",
    validation: str = "Development",
    outer: str = "",
    suffix: str = ".wav",
) -> Path:
    """Every class once or more, in every set; of Test3 the audio alone; the other files of the folders.

    Args:
        root: the folder to fill, and the one to load.
        labels: the label file, whose suffix tells its format.
        audio: the folder of the audio.
        validation: what the release calls its validation set.
        outer: the folder between ``root`` and the corpus; empty for none.
        suffix: of the audio; the label file says .wav.
    """
    seeds = count()
    rows = [(*row[:-1], row[-1].replace("Development", validation)) for row in ROWS]
    for name, *_ in [*rows, ("MSP-PODCAST_test3_0001.wav",)]:
        write_noise((root / outer / audio / name).with_suffix(suffix), next(seeds))
    path = root / outer / labels
    path.parent.mkdir(exist_ok=True)
    (path.parent / "labels_detailed.json").write_text("{}")
    if path.suffix == ".csv":
        pd.DataFrame(rows, columns=list(FIELDS)).to_csv(path, index=False)
    else:
        path.write_text(json.dumps({name: dict(zip(FIELDS[1:], fields, strict=True)) for name, *fields in rows}))
    return root
