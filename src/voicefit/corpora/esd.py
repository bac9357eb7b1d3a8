"""ESD, the Emotional Speech Database: ``0011/Angry/train/0011_000401.wav``, or the same without ``train/``."""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import audio_files, find_root, subfolders

INFO = CorpusInfo(
    name="esd",
    title="ESD",
    language="English and Mandarin",
    licence="research purposes only",
    usage="research",
    homepage="https://github.com/HLTSingapore/Emotional-Speech-Data",
    citation=(
        "K. Zhou, B. Sisman, R. Liu and H. Li, Emotional Voice Conversion: Theory, Databases and ESD, "
        "Speech Communication 137, 2022"
    ),
    expected_clips=35_000,
    expected_speakers=20,
    expected_labels=dict.fromkeys(("anger", "happiness", "neutral", "sadness", "surprise"), 7000),
)
"""Terms of use and published counts: 350 utterances of each emotion by each speaker."""

EMOTIONS = {
    "Angry": "anger",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}
"""The folder → the vocabulary's label. The transcripts, which repeat it in four encodings, are not read."""

MANDARIN = tuple(f"{number:04}" for number in range(1, 11))
"""The speakers of Mandarin."""

ENGLISH = tuple(f"{number:04}" for number in range(11, 21))
"""The speakers of English."""

_SPLITS = {"train": "train", "evaluation": "validation", "test": "test"}
"""The folder of a split → the split."""

_PATH = re.compile(rf"([0-9]{{4}})/({'|'.join(EMOTIONS)})/(?:({'|'.join(_SPLITS)})/)?\1_([0-9]{{6}})\.[^./]+")
"""The path of a clip below the root: speaker, emotion, split if there is one, and number."""


def parse_path(path: str) -> tuple[str, str, str | None] | None:
    """Return the speaker, emotion folder and split of a clip's path below the root, or ``None`` for any other path.

    >>> parse_path("0011/Angry/test/0011_000371.wav") == parse_path("0011/Angry/0011_000371.wav")
    True
    >>> parse_path("0011/Angry/0011_000371.wav")
    ('0011', 'Angry', 'test')
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    speaker, emotion, folder, number = match.groups()
    return speaker, emotion, _SPLITS[folder] if folder else official_split(int(number))


def official_split(number: int) -> str | None:
    """Return the split of an utterance, from 1 to 1750, by its number among the 350 of its emotion.

    The release has the first 20 in ``evaluation``, the next 30 in ``test`` and the other 300 in ``train``.

    >>> official_split(370), official_split(371), official_split(401)
    ('validation', 'test', 'train')
    """
    if not 1 <= number <= 1750:
        return None
    index = (number - 1) % 350
    return "validation" if index < 20 else "test" if index < 50 else "train"


def load(name: str, root: Path, info: CorpusInfo = INFO, speakers: Collection[str] = MANDARIN + ENGLISH) -> Corpus:
    """Read ESD with or without folders for its splits; clip ids do not contain those folders.

    Args:
        name: the user's name for the corpus.
        root: the folder of the speakers' folders, or the one above it.
        info: terms of use and published counts of the speakers.
        speakers: the speakers to read.

    Raises:
        VoicefitError: no folder of a speaker with a clip, or a clip in two folders, with and without split.
    """

    def speaker_folders(folder: Path) -> list[Path]:
        return [below for below in subfolders(folder) if below.name in speakers]

    def is_root(folder: Path) -> bool:
        return any(parse_path(_below(path, folder)) for one in speaker_folders(folder) for path in _files(one))

    expected = f"{min(speakers)}/ … {max(speakers)}/ with files named like Angry/train/{min(speakers)}_000401.wav"
    root = find_root(root, is_root, expected)
    clips = (_clip(path, root, folder.name) for folder in speaker_folders(root) for path in _files(folder))
    return make_corpus(name, root, info, clips)


def _files(speaker_folder: Path) -> list[Path]:
    return audio_files(speaker_folder, "**/*")


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _clip(path: Path, root: Path, speaker: str) -> Clip:
    fields = parse_path(_below(path, root))
    if fields is None:
        return Clip(_below(path, root), path, speaker, label=None)
    _, emotion, split = fields
    return Clip(f"{speaker}/{emotion}/{path.name}", path, speaker, EMOTIONS[emotion], emotion, split=split)


def _half(language: str, speakers: Collection[str]) -> Reader:
    info = replace(
        INFO,
        name=f"esd-{language.lower()}",
        title=f"ESD, speakers of {language}",
        language=language,
        expected_clips=17_500,
        expected_speakers=10,
        expected_labels=dict.fromkeys(INFO.expected_labels, 3500),
    )
    return Reader(info, lambda name, root: load(name, root, info, speakers))


READERS = (Reader(INFO, load), _half("English", ENGLISH), _half("Mandarin", MANDARIN))
