"""Audio that lies inside a Parquet table, written out once to files in the user's cache folder."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voicefit.audio import AUDIO_SUFFIXES
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
        columns: the other columns to return.

    Raises:
        VoicefitError: no such table, a column is missing, or the disk has no room.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(table) as opened:
            missing = {audio, *columns} - set(opened.schema_arrow.names)
            if missing:
                raise VoicefitError(f"{table}: no column {', '.join(sorted(missing))}")
            folder = _folder(table)
            if not folder.is_dir():
                _write_out(opened, audio, folder)
            rows = opened.read(columns=list(columns)).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        advice = "it takes as much room as the table; VOICEFIT_CACHE names another folder"
        raise VoicefitError(f"{table}: its audio cannot be unpacked to {_cache()} ({error}); {advice}") from error
    files = {int(path.stem): path for path in folder.iterdir()}
    return [row | {"file": files.get(number, folder / f"{number}.wav")} for number, row in enumerate(rows)]


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
                        suffix = Path(sound.get("path") or "").suffix.lower()
                        file = building / f"{number}{suffix if suffix in AUDIO_SUFFIXES else '.wav'}"
                        file.write_bytes(sound["bytes"])
                    number += 1
    except OSError:
        if not folder.is_dir():  # else another process was first
            raise
