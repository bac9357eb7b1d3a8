"""The emotional part of the EmotionTTS open database: ``plain-to-emotional/ema/wav/ema00101.wav``.

Facts are from its README (``emotiontts/emotiontts_open_db``, ``Emotional/README.md``).
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

EMOTIONS = {"일반": "neutral", "기쁨": "happiness", "화남": "anger", "슬픔": "sadness"}
"""The emotion as the README writes it → the vocabulary's label, in the order of the clips' numbers."""

CLIPS_OF_EMOTION = 100
"""Clips 1 to 100 of a speaker are neutral, the next 100 happy, then angry, then sad."""

INFO = CorpusInfo(
    name="emotiontts",
    title="EmotionTTS open DB, emotional speech",
    language="Korean",
    licence="research purposes only",
    usage="research",
    homepage="https://github.com/emotiontts/emotiontts_open_db",
    citation="Selvas AI and KAIST, EmotionTTS Open DB, 2019",
    expected_clips=6000,
    expected_speakers=15,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 1500),
)
"""Terms of use and published counts. Its repository holds 5 % of it, the rest is given on application."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the emotion in Korean of a path without suffix, or ``None`` for any other path.

    The number alone tells the emotion.

    >>> parse_path("plain-to-emotional/ema/wav/ema00100"), parse_path("emotional-to-emotional/nea/wav/nea00101")
    (('ema', '일반'), ('nea', '기쁨'))
    """
    match = re.fullmatch(r"(?:plain|emotional)-to-emotional/([a-z]{3})/wav/\1([0-9]{5})", path)
    if match is None or not 1 <= int(match[2]) <= CLIPS_OF_EMOTION * len(EMOTIONS):
        return None
    return match[1], list(EMOTIONS)[(int(match[2]) - 1) // CLIPS_OF_EMOTION]


def load(name: str, root: Path) -> Corpus:
    """Read the emotional part of the EmotionTTS open database: plain and emotional scripts.

    Args:
        name: the user's name for the corpus.
        root: the folder of ``plain-to-emotional/`` and ``emotional-to-emotional/``, or the one above it.

    Raises:
        VoicefitError: no such folder with files named as in the database.
    """
    expected = "plain-to-emotional/ or emotional-to-emotional/ with files named like ema/wav/ema00001.wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern="*-to-emotional/*/*/*", expected=expected)


READERS = (Reader(INFO, load),)
