"""A table of your own: CSV, TSV, JSON lines or Parquet, with a path and a label in each row."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voicefit.audio.find import printable
from voicefit.corpora.columns import Columns, RowError, channel_of, find_columns, seconds_of, split_of, text_of
from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.labels import settle_labels
from voicefit.corpora.left_out import Account
from voicefit.corpora.lhotse import flatten
from voicefit.corpora.parquet import Embedded
from voicefit.corpora.paths import resolve
from voicefit.corpora.splits import SPLITS
from voicefit.corpora.table_rows import SUFFIXES, Rows, is_table, one_line, read_rows
from voicefit.errors import VoicefitError

__all__ = [
    "INFO",
    "READERS",
    "SPLITS",
    "SUFFIXES",
    "Row",
    "is_table",
    "load",
    "load_recording_rows",
    "read_table",
    "settle_rows",
]

INFO = CorpusInfo(
    name="table",
    title="table of clips",
    language="any",
    licence="yours to state",
    usage="unknown",
    homepage="",
    citation="",
    labelled_by="any",
)
"""The registry lists tables of the user's own under this entry."""


@dataclass(frozen=True)
class Row:
    """A row, read.

    Attributes:
        table: its table.
        place: where it is there, as ``row 3``.
        clip: what it says, still without a label.
    """

    table: Path
    place: str
    clip: Clip


def load(name: str, root: Path) -> Corpus:
    """Read a table of clips.

    The columns are ``path`` (relative to the table's folder) and ``label`` (empty: unlabelled), optionally
    ``speaker`` (empty: the corpus's name), ``start`` and ``end`` (seconds; empty: the file's), ``channel`` (from 1;
    empty: all) and ``split`` (``train``, ``validation``, ``test`` or empty). The names that other programs give them
    are known (:data:`voicefit.corpora.columns.NAMES`). Other columns are not read.

    Args:
        name: the user's name for the corpus.
        root: the table's file.

    Raises:
        VoicefitError: the table cannot be read, a column is missing, or a row is wrong; the header is row 1, as in
            a spreadsheet.
    """
    account = Account()
    clips = settle_rows(read_table(name, root, account), account)
    return make_corpus(name, root.parent, INFO, clips, account)


def load_recording_rows(table: Path, account: Account) -> list[Clip]:
    """Return the clips of a table whose labels are not looked at; it need have none. A speaker may be empty.

    Raises:
        VoicefitError: as :func:`load`.
    """
    return settle_rows(read_table("", table, account, labelled=False), account)


def read_table(
    name: str,
    table: Path,
    account: Account,
    split: str | None = None,
    folder: Path | None = None,
    *,
    labelled: bool = True,
) -> list[Row]:
    """Read the rows of a table, for :func:`settle_rows`.

    Args:
        name: the speaker of rows that name none.
        table: the table's file.
        account: takes what is not used.
        split: of rows that name none.
        folder: ids begin there; the table's own if left out.
        labelled: whether labels are read, of which there is a column then.

    Raises:
        VoicefitError: see :func:`load`.
    """
    rows = flatten(read_rows(table))
    columns = find_columns(rows, account, labelled=labelled)
    missing = [what for what in ("path", "label")[: 1 + labelled] if not getattr(columns, what)]
    if missing:
        raise VoicefitError(f"{table}: no column {' and '.join(missing)}; the columns are {', '.join(rows.columns)}")
    repeated = [column for column in vars(columns).values() if column and rows.columns.count(column) > 1]
    if repeated:
        raise VoicefitError(f"{table}: several columns are called {repeated[0]}")
    found = []
    for number, row in rows.rows.items():
        try:
            clip = _clip(name, row, columns, rows, table.parent, folder or table.parent, split)
        except RowError as error:
            raise VoicefitError(f"{table}, {rows.word} {number}: {error}") from None
        found.append(Row(table, f"{rows.word} {number}", clip))
    return found


def settle_rows(rows: list[Row], account: Account) -> list[Clip]:
    """Return the clips of all tables of a corpus, each once and with its label.

    Args:
        rows: of :func:`read_table`.
        account: takes what is not used.

    Raises:
        VoicefitError: a clip is listed with two labels.
    """
    labels = settle_labels({row.clip.native_label for row in rows}, account)
    once = _once(_told_apart(rows, account), account)
    return [replace(row.clip, label=labels.get(row.clip.native_label)) for row in once]


def _told_apart(rows: list[Row], account: Account) -> list[Row]:
    """Recordings inside tables may share a name; such ids get a piece of the digest that their files are named by."""
    paths: dict[str, set[Path]] = defaultdict(set)
    for row in rows:
        paths[row.clip.id].add(row.clip.path)
    shared = {clip_id for clip_id, found in paths.items() if len(found) > 1}
    if shared:
        several = f"{len(shared)} names, the first {min(shared)}, stand" if len(shared) > 1 else f"{min(shared)} stands"
        account.remark(f"{several} for several recordings; they are told apart by what is in them")
    return [
        replace(row, clip=replace(row.clip, id=f"{row.clip.id}~{row.clip.path.stem[:8]}"))
        if row.clip.id in shared
        else row
        for row in rows
    ]


def _once(rows: list[Row], account: Account) -> Iterator[Row]:
    """Each clip once; one that is listed again with another label is an error."""
    first: dict[str, Row] = {}
    for row in rows:
        before = first.setdefault(row.clip.id, row)
        if before is row:
            yield row
        elif before.clip.native_label != row.clip.native_label:
            was, now = (" ".join(one.clip.native_label.split()) or "nothing" for one in (before, row))
            of = "" if row.table == before.table else f" of {before.table.name}"
            raise VoicefitError(
                f"{row.table}: {' '.join(row.clip.id.split())} is listed twice, as {was} in {before.place}{of} and as "
                f"{now} in {row.place}; keep one"
            )
        else:
            account.leave_out(f"{row.place} of {row.table.name}", f"lists {row.clip.id} again")


def _clip(
    name: str, row: dict[str, Any], columns: Columns, rows: Rows, folder: Path, root: Path, split: str | None
) -> Clip:
    for column in filter(None, (columns.path, columns.label)):
        if column not in row and rows.word == "row" and rows.columns.index(column) >= len(row) and row:
            raise RowError(f"{len(row)} values, fewer than the header, which has {len(rows.columns)}")
    path, clip_id = _path(_value(row, columns.path), folder, root)
    start = seconds_of(_value(row, columns.start), columns.start, rows.decimal_comma) or 0.0
    end = seconds_of(_value(row, columns.end), columns.end, rows.decimal_comma)
    length = seconds_of(_value(row, columns.duration), columns.duration, rows.decimal_comma)
    if end is None and length is not None:
        end = start + length
    channel = channel_of(_value(row, columns.channel))
    if end is not None and start >= end:
        raise RowError(f"start ({start:g} s) is not before end ({end:g} s)")
    return Clip(
        id=clip_id + _segment(start, end) + ("" if channel is None else f"#channel-{channel}"),
        path=path,
        speaker=_spelled(text_of(_value(row, columns.speaker))) or name,
        label=None,
        native_label=_label(_value(row, columns.label), rows.features.get(columns.label)),
        start=start,
        end=end,
        split=split_of(_value(row, columns.split)) or split,
        channel=channel,
    )


def _value(row: dict[str, Any], column: str) -> Any:
    """What a row has in a column; nothing if no column says it. Spreadsheets write columns without a name."""
    return row.get(column) if column else None


def _path(value: Any, folder: Path, root: Path) -> tuple[Path, str]:
    """The file of a row, and how it is called."""
    if isinstance(value, Embedded):
        return Path(value), one_line(printable(value.name)) or Path(value).name
    path = resolve(folder, text_of(value))
    return path, printable(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix())


def _label(value: Any, feature: Any) -> str:
    """A label; a number that stands for a name, as Hugging Face's datasets have it, is that name."""
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, list) and isinstance(value, int) and 0 <= value < len(names):
        return str(names[value])
    return _spelled(text_of(value))


def _spelled(text: str) -> str:
    """One way to write letters with accents, of which a Mac and others have two."""
    return unicodedata.normalize("NFC", text)


def _segment(start: float, end: float | None) -> str:
    if start == 0.0 and end is None:
        return ""
    return f"#{start}-{'end' if end is None else end}"


READERS = (Reader(INFO, load),)
