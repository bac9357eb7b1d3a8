"""FSDD, the Free Spoken Digit Dataset: ``recordings/7_jackson_32.wav``."""

import re
from dataclasses import replace
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

DIGITS = {str(digit): word for digit, word in enumerate(WORDS)}
"""The digit in the file name → its word."""

INFO = CorpusInfo(
    name="fsdd",
    title="FSDD",
    language="English",
    licence="CC BY-SA 4.0",
    usage="unrestricted",
    homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
    citation="Z. Jackson, Free Spoken Digit Dataset, 2016",
    expected_clips=3000,
    expected_speakers=6,
    expected_labels=dict.fromkeys(DIGITS.values(), 300),
    labelled_by="digit",
)
"""Terms of use and published counts: everyone says each digit 50 times."""

_TEST_TAKES = 5
"""The authors test on takes 0 to 4 and train on the others."""


def parse_name(stem: str) -> tuple[str, str, int] | None:
    """Return the digit, speaker and take of a file name, or ``None`` for any other name.

    >>> parse_name("7_jackson_32")
    ('7', 'jackson', 32)
    """
    match = re.fullmatch(r"([0-9])_([A-Za-z0-9-]+)_([0-9]+)", stem)
    return (match[1], match[2], int(match[3])) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read FSDD, with the split of its authors.

    Args:
        name: the user's name for the corpus.
        root: the folder ``recordings``, or the one above it.

    Raises:
        VoicefitError: no file named as in FSDD.
    """
    expected = "recordings/ with files named like 7_jackson_32.wav"
    corpus = load_named(name, root, INFO, _digit_of, DIGITS, pattern="*", expected=expected)
    return replace(corpus, clips=tuple(_with_split(clip) for clip in corpus.clips))


def _digit_of(path: str) -> tuple[str, str] | None:
    fields = parse_name(path)
    return (fields[1], fields[0]) if fields else None


def _with_split(clip: Clip) -> Clip:
    fields = parse_name(clip.path.stem)
    return replace(clip, split="test" if fields[2] < _TEST_TAKES else "train") if fields else clip


READERS = (Reader(INFO, load),)
