"""Parquet tables, read by pyarrow; recordings inside them, as those of Hugging Face, become files in the cache."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from voicefit.audio import RECORDING_SUFFIXES
from voicefit.corpora.columns import meaning
from voicefit.corpora.table_rows import Rows, one_line
from voicefit.errors import VoicefitError
from voicefit.system.files import default_cache_root, new_file

_BATCH = 256

_MOST_ROWS = 5_000_000
"""A small file can hold billions of equal rows, which would fill the memory."""


def read_parquet(path: Path) -> Rows:
    """Read a Parquet table: the columns that may say something of a clip, and the names of all.

    Raises:
        VoicefitError: pyarrow is not installed, or the table cannot be read.
    """
    pyarrow = import_pyarrow(path)
    try:
        file = pyarrow.parquet.ParquetFile(path)
        schema = file.schema_arrow
        if file.metadata.num_rows > _MOST_ROWS:
            raise VoicefitError(f"{path}: {file.metadata.num_rows:,} rows; {_MOST_ROWS:,} can be read, so split it")
        found = Rows([one_line(name) for name in schema.names], {}, features=_features(schema.metadata or {}))
        # What nobody reads cannot fail or fill the memory: embeddings, transcripts, times that Python has not.
        for batch in file.iter_batches(_BATCH, columns=[name for name in schema.names if meaning(one_line(name))]):
            for row in _plain(batch):
                found.rows[len(found.rows) + 2] = {name: _cell(path, name, value) for name, value in row.items()}
    except unreadable() as error:
        raise VoicefitError(f"{path}: not readable as a .parquet table ({first_line(error)})") from error
    return found


def import_pyarrow(path: Path) -> Any:
    """Return pyarrow, which is not installed everywhere.

    Raises:
        VoicefitError: it is not; the message names the table.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise VoicefitError(f"{path}: Parquet needs pyarrow: pip install pyarrow, or save the table as CSV") from None
    return pyarrow


def unreadable() -> tuple[type[Exception], ...]:
    """What pyarrow raises for damaged files, and for values that Python has no type for, such as far dates."""
    import pyarrow

    return (OSError, ValueError, OverflowError, LookupError, pyarrow.ArrowException)


def first_line(error: Exception) -> str:
    """The first line of an error's words."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """What the library ``datasets`` wrote about the columns."""
    try:
        info = json.loads(metadata.get(b"huggingface", b"{}"))
        features = info["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _plain(batch: Any) -> list[dict[str, Any]]:
    """The rows of a batch; times become seconds."""
    import pyarrow

    columns = []
    for column in batch.columns:
        if pyarrow.types.is_duration(column.type):
            per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
            whole = column.cast(pyarrow.int64()).to_pylist()
            columns.append([None if value is None else value / per_second for value in whole])
        else:
            columns.append(column.to_pylist())
    names = [one_line(name) for name in batch.schema.names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _cell(path: Path, column: str, value: Any) -> Any:
    """A value as it is, but a recording as a file; text that was written as bytes, as Spark does, as text."""
    names_file = meaning(column) == "path"
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            text = value.decode()
            if not names_file or Path(text).suffix.lower() in RECORDING_SUFFIXES:
                return text
    return _embedded(path, value) if names_file else value


def _embedded(path: Path, value: Any) -> Any:
    """A recording inside the table, as a file in the cache; any other value as it is."""
    if isinstance(value, dict) and value.keys() >= {"bytes", "path"} and isinstance(value["bytes"] or b"", bytes):
        content, name = value["bytes"], str(value["path"] or "")
        if not content:
            return name
    elif isinstance(value, bytes):
        content, name = value, ""
    else:
        return value
    folder = default_cache_root() / "unpacked" / "recordings"
    suffix = Path(name).suffix if Path(name).suffix.lower() in RECORDING_SUFFIXES else ""
    file = folder / f"{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
    if not file.is_file():
        try:
            with new_file(file) as out:
                out.write(content)
        except OSError as error:
            raise VoicefitError(
                f"{path}: the recordings inside it cannot be written to {folder} ({error.strerror or error}); set "
                "VOICEFIT_CACHE to a folder with room"
            ) from error
    return Embedded(str(file), name)


class Embedded(str):
    """The path of a recording that was inside a table.

    Attributes:
        name: its name in the table; may be empty.
    """

    name: str

    def __new__(cls, path: str, name: str) -> "Embedded":
        """A text that is a path."""
        made = super().__new__(cls, path)
        made.name = name
        return made
