"""Which column of a table says what: the names that tables of other programs use."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from voicefit.corpora.left_out import Account
from voicefit.corpora.splits import SPLIT_FOLDERS, SPLITS
from voicefit.corpora.table_rows import Rows

_NAMES = {
    "path": "path file file_name filename file_path filepath audio audio_path audio_filepath audio_file wav wav_path "
    "wavfile recording clip",
    "label": "label emotion emotions label_name class category emo labels emotion_label",
    "speaker": "speaker speaker_id spk spk_id spkid speakerid client_id",
    "start": "start offset begin onset start_time start_s begin_time",
    "end": "end end_time end_s finish",
    "duration": "duration length dur",
    "split": "split subset partition",
    "channel": "channel",
}

NAMES = {what: names.split() for what, names in _NAMES.items()}
"""What a clip is made of → the columns that may say it, the likeliest first."""

_CLOCK = re.compile(r"(?:(-?\d+) days? )?(?:\+)?(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")


class RowError(Exception):
    """The error in one row; the caller adds the row's number."""


@dataclass(frozen=True)
class Columns:
    """Which column says what; empty for none."""

    path: str
    label: str
    speaker: str = ""
    start: str = ""
    end: str = ""
    duration: str = ""
    split: str = ""
    channel: str = ""


def find_columns(rows: Rows, account: Account, *, labelled: bool = True) -> Columns:
    """Return the columns of a table.

    One that is not called as Voicefit calls it is noted in the account.

    Args:
        rows: of the table.
        account: takes what a person should know.
        labelled: whether labels are read.
    """
    by_name = {_plain(column): column for column in reversed(rows.columns)}
    found = {what: next((by_name[name] for name in names if name in by_name), "") for what, names in NAMES.items()}
    if found["start"].lower() == "onset" and "offset" in by_name:
        found["end"] = by_name["offset"]
    if not found["start"] or found["end"]:
        found["duration"] = ""  # of the whole file then, or not needed
    if not labelled:
        found["label"] = ""
    for what in ("path", "label"):
        if found[what] and found[what].lower() not in (what, "file_name", "file", "audio_filepath"):
            account.remark(f"the column {found[what]} is taken for the {what}")
    return _fitting(rows, Columns(**found), account)


def meaning(column: str) -> str:
    """What a column of this name may say of a clip, a key of :data:`NAMES`; empty if nothing."""
    return next((what for what, names in NAMES.items() if _plain(column) in names), "")


def _plain(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def _fitting(rows: Rows, columns: Columns, account: Account) -> Columns:
    """Leave out columns that are about something else: of their values, none is one. One wrong value is an error."""
    times = partial(seconds_of, column="", decimal_comma=rows.decimal_comma)
    readers: dict[str, Callable[[Any], Any]] = {"channel": channel_of, "split": split_of}
    for what, read in (readers | dict.fromkeys(("start", "end", "duration"), times)).items():
        column = getattr(columns, what)
        if not column or (column.lower() == what and what != "channel"):
            continue
        values = [row[column] for row in rows.rows.values() if row.get(column) not in (None, "")]
        if values and all(_fails(read, value) for value in values):
            noun = what if what in ("channel", "split") else "time"
            account.remark(f"the column {column} holds {str(values[0])[:40]!r}, which is no {noun}; it is not read")
            columns = replace(columns, **{what: ""})
    return columns


def _fails(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        read(value)
    except RowError:
        return True
    return False


def split_of(value: Any) -> str | None:
    """A split, by any of its names."""
    text = text_of(value)
    if text and text.lower() not in SPLIT_FOLDERS:
        raise RowError(f"split is {text!r}; it may be {', '.join(SPLITS)} or empty")
    return SPLIT_FOLDERS[text.lower()] if text else None


def channel_of(value: Any) -> int | None:
    """The number of a channel, from 1, which may be called left or right."""
    text = text_of(value).lower()
    text = {"left": "1", "right": "2"}.get(text, text)
    if text and not re.fullmatch("[1-9][0-9]?", text):
        raise RowError(f"channel is {text!r}; channels are numbered from 1")
    return int(text) if text else None


def text_of(value: Any) -> str:
    """A value as text; nothing, and what is no number, as the empty text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (list, tuple)):
        if len(value) > 1:
            raise RowError(f"{value!r} are several values; give one")
        return text_of(value[0]) if value else ""
    if isinstance(value, (dict, bytes)):
        raise RowError(f"{str(value)[:40]!r} is no text")
    return str(value).strip()


def seconds_of(value: Any, column: str, decimal_comma: bool) -> float | None:
    """A time in seconds, as a number, as ``0 days 00:00:01.5`` or as ``1:05``; ``None`` if there is none."""
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    text = text_of(value) if not isinstance(value, float) else repr(value)
    if text in ("", "NaT") or (text == "nan" and not isinstance(value, str)):
        return None
    try:
        seconds = float(text.replace(",", ".") if decimal_comma else text)
    except ValueError:
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise RowError(f"{column} is {text!r}, not a number of seconds") from None
        days, hours, minutes, rest = match.groups()
        seconds = 86_400 * int(days or 0) + 3600 * int(hours or 0) + 60 * int(minutes) + float(rest.replace(",", "."))
    if not math.isfinite(seconds) or seconds < 0:
        raise RowError(f"{column} is {text}; it may not be negative or infinite")
    return seconds
