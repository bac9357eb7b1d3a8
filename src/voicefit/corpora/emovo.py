"""EMOVO: ``f1/dis-f1-b1.wav``, a folder per speaker."""

import re
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import audio_files, find_root, subfolders

EMOTIONS = {
    "dis": "disgust",  # disgusto
    "gio": "happiness",  # gioia
    "neu": "neutral",  # neutro
    "pau": "fear",  # paura
    "rab": "anger",  # rabbia
    "sor": "surprise",  # sorpresa
    "tri": "sadness",  # tristezza
}
"""The code in the file name → the vocabulary's label."""

INFO = CorpusInfo(
    name="emovo",
    title="EMOVO",
    language="Italian",
    licence="none stated",
    usage="unknown",
    homepage="http://voice.fub.it/activities/corpora/emovo/index.html",
    citation=(
        "G. Costantini, I. Iaderola, A. Paoloni and M. Todisco, EMOVO Corpus: an Italian Emotional Speech "
        "Database, LREC 2014"
    ),
    expected_clips=588,
    expected_speakers=6,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 84),
)
"""Terms of use and published counts: every speaker says 14 sentences with each emotion."""

_FOLDER = re.compile(r"[fm][0-9]")
"""The folder of a speaker is named like ``f1``."""


def parse_name(stem: str) -> tuple[str, str] | None:
    """Return the emotion code and speaker of a file name, or ``None`` for any other name.

    >>> parse_name("dis-f1-b1")
    ('dis', 'f1')
    """
    match = re.fullmatch(r"([a-z]{3})-([fm][0-9])-[a-z][0-9]", stem)
    return (match[1], match[2]) if match and match[1] in EMOTIONS else None


def load(name: str, root: Path) -> Corpus:
    """Read EMOVO.

    Args:
        name: the user's name for the corpus.
        root: the folder of the speakers' folders, or the one above it.

    Raises:
        VoicefitError: no speaker folder with files named as in EMOVO.
    """
    root = find_root(root, _is_root, "f1/ … m3/ with files named like dis-f1-b1.wav")
    paths = (path for folder in _speaker_folders(root) for path in audio_files(folder))
    return make_corpus(name, root, INFO, (_clip(path, root) for path in paths))


def _speaker_folders(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root) if _FOLDER.fullmatch(folder.name)]


def _is_root(folder: Path) -> bool:
    return any(parse_name(path.stem) for speaker in _speaker_folders(folder) for path in audio_files(speaker))


def _clip(path: Path, root: Path) -> Clip:
    clip_id = path.relative_to(root).as_posix()
    fields = parse_name(path.stem)
    if fields is None:
        return Clip(clip_id, path, speaker=path.parent.name, label=None)
    code, speaker = fields
    return Clip(clip_id, path, speaker, EMOTIONS[code], code)


READERS = (Reader(INFO, load),)
