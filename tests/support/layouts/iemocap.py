"""A miniature IEMOCAP."""

from itertools import count
from pathlib import Path

from support.layouts import write_noise

CODES = ("ang", "dis", "exc", "fea", "fru", "hap", "neu", "oth", "sad", "sur", "xxx")

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def format_block(name: str, code: str, valence: float = 2.5, arousal: float = 4.0, dominance: float = 3.5) -> str:
    """An utterance's lines in an evaluation file: the summary, then the raters."""
    return (
        f"[6.2901 - 8.2357]\t{name}\t{code}\t[{valence:.4f}, {arousal:.4f}, {dominance:.4f}]\n"
        "C-E2:\tNeutral;\t()\nC-F1:\tNeutral; Anger;\t(curious)\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\nA-F1:\tval 3; act 2; dom  1;\t()\n\n"
    )


def build_iemocap(root: Path, sessions: int = 2, outer: str = "IEMOCAP_full_release", suffix: str = ".wav") -> Path:
    """Every code once per dialogue, by F and M in turn; an improvised and a scripted dialogue per session.

    Args:
        root: the folder to fill, and the one to load.
        sessions: how many of the five.
        outer: the folder between ``root`` and the sessions; empty for none.
        suffix: of the audio; the label files do not name it.
    """
    seeds = count()
    for number in range(1, sessions + 1):
        session = root / outer / f"Session{number}"
        evaluation = session / "dialog" / "EmoEvaluation"
        for rater in ("Categorical", "Attribute", "Self-evaluation"):
            (evaluation / rater).mkdir(parents=True)
            (evaluation / rater / f"Ses0{number}F_impro01_e1.txt").write_text("[broken\n")
        (session / "dialog" / "avi").mkdir()
        (session / "dialog" / "avi" / f"Ses0{number}F_impro01.avi").write_bytes(b"video")
        for dialogue in (f"Ses0{number}F_impro01", f"Ses0{number}M_script01_1b"):
            text = HEADER
            for index, code in enumerate(CODES):
                name = f"{dialogue}_{'FM'[index % 2]}{index:03}"
                text += format_block(name, code)
                write_noise(session / "sentences" / "wav" / dialogue / f"{name}{suffix}", next(seeds))
            (evaluation / f"{dialogue}.txt").write_text(text)
    return root
