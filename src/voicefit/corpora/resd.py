"""RESD, Russian Emotional Speech Dialogs: ``train.csv`` lists the clips of ``train/``, or a Parquet table holds them.

Facts are from its card (``Aniemore/resd`` on the Hugging Face hub), and the reader and the list of its files of
EmoBox (``emo-box/EmoBox``).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root
from voicefit.corpora.rows import read_rows
from voicefit.corpora.unpack import unpack
from voicefit.errors import VoicefitError

INFO = CorpusInfo(
    name="resd",
    title="RESD",
    language="Russian",
    licence="MIT",
    usage="unrestricted",
    homepage="https://huggingface.co/datasets/Aniemore/resd",
    citation="Aniemore, Russian Emotional Speech Dialogs, doi:10.57967/hf/1272",
    expected_clips=1396,
)
"""Terms of use and published counts."""

PARTS = ("train", "test")
"""The release's parts. Whether they share actors is not known: they do not become splits."""

COLUMNS = ("path", "emotion")
"""These columns of a table are read."""

_TABLE = re.compile(rf"({'|'.join(PARTS)})-[0-9]{{5}}-of-[0-9]{{5}}(?:-[0-9a-f]+)?")
"""The name of a Parquet table without suffix, as the hub has it: its part and place, sometimes with a digest."""


def parse_dialogue(path: str) -> str:
    """Return the dialogue of a clip as a name for its speaker.

    Two actors speak in a dialogue, each in one emotion. Who they are is not said.

    >>> parse_dialogue("happiness_enthusiasm_32/32_happiness_enthusiasm_h_120.wav")
    'dialogue-32'
    """
    match = re.match(r"([0-9]+)_", Path(path).name)
    return f"dialogue-{match[1]}" if match else UNKNOWN_SPEAKER


def load(name: str, root: Path) -> Corpus:
    """Read RESD. The dialogue is taken as the speaker, although two people speak in it.

    A listed clip without a file is kept, and the check reports it; a file that is not listed is unlabelled.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds ``train.csv``, ``test.csv``, ``train/`` and ``test/``, or tables like
            ``train-00000-of-00001.parquet``, whose audio is then unpacked; or the folder above it.

    Raises:
        VoicefitError: no table or no folder of a part, a table that cannot be read, or no room for its audio.
    """
    expected = "train.csv, test.csv, train/ and test/, or tables like train-00000-of-00001.parquet"
    root = find_root(root, lambda folder: (folder / "train.csv").is_file() or bool(_tables(folder)), expected)
    if tables := _tables(root):
        return make_corpus(name, root, INFO, (clip for part, table in tables for clip in _unpacked(part, table)))
    return make_corpus(name, root, INFO, (clip for part in PARTS for clip in _part(root, part)))


def _tables(folder: Path) -> list[tuple[str, Path]]:
    """Return the Parquet tables of a folder, each with its part."""
    paths = sorted(folder.glob("*.parquet"))
    return [(match[1], path) for path in paths if (match := _TABLE.fullmatch(path.stem))]


def _unpacked(part: str, table: Path) -> Iterator[Clip]:
    for row in unpack(table, "speech", COLUMNS):
        path, emotion = row["path"] or "", row["emotion"] or ""
        label = to_vocabulary(emotion) or None
        yield Clip(f"{part}/{path}", row["file"], parse_dialogue(path), label, emotion)


def _part(root: Path, part: str) -> Iterator[Clip]:
    folder, table = root / part, root / f"{part}.csv"
    if not folder.is_dir():
        raise VoicefitError(f"{folder}: no such folder; {table.name} lists its clips: was all of it unpacked?")
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in audio_files(folder, "**/*")}
    for row in read_rows(table, COLUMNS, "a table of RESD"):
        below = os.path.normpath(row["path"])
        if below.startswith("..") or os.path.isabs(below) or not Path(below).suffix:
            raise VoicefitError(f"{table}: {row['path']!r} is no path of a clip")
        path = files.pop(Path(below).with_suffix("").as_posix(), folder / below)
        emotion = row["emotion"]
        label = to_vocabulary(emotion) or None
        yield Clip(path.relative_to(root).as_posix(), path, parse_dialogue(below), label, emotion)
    for path in files.values():
        yield Clip(path.relative_to(root).as_posix(), path, parse_dialogue(path.name), label=None)


READERS = (Reader(INFO, load),)
