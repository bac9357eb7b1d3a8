"""TESS, labelled by emotion or word: ``OAF_angry/OAF_back_angry.wav``, one folder per speaker and emotion."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.corpora.layout import audio_files, find_root, subfolders

LABELS = frozenset({"anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"})
"""These labels of the vocabulary occur."""

INFO = CorpusInfo(
    name="tess",
    title="TESS",
    language="English",
    licence="CC BY-NC-ND 4.0",
    usage="non-commercial",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    citation="M. K. Pichora-Fuller and K. Dupuis, Toronto emotional speech set (TESS), Borealis, 2020",
    expected_clips=2800,
    expected_speakers=2,
    expected_labels=dict.fromkeys(sorted(LABELS), 400),
)
"""Terms of use and published counts: both say 200 words with each emotion."""

WORD = replace(INFO, name="tess-word", labelled_by="word", expected_labels={})
"""Terms of use and published counts of ``tess-word``: both say each of its 200 words seven times."""

SPEAKERS = ("OAF", "YAF")
"""The older and the younger actress."""


def parse_folder(folder: str) -> tuple[str, str, str] | None:
    """Return the speaker, native label and vocabulary label of a folder's name, or ``None`` for any other name.

    The folder is read, not the file, because one file names its speaker ``OA``.

    >>> parse_folder("OAF_Pleasant_surprise")
    ('OAF', 'Pleasant_surprise', 'surprise')
    """
    speaker, _, native = folder.partition("_")
    label = "surprise" if native.lower() == "ps" else to_vocabulary(native)
    return (speaker.upper(), native, label) if speaker.upper() in SPEAKERS and label in LABELS else None


def parse_word(stem: str) -> str | None:
    """Return the word of a file's name, in lower case, or ``None`` for any other name.

    >>> parse_word("OAF_back_angry")
    'back'
    """
    match = re.fullmatch(r"[A-Za-z]+_([A-Za-z]+)_[A-Za-z]+", stem)
    return match[1].lower() if match else None


def load(name: str, root: Path, info: CorpusInfo = INFO) -> Corpus:
    """Read TESS.

    Args:
        name: the user's name for the corpus.
        root: the folder of the ``OAF_…`` and ``YAF_…`` folders, or the one above it.
        info: which of the corpus's labels are read: :data:`INFO` or :data:`WORD`.

    Raises:
        VoicefitError: no such folder with audio files.
    """
    root = find_root(root, _is_root, "folders named like OAF_angry/ and YAF_fear/ with audio files")
    clips = (clip for folder in _emotion_folders(root) for clip in _clips(folder, root, info))
    return make_corpus(name, root, info, clips)


def _emotion_folders(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root) if parse_folder(folder.name)]


def _is_root(folder: Path) -> bool:
    return any(audio_files(emotion) for emotion in _emotion_folders(folder))


def _clips(folder: Path, root: Path, info: CorpusInfo) -> list[Clip]:
    fields = parse_folder(folder.name)
    if fields is None:
        return []
    speaker, native, emotion = fields

    def labels(path: Path) -> tuple[str | None, str]:
        word = parse_word(path.stem)
        return (emotion, native) if info is INFO else (word, word or "")

    return [Clip(path.relative_to(root).as_posix(), path, speaker, *labels(path)) for path in audio_files(folder)]


READERS = tuple(Reader(info, partial(load, info=info)) for info in (INFO, WORD))
