"""EmoV-DB: ``bea_Amused/amused_1-15_0001.wav`` or ``bea/Amused/amused_1-15_0001.wav``."""

import re
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import audio_files, find_root, subfolders

INFO = CorpusInfo(
    name="emov-db",
    title="EmoV-DB",
    language="English",
    licence="EmoV-DB licence",
    usage="non-commercial",
    homepage="https://github.com/numediart/EmoV-DB",
    citation=(
        "A. Adigwe, N. Tits, K. El Haddad, S. Ostadabbas and T. Dutoit, The Emotional Voices Database: Towards "
        "Controlling the Emotion Dimension in Voice Generation Systems, arXiv:1806.09514, 2018"
    ),
    expected_speakers=4,
)
"""Terms of use and published counts. Its authors count 7000 clips, but not all are in its releases."""

EMOTIONS = {
    "amused": "amusement",
    "angry": "anger",
    "anger": "anger",
    "disgusted": "disgust",
    "disgust": "disgust",
    "neutral": "neutral",
    "sleepy": "sleepiness",
    "sleepiness": "sleepiness",
}
"""The folder in lower case → the label."""

SPEAKERS = ("bea", "jenie", "josh", "sam")
"""The speakers, two women and two men; josh is never angry or disgusted."""

_SPEAKER_FOLDER = re.compile(rf"({'|'.join(SPEAKERS)})(?:_.*)?", re.IGNORECASE)
"""The folder of a speaker, or of a speaker and an emotion."""

_PATH = re.compile(rf"({'|'.join(SPEAKERS)})[_/]({'|'.join(EMOTIONS)})/([^/]+)", re.IGNORECASE)
"""The path of a clip below the root: speaker, emotion and file name."""


def parse_path(path: str) -> tuple[str, str, str] | None:
    """Return the speaker, emotion folder and clip id of a path below the root, or ``None`` for any other path.

    >>> parse_path("bea/Amused/amused_1-15_0001.wav") == parse_path("bea_Amused/amused_1-15_0001.wav")
    True
    >>> parse_path("bea/Amused/amused_1-15_0001.wav")
    ('bea', 'Amused', 'bea_Amused/amused_1-15_0001.wav')
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    speaker = match[1].lower()
    return speaker, match[2], f"{speaker}_{match[2]}/{match[3]}"


def load(name: str, root: Path) -> Corpus:
    """Read EmoV-DB; clip ids have a folder for each speaker and emotion, in both layouts.

    Args:
        name: the user's name for the corpus.
        root: the folder of the speakers' folders, or the one above it.

    Raises:
        VoicefitError: no folder of a speaker and emotion with audio, or a clip that is there in both layouts.
    """
    root = find_root(root, _is_root, "folders named like bea_Amused/ or bea/Amused/ with audio")
    return make_corpus(name, root, INFO, (_clip(path, root) for path in _files(root)))


def _files(root: Path) -> list[Path]:
    folders = (folder for folder in subfolders(root) if _SPEAKER_FOLDER.fullmatch(folder.name))
    return [path for folder in folders for path in audio_files(folder, "**/*")]


def _is_root(folder: Path) -> bool:
    return any(parse_path(path.relative_to(folder).as_posix()) for path in _files(folder))


def _clip(path: Path, root: Path) -> Clip:
    below = path.relative_to(root).as_posix()
    fields = parse_path(below)
    if fields is None:
        return Clip(below, path, speaker=re.split("[_/]", below)[0].lower(), label=None)
    speaker, emotion, clip_id = fields
    return Clip(clip_id, path, speaker, EMOTIONS[emotion.lower()], emotion)


READERS = (Reader(INFO, load),)
