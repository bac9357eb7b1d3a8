"""Tables as people have them, as rows of text: CSV with any separator, JSON lines, Parquet."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicefit.audio import RECORDING_SUFFIXES
from voicefit.errors import VoicefitError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
"""Tables with these suffixes can be read; of JSON lines also ``.jsonl.gz``."""

_SEPARATORS = (",", ";", "\t", "|")
_MAX_BYTES = 2**30

csv.field_size_limit(2**27)


@dataclass
class Rows:
    """The rows of a table.

    Attributes:
        columns: their names.
        rows: number → column → value, a text or, of JSON and Parquet, any other; absent values are absent.
        word: what a row is called: row of a table with its header as row 1, line of a file of JSON lines.
        decimal_comma: whether numbers may have a comma, as where semicolons separate.
        features: column → what Hugging Face's ``datasets`` wrote about it.
    """

    columns: list[str]
    rows: dict[int, dict[str, Any]]
    word: str = "row"
    decimal_comma: bool = False
    features: dict[str, Any] = field(default_factory=dict)


def is_table(path: Path) -> bool:
    """Whether a file is called as tables are."""
    return path.name.lower().endswith((*SUFFIXES, ".jsonl.gz"))


def read_rows(path: Path) -> Rows:
    """Read a table.

    Raises:
        VoicefitError: it is absent, or no table that can be read; the message says which row is wrong.
    """
    if not path.is_file():
        raise VoicefitError(f"{path}: no such file")
    if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise VoicefitError(f"{path}: a spreadsheet; save it as CSV UTF-8")
    if not is_table(path):
        raise VoicefitError(f"{path}: a table's name ends in {', '.join(SUFFIXES)}")
    if path.suffix.lower() == ".parquet":
        from voicefit.corpora.parquet import read_parquet

        return read_parquet(path)
    text = _text_of(path)
    return _json_rows(path, text) if ".jsonl" in path.name.lower() else _csv_rows(path, text)


def _text_of(path: Path) -> str:
    """The text of a file in UTF-8 or, as its first bytes tell, UTF-16."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                content = packed.read(_MAX_BYTES)
    except (OSError, EOFError) as error:
        raise VoicefitError(f"{path}: not readable ({getattr(error, 'strerror', None) or error})") from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise VoicefitError(
            f"{path}, row {row}: byte 0x{content[error.start]:02x} is not UTF-8; save the table as UTF-8, in Excel as "
            "'CSV UTF-8'"
        ) from None
    if "\0" in text:
        raise VoicefitError(f"{path}: not readable as a {path.suffix.lower()} table (it holds bytes that are no text)")
    return text


def _csv_rows(path: Path, text: str) -> Rows:
    lines = list(io.StringIO(text, newline=""))
    if not any(line.strip() for line in lines):
        raise VoicefitError(f"{path}: not readable as a {path.suffix.lower()} table (it is empty)")
    separator = _separator(path, lines)
    found: Rows | None = None
    for number, values in _records(path, lines, separator):
        if found is None:
            found = Rows([one_line(value) for value in values], {}, decimal_comma=separator == ";")
            continue
        if not any(value.strip() for value in values):
            continue
        if len(values) > len(found.columns) and any(value.strip() for value in values[len(found.columns) :]):
            raise VoicefitError(
                f"{path}, row {number}: {len(values)} values, more than the header, which has {len(found.columns)}; a "
                "value with a separator in it needs quotation marks"
            )
        found.rows[number] = dict(zip(found.columns, (value.strip() for value in values), strict=False))
    assert found is not None
    return found


def one_line(text: str) -> str:
    """A text as a name of a column or a clip: in one line."""
    return " ".join(text.split())


def _separator(path: Path, lines: list[str]) -> str:
    """What separates the values: what the header has most of; of a tie, what the table's name says."""
    header = next(line for line in lines if line.strip())
    if header.lower().startswith("sep=") and len(header.strip()) == 5:  # Excel's own first line
        lines.remove(header)
        return header.strip()[4]
    named = "\t" if path.suffix.lower() == ".tsv" else ","
    return max(_SEPARATORS, key=lambda sign: (_outside_quotes(header, sign), sign == named))


def _outside_quotes(line: str, sign: str) -> int:
    return sum(part.count(sign) for part in line.split('"')[::2])


def _records(path: Path, lines: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the values of each row; the header is row 1, as in a spreadsheet."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    number, width = 0, 0
    while True:
        first = reader.line_num
        try:
            values = next(reader, None)
        except csv.Error as error:
            if reader.line_num - first > 1:
                raise VoicefitError(_runs_over(path, number + 1, reader.line_num - first)) from None
            words = str(error).replace("'", "").replace(separator, "a separator")
            raise VoicefitError(
                f"{path}, row {number + 1}: not readable as a {path.suffix.lower()} table ({words}); is a quotation "
                "mark missing, or one too many?"
            ) from None
        if values is None:
            return
        number += 1
        width = width or len(values)
        if _swallows(values, separator, width):
            raise VoicefitError(_runs_over(path, number, reader.line_num - first))
        yield number, values


def _runs_over(path: Path, row: int, lines: int) -> str:
    return f"{path}, row {row}: a value runs over {lines} lines; is a quotation mark missing?"


def _swallows(values: list[str], separator: str, width: int) -> bool:
    """Whether a value holds whole rows, as between two stray quotation marks; a text of several lines does not."""
    for value in values:
        for line in value.splitlines()[1:]:
            parts = [part.strip().strip('"') for part in line.split(separator)]
            if len(parts) == width > 1:
                return True
            if len(parts) > 1 and any(Path(part).suffix.lower() in RECORDING_SUFFIXES for part in parts if part):
                return True
    return False


def _is_text(value: Any) -> bool:
    """Whether the texts in a JSON value can be written: its escapes can make halves of characters."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_rows(path: Path, text: str) -> Rows:
    found = Rows([], {}, word="line")
    columns: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise VoicefitError(f"{path}, line {number}: not readable as JSON ({error})") from None
        if not isinstance(value, dict):
            raise VoicefitError(f"{path}, line {number}: a {type(value).__name__}; each line is one JSON object")
        if "\\u" in line and not _is_text(value):
            raise VoicefitError(f"{path}, line {number}: half of a surrogate pair (\\ud800 to \\udfff), no text")
        row = {one_line(key): item for key, item in value.items()}
        columns |= dict.fromkeys(row)
        found.rows[number] = row
    found.columns = list(columns)
    if not found.rows:
        raise VoicefitError(f"{path}: not readable as a .jsonl table (it is empty)")
    return found
