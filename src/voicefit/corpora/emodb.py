"""EmoDB, the Berlin Database of Emotional Speech: ``wav/03a01Fa.wav``."""

import re
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root

INFO = CorpusInfo(
    name="emodb",
    title="EmoDB",
    language="German",
    licence="CC0 1.0",
    usage="unrestricted",
    homepage="http://emodb.bilderbar.info/docu/",
    citation=(
        "F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier and B. Weiss, A Database of German Emotional "
        "Speech, Interspeech 2005"
    ),
    expected_clips=535,
    expected_speakers=10,
    expected_labels={
        "anger": 127,
        "boredom": 81,
        "disgust": 46,
        "fear": 69,
        "happiness": 71,
        "neutral": 79,
        "sadness": 62,
    },
)
"""Terms of use, as in the first author's publication through audb, and published counts."""

EMOTIONS = {
    "W": "anger",  # Wut
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happiness",  # Freude
    "T": "sadness",  # Trauer
    "N": "neutral",
}
"""The letter in the file name → the vocabulary's label."""

_FOLDER = "wav"
"""The folder of the clips."""


def parse_name(stem: str) -> tuple[str, str] | None:
    """Return the speaker and emotion letter of a file name, or ``None`` for any other name.

    >>> parse_name("03a01Fa")
    ('03', 'F')
    """
    match = re.fullmatch(r"([0-9]{2})[ab][0-9]{2}([WLEAFTN])[a-z]?", stem)
    return (match[1], match[2]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read EmoDB.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds ``wav/``, the one above it, or ``wav/`` itself; clip ids are the same.

    Raises:
        VoicefitError: no ``wav/`` folder with files named as in EmoDB.
    """
    if root.name == _FOLDER and not _is_root(root) and _is_root(root.parent):
        root = root.parent
    root = find_root(root, _is_root, "wav/ with files named like 03a01Fa.wav")
    return make_corpus(name, root, INFO, (_clip(path, root) for path in audio_files(root / _FOLDER)))


def _is_root(folder: Path) -> bool:
    return any(parse_name(path.stem) for path in audio_files(folder / _FOLDER))


def _clip(path: Path, root: Path) -> Clip:
    clip_id = path.relative_to(root).as_posix()
    fields = parse_name(path.stem)
    if fields is None:
        return Clip(clip_id, path, UNKNOWN_SPEAKER, label=None)
    speaker, letter = fields
    return Clip(clip_id, path, speaker, EMOTIONS[letter], letter)


READERS = (Reader(INFO, load),)
