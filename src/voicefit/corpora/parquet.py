"""Parquet tables, read by pyarrow; recordings inside them, as those of Hugging Face, become files in the cache."""

import hashlib
import json
from pathlib import Path
from typing import Any

from voicefit.corpora.table_rows import Rows
from voicefit.errors import VoicefitError
from voicefit.system.files import default_cache_root, new_file

_BATCH = 256


def read_parquet(path: Path) -> Rows:
    """Read a Parquet table.

    Raises:
        VoicefitError: pyarrow is not installed, or the table cannot be read.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise VoicefitError(f"{path}: Parquet needs pyarrow: pip install pyarrow, or save the table as CSV") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
        features = _features(file.schema_arrow.metadata or {})
        found = Rows([str(name).strip() for name in file.schema_arrow.names], {}, features=features)
        for batch in file.iter_batches(_BATCH):
            for row in _plain(batch):
                found.rows[len(found.rows) + 2] = {name: _embedded(path, value) for name, value in row.items()}
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise VoicefitError(f"{path}: not readable as a .parquet table ({str(error).splitlines()[0]})") from error
    return found


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
    names = [str(name).strip() for name in batch.schema.names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _embedded(path: Path, value: Any) -> Any:
    """A recording inside the table, as a file in the cache; any other value as it is."""
    if isinstance(value, dict) and value.keys() >= {"bytes", "path"}:
        content, name = value["bytes"], str(value["path"] or "")
        if not content:
            return name
    elif isinstance(value, bytes):
        content, name = value, ""
    else:
        return value
    folder = default_cache_root() / "unpacked" / "recordings"
    suffix = Path(name).suffix if len(Path(name).suffix) < 8 else ""
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
