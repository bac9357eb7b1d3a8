"""A miniature MELD."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
ROWS = {
    "train": (("Joey", "joy", 0, 0), ("Monica", "neutral", 0, 1), ("Mrs. Green", "disgust", 10, 2)),
    "dev": (("Joey ", "fear", 0, 0), ("All", "surprise", 0, 1)),
    "test": (("Monica", "anger", 0, 0), ("Joey", "sadness", 3, 12)),
}
"""Part → speaker, emotion, number of the dialogue and of the utterance in it."""

RELEASED = {
    "train": "train/train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
"""Part → the folder in which the archive has its videos."""

VARIANTS = {
    "released": RELEASED,
    "beside each other": {**RELEASED, "train": "train_splits"},
    "short": {part: part for part in RELEASED},
    "waves": {part: f"{folder}/waves" for part, folder in RELEASED.items()},
}
"""Name of a variant → part → folder of its audio."""


def build_meld(root: Path, variant: str = "released", suffix: str = ".wav") -> Path:
    """A few clips of each part, their tables, and the videos where the archive has them."""
    seeds = count()
    for part, clips in ROWS.items():
        lines = [HEADER]
        for number, (speaker, emotion, dialogue, utterance) in enumerate(clips, start=1):
            stem = f"dia{dialogue}_utt{utterance}"
            write_noise(root / VARIANTS[variant][part] / f"{stem}{suffix}", next(seeds))
            (root / RELEASED[part]).mkdir(parents=True, exist_ok=True)
            (root / RELEASED[part] / f"{stem}.mp4").write_bytes(b"\0")
            text = f'"“Oh, hi,” he said.",{speaker},{emotion},neutral,{dialogue},{utterance}'
            lines.append(f'{number},{text},4,7,"00:20:57,256","00:21:00,049"')
        # The archive has the table of the training part beside its folder of videos.
        table = root / ("train" if part == "train" and variant == "released" else "") / f"{part}_sent_emo.csv"
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
