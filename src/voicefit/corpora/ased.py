"""ASED, the Amharic Speech Emotion Dataset: ``05Angry/a5-03-01-02-50.wav``.

Facts are from its README and the list of its files (``wgwangang/ASED_V1``).
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

INFO = CorpusInfo(
    name="ased",
    title="ASED",
    language="Amharic",
    licence="not stated",
    usage="unknown",
    homepage="https://github.com/Ethio2021/ASED_V1",
    citation=(
        "E. A. Retta, E. Almekhlafi, R. Sutcliffe, M. Mhamed, H. Ali and J. Feng, A New Amharic Speech Emotion "
        "Dataset and Classification Benchmark, ACM TALLIP 22(1), 2023"
    ),
    expected_clips=2474,
    expected_speakers=65,
)
"""Terms of use and published counts."""

EMOTIONS = {"n1": "neutral", "f2": "fear", "h3": "happiness", "s4": "sadness", "a5": "anger"}
"""The letter and number at the beginning of the file name → the vocabulary's label."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the emotion code of a path without suffix, or ``None`` for any other path.

    One file of the release begins with a capital letter.

    >>> parse_path("05Angry/a5-03-01-02-50"), parse_path("04Sad/S4-04-02-01-29")
    (('50', 'a5'), ('29', 's4'))
    """
    match = re.fullmatch(rf"[^/]+/({'|'.join(EMOTIONS)})-[0-9]{{2}}-0[12]-0[12]-([0-9]{{2}})", path, re.IGNORECASE)
    return (match[2], match[1].lower()) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read ASED.

    Args:
        name: the user's name for the corpus.
        root: the folder of the emotions' folders, or the one above it.

    Raises:
        VoicefitError: no folder with files named as in ASED.
    """
    expected = "01Neutral/ … 05Angry/ with files named like a5-03-01-02-50.wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern="*/*", expected=expected)


READERS = (Reader(INFO, load),)
