"""MELD: ``train_sent_emo.csv`` lists the clips, audio extracted from the videos is in ``train_splits/``."""

from collections.abc import Iterator
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root
from voicefit.corpora.rows import read_rows
from voicefit.errors import VoicefitError

INFO = CorpusInfo(
    name="meld",
    title="MELD",
    language="English",
    licence="GPL-3.0; the footage is of Friends",
    usage="unknown",
    homepage="https://affective-meld.github.io/",
    citation=(
        "S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria and R. Mihalcea, MELD: A Multimodal Multi-Party "
        "Dataset for Emotion Recognition in Conversations, ACL 2019"
    ),
    expected_clips=13_708,
    expected_labels={
        "anger": 1607,
        "disgust": 361,
        "fear": 358,
        "happiness": 2308,
        "neutral": 6436,
        "sadness": 1002,
        "surprise": 1636,
    },
)
"""Terms of use and published counts; two of the clips listed have no video that can be played."""

FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
"""The part of the corpus → the release's folder. The parts share speakers: they do not become splits."""

_COLUMNS = ("Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
"""These columns of a table are read."""


def parse_row(speaker: str, emotion: str, dialogue: str, utterance: str) -> tuple[str, str, str] | None:
    """Return the name of the clip without suffix, the speaker and the emotion; ``None`` if the ids are no numbers.

    >>> parse_row("Joey ", "joy", "12", "3")
    ('dia12_utt3', 'Joey', 'joy')
    """
    numbers = dialogue.strip(), utterance.strip()
    if not all(number.isascii() and number.isdigit() for number in numbers):
        return None
    return "dia{}_utt{}".format(*numbers), speaker.strip() or UNKNOWN_SPEAKER, emotion.strip()


def load(name: str, root: Path) -> Corpus:
    """Read MELD. Clip ids begin with ``train``, ``dev`` or ``test``; a file that no table lists is unlabelled.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds the tables ``train_sent_emo.csv``, ``dev_sent_emo.csv`` and
            ``test_sent_emo.csv`` and the folders of audio, or the one above it. A table may also be in the
            folder ``train``, ``dev`` or ``test``, and audio anywhere below this or the release's folder.

    Raises:
        VoicefitError: a table is absent or cannot be read, or there is no audio for it, perhaps because
            the videos were not converted.
    """
    root = find_root(root, lambda folder: _table(folder, "train").is_file(), "train_sent_emo.csv")
    return make_corpus(name, root, INFO, (clip for part in FOLDERS for clip in _part(root, part)))


def _table(root: Path, part: str) -> Path:
    name = f"{part}_sent_emo.csv"
    return root / part / name if (root / part / name).is_file() else root / name


def _part(root: Path, part: str) -> Iterator[Clip]:
    rows = _read_table(_table(root, part))
    folder = _audio_folder(root, part, {stem for stem, _, _ in rows})
    files = audio_files(folder, "**/*")
    by_stem = {path.stem: path for path in reversed(files)}
    used = set()
    for stem, speaker, emotion in rows:
        path = by_stem.get(stem, folder / f"{stem}.wav")
        used.add(path)
        yield Clip(f"{part}/{path.name}", path, speaker, to_vocabulary(emotion) or None, emotion)
    for path in files:
        if path not in used:
            yield Clip(f"{part}/{path.relative_to(folder).as_posix()}", path, UNKNOWN_SPEAKER, label=None)


def _audio_folder(root: Path, part: str, stems: set[str]) -> Path:
    """Return the first folder for the part with audio of one of the listed clips."""
    folders = [root / FOLDERS[part], root / part / FOLDERS[part], root / part]
    for folder in folders:
        if any(path.stem in stems for path in audio_files(folder, "**/*")):
            return folder
    for folder in folders:
        if any(video.stem in stems for video in folder.glob("**/*.mp4")):
            raise VoicefitError(
                f"{folder}: only videos here; extract the audio of every .mp4, "
                "for instance with ffmpeg -i dia0_utt0.mp4 dia0_utt0.wav"
            )
    raise VoicefitError(f"{folders[0]}: expected audio named like dia0_utt0.wav here, as {part}_sent_emo.csv lists it")


def _read_table(path: Path) -> list[tuple[str, str, str]]:
    if not path.exists():
        raise VoicefitError(f"{path}: no such file; MELD has a table each for train, dev and test")
    rows = []
    for number, fields in enumerate(read_rows(path, _COLUMNS, "a table of MELD"), start=1):
        row = parse_row(*(fields[column] for column in _COLUMNS))
        if row is None:
            ids = f"Dialogue_ID {fields['Dialogue_ID']!r}, Utterance_ID {fields['Utterance_ID']!r}"
            raise VoicefitError(f"{path}: row {number}: {ids}")
        rows.append(row)
    return rows


READERS = (Reader(INFO, load),)
