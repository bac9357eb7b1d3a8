"""MSP-Podcast: ``Labels/labels_consensus.csv`` (or ``.json``) lists the clips, ``Audios/`` holds them."""

import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from voicefit.audio import AUDIO_SUFFIXES
from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, find_root
from voicefit.corpora.rows import read_rows
from voicefit.errors import VoicefitError

EMOTIONS: dict[str, str | None] = {
    "A": "anger",
    "C": "contempt",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "O": "other",
    "S": "sadness",
    "U": "surprise",
    "X": None,  # the annotators did not agree
    "": None,
}
"""The ``EmoClass`` → the label; ``None`` for an unlabelled clip."""

INFO = CorpusInfo(
    name="msp-podcast",
    title="MSP-Podcast",
    language="English",
    licence="academic licence of the MSP lab",
    usage="research",
    homepage="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    citation=(
        "R. Lotfian and C. Busso, Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional "
        "Speech From Existing Podcast Recordings, IEEE Trans. Affective Computing 10(4), 2019"
    ),
)
"""Terms of use. The corpus grows with every release: there are no published counts to compare with."""

INFO_TRAIN = replace(INFO, name="msp-podcast-train", title="MSP-Podcast, Train set")
"""Terms of use of ``msp-podcast-train``, the Train set."""

AUDIO_FOLDERS = ("Audios", "Audio", "audios", "audio")
"""The folder of the clips has one of these names, depending on the release."""

LABEL_FOLDERS = ("Labels", "Label", "labels", "label")
"""The folder of the label file has one of these names, depending on the release."""

LABEL_FILES = tuple(f"labels_{word}.{form}" for form in ("csv", "json") for word in ("consensus", "concensus"))
"""The label file has one of these names, depending on the release; the preferred one is first."""

RATINGS = {"valence": "EmoVal", "arousal": "EmoAct", "dominance": "EmoDom"}
"""The attribute of a clip → the column of its mean ratings, from 1 (negative, calm, weak) to 7."""

COLUMNS = ("FileName", "EmoClass", *RATINGS.values(), "SpkrID", "Split_Set")
"""These columns are read; in JSON, ``FileName`` is the key of an object with the others."""


_WHAT = "the label file of MSP-Podcast"
"""The label file in words, for messages."""


def parse_podcast(file_name: str) -> str:
    """Return the podcast of a clip as a name for a speaker who is not known.

    >>> parse_podcast("MSP-PODCAST_0001_0008.wav"), parse_podcast("take two.wav")
    ('podcast-0001', 'unknown')
    """
    match = re.match(r"MSP-PODCAST_([0-9]+)_", file_name)
    return f"podcast-{match[1]}" if match else UNKNOWN_SPEAKER


def load(name: str, root: Path) -> Corpus:
    """Read all sets of MSP-Podcast whose labels are known; Test3, whose labels are withheld, is left out.

    If the speaker is ``Unknown``, the podcast is taken as the speaker (``podcast-0001``), although several people may
    speak in it. The corpus's own sets are meant to share no speaker: they do not become splits. A listed clip without
    a file is kept, and the check reports it; a file that is not listed is unlabelled. Clip ids are the file names.

    Args:
        name: the user's name for the corpus.
        root: the folder of ``Labels/`` and ``Audios/`` (or ``Label``, ``Audio``, in lower case), or the one
            above it.

    Raises:
        VoicefitError: no labels or no audio here, a damaged label file, or no audio of any clip that it lists.
    """
    root = _find_root(root)
    path, audio = _label_file(root), _folder(root, AUDIO_FOLDERS)
    files = _audio_names(audio)
    listed = _listed_clips(_read_table(path), path, audio, files)
    used = {clip.id for clip in listed}
    unlisted = (file for file in files if file not in used and not file.lower().startswith("msp-podcast_test3_"))
    return make_corpus(
        name, root, INFO, listed + [Clip(file, audio / file, parse_podcast(file), label=None) for file in unlisted]
    )


def load_train(name: str, root: Path) -> Corpus:
    """Read only the Train set of MSP-Podcast; see :func:`load`. Files that are not listed are left out.

    Raises:
        VoicefitError: as :func:`load`, or the label file lists no clip of the Train set.
    """
    root = _find_root(root)
    path, audio = _label_file(root), _folder(root, AUDIO_FOLDERS)
    table = _read_table(path)
    table = [row for row in table if row["Split_Set"].lower() == "train"]
    if not table:
        raise VoicefitError(f"{path}: no clip whose Split_Set is Train")
    return make_corpus(name, root, INFO_TRAIN, _listed_clips(table, path, audio, _audio_names(audio)))


def _find_root(root: Path) -> Path:
    def is_root(folder: Path) -> bool:
        return any((folder / name).is_dir() for name in LABEL_FOLDERS + AUDIO_FOLDERS)

    return find_root(root, is_root, f"Labels/{LABEL_FILES[0]} and Audios/")


def _folder(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise VoicefitError(f"{root / names[0]}: no such folder, nor {', '.join(names[1:])}; was all of it unpacked?")


def _label_file(root: Path) -> Path:
    folder = _folder(root, LABEL_FOLDERS)
    for name in LABEL_FILES:
        if (folder / name).is_file():
            return folder / name
    raise VoicefitError(f"{folder / LABEL_FILES[0]}: no such file, nor {', '.join(LABEL_FILES[1:])}")


def _audio_names(folder: Path) -> list[str]:
    # With 250,000 files, asking for the status of each would take minutes.
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    return sorted(name for name in names if os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES)


def _read_table(path: Path) -> list[dict[str, str]]:
    """Return the label file's columns as stripped text, checked."""
    rows = read_rows(path, COLUMNS, _WHAT) if path.suffix == ".csv" else _read_json(path)
    if not rows:
        raise VoicefitError(f"{path}: lists no clip")
    for number, row in enumerate(rows, start=1):
        name, letter = row["FileName"], row["EmoClass"]
        if not re.fullmatch(r"[^/\\\x00]+", name) or name in (".", ".."):
            raise _wrong(path, number, row, "FileName", "the name of a file")
        if letter not in EMOTIONS:
            raise _wrong(path, number, row, "EmoClass", f"an EmoClass ({', '.join(filter(None, EMOTIONS))})")
        if not row["Split_Set"]:  # the last column
            raise _wrong(path, number, row, "Split_Set", "a set; is the file complete?")
    return rows


def _read_json(path: Path) -> list[dict[str, str]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or not all(isinstance(fields, dict) for fields in data.values()):
            raise ValueError("not an object with an object for each file")
    except (OSError, ValueError, RecursionError) as error:
        raise VoicefitError(f"{path}: not readable as {_WHAT} ({error})") from error
    missing = [column for column in COLUMNS[1:] if not any(column in fields for fields in data.values())]
    if missing:
        raise VoicefitError(f"{path}: no column {', '.join(missing)}; is this {_WHAT}?")
    return [
        {"FileName": name.strip(), **{column: _text(fields.get(column)) for column in COLUMNS[1:]}}
        for name, fields in data.items()
    ]


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _wrong(path: Path, number: int, row: dict[str, str], column: str, expected: str) -> VoicefitError:
    return VoicefitError(f"{path}: {row[column]!r}, column {column} of clip {number}, is not {expected}")


def _rating(path: Path, number: int, row: dict[str, str], column: str) -> float | None:
    text = row[column]
    if text.lower() in ("", "nan"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise _wrong(path, number, row, column, "a number")
    return value


def _listed_clips(table: list[dict[str, str]], path: Path, audio: Path, files: list[str]) -> list[Clip]:
    by_stem = {os.path.splitext(file)[0]: file for file in reversed(files)}
    # The label file names .wav files, whatever their format is.
    names = [by_stem.get(os.path.splitext(row["FileName"])[0], row["FileName"]) for row in table]
    if set(names).isdisjoint(files):
        first = audio / table[0]["FileName"]
        raise VoicefitError(f"{first}: no such file, nor any other of the {len(names)} of {path}")
    return [
        _clip(path, number, row, audio / name) for number, (row, name) in enumerate(zip(table, names, strict=True), 1)
    ]


def _clip(path: Path, number: int, row: dict[str, str], file: Path) -> Clip:
    speaker, letter = row["SpkrID"], row["EmoClass"]
    ratings = {rating: _rating(path, number, row, column) for rating, column in RATINGS.items()}
    return Clip(
        id=file.name,
        path=file,
        speaker=parse_podcast(file.name) if speaker.lower() in ("", "unknown") else speaker,
        label=EMOTIONS[letter],
        native_label=letter,
        valence=ratings["valence"],
        arousal=ratings["arousal"],
        dominance=ratings["dominance"],
    )


READERS = (Reader(INFO, load), Reader(INFO_TRAIN, load_train))
