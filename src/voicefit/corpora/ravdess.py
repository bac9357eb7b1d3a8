"""RAVDESS, the speech part, labelled by emotion, intensity or statement: ``Actor_NN/03-01-EE-II-SS-RR-NN.wav``."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import audio_files, find_root, subfolders

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
"""The emotion code in the file name → the vocabulary's label."""

INTENSITIES = {"01": "normal", "02": "strong"}
"""The code of the emotion's intensity → the label of ``ravdess-intensity``; neutral speech is normal."""

STATEMENTS = {
    "01": "kids",  # Kids are talking by the door
    "02": "dogs",  # Dogs are sitting by the door
}
"""The code of the sentence that is said → the label of ``ravdess-statement``: its first word."""

INFO = CorpusInfo(
    name="ravdess",
    title="RAVDESS",
    language="English",
    licence="CC BY-NC-SA 4.0",
    usage="non-commercial",
    homepage="https://doi.org/10.5281/zenodo.1188976",
    citation=(
        "S. R. Livingstone and F. A. Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song "
        "(RAVDESS), PLoS ONE 13(5), e0196391, 2018"
    ),
    expected_clips=1440,
    expected_speakers=24,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 192) | {"neutral": 96},
)
"""Terms of use and published counts of the audio-only speech files; neutral speech has one intensity of two."""

INTENSITY = replace(
    INFO,
    name="ravdess-intensity",
    labelled_by="intensity",
    expected_labels={"normal": 768, "strong": 672},
)
"""Terms of use and published counts of ``ravdess-intensity``."""

STATEMENT = replace(
    INFO,
    name="ravdess-statement",
    labelled_by="statement",
    expected_labels=dict.fromkeys(STATEMENTS.values(), 720),
)
"""Terms of use and published counts of ``ravdess-statement``."""

_FOLDER = re.compile(r"Actor_(\d\d)", re.IGNORECASE)
"""The folder of an actor is named like ``Actor_01``."""

_SPEECH = "01"
"""The vocal channel of spoken clips."""

_SONG = "02"
"""The vocal channel of songs."""


class Fields(NamedTuple):
    """The codes in a file name."""

    channel: str
    emotion: str
    intensity: str
    statement: str
    actor: str


_LABELS: dict[str, tuple[str, Mapping[str, str]]] = {
    INFO.name: ("emotion", EMOTIONS),
    INTENSITY.name: ("intensity", INTENSITIES),
    STATEMENT.name: ("statement", STATEMENTS),
}
"""Registry name → the field that its label is read from, and the label of each code."""


def parse_name(stem: str) -> Fields | None:
    """Return the codes of an audio-only file name, or ``None`` for any other name.

    >>> parse_name("03-01-06-01-02-01-12")
    Fields(channel='01', emotion='06', intensity='01', statement='02', actor='12')
    """
    match = re.fullmatch(r"03-(01|02)-(0[1-8])-(0[12])-(0[12])-0[12]-([0-9]{2})", stem)
    return Fields(*match.groups()) if match else None


def load(name: str, root: Path, info: CorpusInfo = INFO) -> Corpus:
    """Read the speech clips of RAVDESS; the songs (vocal channel 02) are left out.

    Args:
        name: the user's name for the corpus.
        root: the folder of the ``Actor_NN`` folders, or the one above it.
        info: which of the corpus's labels are read: :data:`INFO`, :data:`INTENSITY` or :data:`STATEMENT`.

    Raises:
        VoicefitError: no ``Actor_NN`` folder with a speech file.
    """
    root = find_root(root, _is_root, "Actor_01/ … Actor_24/ with files named like 03-01-05-01-02-01-12.wav")
    clips = (_clip(path, root, info) for folder in _actor_folders(root) for path in audio_files(folder))
    return make_corpus(name, root, info, (clip for clip in clips if clip is not None))


def _actor_folders(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root) if _FOLDER.fullmatch(folder.name)]


def _is_root(folder: Path) -> bool:
    names = (parse_name(path.stem) for actor in _actor_folders(folder) for path in audio_files(actor))
    return any(fields is not None and fields.channel == _SPEECH for fields in names)


def _clip(path: Path, root: Path, info: CorpusInfo) -> Clip | None:
    """Return the clip of a file: unlabelled if its name follows no rule of the corpus, ``None`` for a song."""
    clip_id = path.relative_to(root).as_posix()
    fields = parse_name(path.stem)
    if fields is None:
        return Clip(clip_id, path, speaker=path.parent.name[-2:], label=None)
    if fields.channel == _SONG:
        return None
    field, labels = _LABELS[info.name]
    code = getattr(fields, field)
    return Clip(clip_id, path, fields.actor, labels[code], code)


READERS = tuple(Reader(info, partial(load, info=info)) for info in (INFO, INTENSITY, STATEMENT))
