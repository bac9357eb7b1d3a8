"""A table of your own: CSV, TSV or Parquet with the columns ``path`` and ``label``."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.errors import VoicefitError

if TYPE_CHECKING:
    import pandas as pd

INFO = CorpusInfo(
    name="table",
    title="table of clips",
    language="any",
    licence="yours to state",
    usage="unknown",
    homepage="",
    citation="",
)
"""The registry lists tables of the user's own under this entry."""

SUFFIXES = (".csv", ".tsv", ".parquet")
"""Tables with these suffixes can be read."""

REQUIRED = ("path", "label")
"""A table must have these columns."""

OPTIONAL = ("speaker", "start", "end", "split")
"""A table may have these columns."""

SPLITS = ("train", "validation", "test")
"""The column ``split`` may have these values."""


class _RowError(Exception):
    """The error in one row; the caller adds the row's number."""


def load(name: str, root: Path) -> Corpus:
    """Read a table of clips.

    The columns are ``path`` (relative to the table's folder) and ``label`` (empty: unlabelled), optionally
    ``speaker`` (empty: the corpus's name), ``start`` and ``end`` (seconds; empty: the file's) and ``split``
    (``train``, ``validation``, ``test`` or empty). Other columns are not read.

    Args:
        name: the user's name for the corpus.
        root: the table's file.

    Raises:
        VoicefitError: the table cannot be read, a column is missing, or a row is wrong; the header is row 1, as in
            a spreadsheet.
    """
    rows = _read_rows(root)
    clips = []
    for number, row in enumerate(rows, start=2):
        if not any(row.values()):
            continue
        try:
            clips.append(_clip(name, root.parent, row))
        except _RowError as error:
            raise VoicefitError(f"{root}, row {number}: {error}") from None
    return make_corpus(name, root.parent, INFO, clips)


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return all rows as text, an absent value or column as the empty string."""
    if path.suffix.lower() not in SUFFIXES:
        raise VoicefitError(f"{path}: a table's name ends in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise VoicefitError(f"{path}: no such file")
    import pyarrow

    try:
        frame = _read_frame(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise VoicefitError(f"{path}: not readable as a {path.suffix.lower()} table ({error})") from error
    frame.columns = [str(column).strip() for column in frame.columns]
    _check_columns(path, list(frame.columns))
    columns = [column for column in REQUIRED + OPTIONAL if column in frame.columns]
    texts = [[_text(value) for value in frame[column]] for column in columns]
    absent = dict.fromkeys(OPTIONAL, "")
    return [absent | dict(zip(columns, values, strict=True)) for values in zip(*texts, strict=True)]


def _read_frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    frame = pd.read_csv(
        path,
        sep="\t" if path.suffix.lower() == ".tsv" else ",",
        dtype=str,
        keep_default_na=False,  # "NA" and "null" may be labels
        skip_blank_lines=False,  # blank lines count in the numbers of rows
        encoding="utf-8-sig",
    )
    # If the rows are longer than the header, pandas takes the first values as an index.
    if not isinstance(frame.index, pd.RangeIndex):
        raise ValueError("the rows have more values than the header; a value with a separator in it needs quotes")
    return frame


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        raise VoicefitError(f"{path}: no column {' and '.join(missing)}; the columns are {', '.join(columns)}")
    repeated = [column for column in REQUIRED + OPTIONAL if columns.count(column) > 1]
    if repeated:
        raise VoicefitError(f"{path}: several columns are called {repeated[0]}")


def _text(value: object) -> str:
    import pandas as pd

    missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value).strip()


def _clip(name: str, folder: Path, row: dict[str, str]) -> Clip:
    relative = _relative_path(folder, row["path"])
    start = _seconds(row, "start") or 0.0
    end = _seconds(row, "end")
    if end is not None and start >= end:
        raise _RowError(f"start ({start:g} s) is not before end ({end:g} s)")
    if row["split"] and row["split"] not in SPLITS:
        raise _RowError(f"split is {row['split']!r}; it may be {', '.join(SPLITS)} or empty")
    return Clip(
        id=relative + _segment(start, end),
        path=folder / relative,
        speaker=row["speaker"] or name,
        label=to_vocabulary(row["label"]) or None,
        native_label=row["label"],
        start=start,
        end=end,
        split=row["split"] or None,
    )


def _segment(start: float, end: float | None) -> str:
    if start == 0.0 and end is None:
        return ""
    return f"#{start}-{'end' if end is None else end}"


def _relative_path(folder: Path, text: str) -> str:
    """Return the path relative to the table's folder with forward slashes.

    A table may come from another person: it may not name files outside its own folder.
    """
    if not text:
        raise _RowError("path is empty")
    for base in (folder.absolute(), folder.resolve()):
        path = Path(os.path.normpath(base / text))
        if path != base and path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    raise _RowError(f"path {text!r} is not in the table's folder; move the table above its audio files")


def _seconds(row: dict[str, str], column: str) -> float | None:
    """Return the value of a column of times in seconds, ``None`` if empty."""
    if not row[column]:
        return None
    try:
        seconds = float(row[column])
    except ValueError:
        raise _RowError(f"{column} is {row[column]!r}, not a number of seconds") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise _RowError(f"{column} is {row[column]}; it may not be negative or infinite")
    return seconds


READERS = (Reader(INFO, load),)
