"""Audio that lies inside a Parquet table, written out once to files in the user's cache folder."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voicefit.audio import AUDIO_SUFFIXES
from voicefit.corpora.parquet import first_line, import_pyarrow, unreadable
from voicefit.errors import VoicefitError
from voicefit.system.files import default_cache_root, new_directory

_BATCH = 64
"""So many clips are in memory at a time."""


def unpack(table: Path, audio: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a Parquet table, with ``file``: the file that holds the row's audio.

    The audio is in a column of objects with ``bytes`` and ``path``, as ``datasets`` writes it. It is written to
    ``unpacked`` in ``$VOICEFIT_CACHE`` or in the user's cache folder, as large as the table, and stays there: a table
    that has not changed since is not written out again. A row without audio has a file that does not exist.

    Args:
        table: the Parquet file.
        audio: its column of audio.
        columns: the other columns to return, as text.

    Raises:
        VoicefitError: no such table, a column is missing or holds something else, or the disk has no room.
    """
    pyarrow = import_pyarrow(table)
    try:
        with pyarrow.parquet.ParquetFile(table) as opened:
            _require(table, opened.schema_arrow, audio, columns)
            folder = _folder(table)
            if not folder.is_dir():
                _write_out(opened, audio, folder)
            rows = opened.read(columns=list(columns)).to_pylist()
    except unreadable() as error:
        advice = "it takes as much room as the table; VOICEFIT_CACHE names another folder"
        words = f"its audio cannot be unpacked to {_cache()} ({first_line(error)})"
        raise VoicefitError(f"{table}: {words}; {advice}") from error
    files = {int(path.stem): path for path in folder.iterdir()}
    texts = [{name: None if value is None else str(value) for name, value in row.items()} for row in rows]
    return [row | {"file": files.get(number, folder / f"{number}.wav")} for number, row in enumerate(texts)]


def _require(table: Path, schema: Any, audio: str, columns: Sequence[str]) -> None:
    """Raise unless the columns are there once, one with audio and the others with text or numbers."""
    from pyarrow import types

    missing = {audio, *columns} - set(schema.names)
    if missing:
        raise VoicefitError(f"{table}: no column {', '.join(sorted(missing))}")
    for name in (audio, *columns):
        if schema.names.count(name) > 1:
            raise VoicefitError(f"{table}: several columns are called {name}")
        kind = schema.field(name).type
        if name == audio:
            inside = {field.name: field.type for field in kind} if types.is_struct(kind) else {}
            fits = "bytes" in inside and types.is_binary(inside["bytes"])
        else:
            fits = any(fit(kind) for fit in (types.is_string, types.is_integer, types.is_dictionary, types.is_null))
        if not fits:
            raise VoicefitError(f"{table}: column {name} holds {kind}, not {'audio' if name == audio else 'text'}")


def _folder(table: Path) -> Path:
    """Return the folder for a table as it is now."""
    state = table.stat()
    key = hashlib.sha256(f"{table.resolve()}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()[:16]
    return _cache() / f"{table.stem}-{key}"


def _cache() -> Path:
    return default_cache_root() / "unpacked"


def _write_out(opened: Any, audio: str, folder: Path) -> None:
    try:
        with new_directory(folder) as building:
            number = 0
            for batch in opened.iter_batches(batch_size=_BATCH, columns=[audio]):
                for sound in batch.column(0).to_pylist():
                    if sound and sound.get("bytes"):
                        # Nothing of the path but its suffix is used: a table may come from another person.
                        suffix = Path(str(sound.get("path") or "")).suffix.lower()
                        file = building / f"{number}{suffix if suffix in AUDIO_SUFFIXES else '.wav'}"
                        file.write_bytes(sound["bytes"])
                    number += 1
    except OSError:
        if not folder.is_dir():  # else another process was first
            raise
