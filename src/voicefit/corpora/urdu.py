"""URDU-Dataset: ``Angry/SM5_F33_A061.wav``, or the same in folders of the speakers.

Facts are from its README (``siddiquelatif/URDU-Dataset``) and from the list of its files that EmoBox
(``emo-box/EmoBox``) publishes.
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.named import load_named

EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
"""The letter in the file name → the vocabulary's label."""

FOLDERS = {"Angry": "A", "Happy": "H", "Neutral": "N", "Sad": "S"}
"""The folder of an emotion → its letter in the file names."""

INFO = CorpusInfo(
    name="urdu-dataset",
    title="URDU-Dataset",
    language="Urdu",
    licence="research purposes only",
    usage="research",
    homepage="https://github.com/siddiquelatif/URDU-Dataset",
    citation=(
        "S. Latif, A. Qayyum, M. Usman and J. Qadir, Cross Lingual Speech Emotion Recognition: Urdu vs. Western "
        "Languages, FIT 2018"
    ),
    expected_clips=400,
    expected_speakers=38,
)
"""Terms of use and the counts of its README; EmoBox finds 29 speakers in the names of its files."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the emotion letter of a path without suffix, or ``None`` for any other path.

    So is a path whose letter contradicts its folder.

    >>> parse_path("Angry/SM5_F33_A061"), parse_path("Angry/SM5/SM5_F33_A061"), parse_path("Angry/SM5_F33_N061")
    (('SM5', 'A'), ('SM5', 'A'), None)
    """
    match = re.fullmatch(rf"({'|'.join(FOLDERS)})/(?:[^/]+/)?(S[MF][0-9]+)_F[0-9]+_([AHNS])[0-9]+", path)
    if match is None or FOLDERS[match[1]] != match[3]:
        return None
    return match[2], match[3]


def load(name: str, root: Path) -> Corpus:
    """Read the URDU-Dataset.

    Args:
        name: the user's name for the corpus.
        root: the folder of the emotions' folders, or the one above it.

    Raises:
        VoicefitError: no folder of an emotion with files named as in the URDU-Dataset.
    """
    expected = "Angry/, Happy/, Neutral/ and Sad/ with files named like SM5_F33_A061.wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern="**/*", expected=expected)


READERS = (Reader(INFO, load),)
