"""`clips.csv` of a run: the audio of every clip when the run began, and what has changed since."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from voicefit.corpora import Clip, Corpus
from voicefit.corpora.same_audio import clip_audio
from voicefit.errors import VoicefitError
from voicefit.system.files import write_text

_COLUMNS = ("corpus", "clip", "speaker", "label", "split", "audio")

_Row = tuple[str, str, str, str]
"""Speaker, label, split, and the digest of the audio."""


def write_clip_table(path: Path, corpora: Iterable[Corpus]) -> None:
    """Write a row for each clip, unless the file holds these rows already; rows of other corpora stay.

    Raises:
        VoicefitError: the table is damaged.
    """
    tables = {**_read(path), **{corpus.name: {clip.id: _row(clip) for clip in corpus.clips} for corpus in corpora}}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, rows in tables.items():
        writer.writerows((name, clip, *row) for clip, row in rows.items())
    if not path.is_file() or path.read_text(encoding="utf-8") != text.getvalue():
        write_text(path, text.getvalue())


def describe_change(path: Path, corpus: Corpus) -> str:
    """Say in what a corpus differs from the table; empty where the table does not know the corpus.

    Args:
        path: the table.
        corpus: with the clips that can be used now.

    Raises:
        VoicefitError: the table is damaged.
    """
    before = _read(path).get(corpus.name, {})
    if not before:
        return ""
    now = {clip.id: _row(clip) for clip in corpus.clips}
    both = [clip for clip in now if clip in before]
    kinds = {
        "have other audio": [clip for clip in both if now[clip][3] != before[clip][3]],
        "have another speaker, label or split": [clip for clip in both if now[clip][:3] != before[clip][:3]],
        "are new": [clip for clip in now if clip not in before],
        "are gone or cannot be used": [clip for clip in before if clip not in now],
    }
    return "; ".join(f"{len(ids)} {what}, the first is {ids[0]}" for what, ids in kinds.items() if ids)


def _row(clip: Clip) -> _Row:
    return clip.speaker, clip.label or "", clip.split or "", clip_audio(clip)


def _read(path: Path) -> Mapping[str, Mapping[str, _Row]]:
    if not path.is_file():
        return {}
    corpora: dict[str, dict[str, _Row]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for corpus, clip, speaker, label, split, audio in list(csv.reader(file))[1:]:
                corpora.setdefault(corpus, {})[clip] = (speaker, label, split, audio)
    except (ValueError, csv.Error) as error:
        raise VoicefitError(f"{path}: is damaged ({error}); remove it, and what changed cannot be told") from error
    return corpora
