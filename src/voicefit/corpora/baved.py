"""BAVED, the Basic Arabic Vocal Emotions Dataset: ``0/10-f-20-0-1-0.wav``, in a folder for each word.

Facts are from its README and the list of its files (``40uf411/Basic-Arabic-Vocal-Emotions-Dataset``).
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

INFO = CorpusInfo(
    name="baved",
    title="BAVED",
    language="Arabic",
    licence="not stated",
    usage="unknown",
    homepage="https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset",
    citation="A. Aouf, Basic Arabic Vocal Emotions Dataset (BAVED)",
    expected_clips=1935,
    expected_speakers=61,
)
"""Terms of use and the counts of its README."""

LEVELS = {"0": "low", "1": "neutral", "2": "high"}
"""The level of emotion in the file name → the label: tired or down, everyday speech, strong emotion of any kind."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the level of emotion of a path without suffix, or ``None`` for any other path.

    The fields are speaker, sex, age, word, level and number. The folder repeats the word: it is no label.

    >>> parse_path("6/10-f-20-6-1-0")
    ('10', '1')
    """
    match = re.fullmatch(r"[^/]+/([0-9]+)-[fm]-[0-9]+-[0-6]-([0-2])-[0-9]+", path, re.IGNORECASE)
    return (match[1], match[2]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read BAVED. Speakers 46 and 53 hold the same recordings: hold out both or neither.

    Args:
        name: the user's name for the corpus.
        root: the folder of the words' folders, or the one above it.

    Raises:
        VoicefitError: no folder with files named as in BAVED.
    """
    expected = "0/ … 6/ with files named like 10-f-20-0-1-0.wav"
    return load_named(name, root, INFO, parse_path, LEVELS, pattern="*/*", expected=expected)


READERS = (Reader(INFO, load),)
