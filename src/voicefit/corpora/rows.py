"""Tables of separated values, read row by row with the standard library alone."""

import csv
from collections.abc import Sequence
from pathlib import Path

from voicefit.errors import VoicefitError


def read_rows(
    path: Path, columns: Sequence[str], what: str, *, delimiter: str = ",", quoting: bool = True
) -> list[dict[str, str]]:
    """Return the values of ``columns`` in every row, as text without the spaces around it.

    Blank lines are passed over, and values that a row cut short lacks are empty. Every value is text: ``NA`` stays.

    Args:
        path: a table in UTF-8 whose first row names the columns.
        columns: the columns to return; others are not read.
        what: the table in words, for messages.
        delimiter: the character between two values.
        quoting: whether values may be in quotation marks.

    Raises:
        VoicefitError: the file cannot be read as such a table, or has no column of that name.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Not strict, a quotation mark that nothing closes would swallow the rest of the file without a word.
            read = csv.reader(
                file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE, strict=True
            )
            rows = [row for row in read if len(row) > 1 or any(value.strip() for value in row)]
        _check(rows)
    except (OSError, ValueError, csv.Error) as error:
        raise VoicefitError(f"{path}: not readable as {what} ({error})") from error
    missing = [column for column in columns if column not in rows[0]]
    if missing:
        raise VoicefitError(f"{path}: no column {', '.join(missing)}; is this {what}?")
    places = [(column, rows[0].index(column)) for column in columns]
    return [{column: row[at].strip() if at < len(row) else "" for column, at in places} for row in rows[1:]]


def _check(rows: list[list[str]]) -> None:
    if not rows:
        raise ValueError("it is empty")
    for number, row in enumerate(rows[1:], start=1):
        if any(row[len(rows[0]) :]):
            raise ValueError(f"row {number} has more values than there are columns")
