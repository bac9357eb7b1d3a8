"""Reading a store while a sweep may be writing it: the writer is never held up, and nothing needs to be locked."""

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from voicefit.errors import VoicefitError
from voicefit.sweep.store_disk import copy_without_log

_PATIENCE_S = 1.0
"""A writer holds its locks for milliseconds; where they last for longer, locks do not work on that disk."""

_MOST_WAIT_S = 30.0
"""A copy is given up after this long."""

_TRIES = 60
_PAUSE_S = 0.05
"""So often, and so far apart, is a store copied until no record was written meanwhile."""

_NOT_DAMAGED = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PROTOCOL", "SQLITE_READONLY", "SQLITE_PERM")
"""What SQLite says where a disk lacks what it needs, and the file may well be whole."""

_CHANGE_COUNTER = slice(24, 28)
"""The bytes of a store that change with every transaction, unless there is a WAL."""


class StoreReader:
    """Reads a store that is there.

    With a write-ahead log, readers and writer do not see each other. Otherwise each reading is of a copy in memory, so
    that the file is locked for as long as it takes to copy it, and not for as long as it takes to read it. Where that
    cannot be done either, as without locks or shared memory, the file itself is copied, again until it stood still.

    Args:
        path: the store.
    """

    def __init__(self, path: Path):
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection to what has been written so far.

        Raises:
            sqlite3.DatabaseError: the store is damaged.
            VoicefitError: it is written to all the time, and cannot be locked.
        """
        if self._connection is not None:
            yield self._connection
            return
        try:
            connection = _connect(self._path)
            try:
                has_wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                if has_wal:
                    self._connection = connection
                else:
                    with contextlib.closing(connection):
                        connection = _in_memory(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.OperationalError as error:
            if not (getattr(error, "sqlite_errorname", "") or "").startswith(_NOT_DAMAGED):
                raise
            connection = self._copied()
        try:
            yield connection
        finally:
            if connection is not self._connection:
                connection.close()

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _copied(self) -> sqlite3.Connection:
        """Return a copy in memory that was made without SQLite's locks."""
        for attempt in range(_TRIES):
            before = self._state()
            # A journal that stays is that of a writer who died: it is copied too, and SQLite rolls it back.
            has_waited = attempt == _TRIES - 1
            if before[1] and not has_waited:
                time.sleep(_PAUSE_S)
                continue
            with tempfile.TemporaryDirectory() as name:
                copy = copy_without_log(self._path, Path(name))
                if self._state() == before:
                    with contextlib.closing(sqlite3.connect(f"{copy.as_uri()}?nolock=1", uri=True)) as on_disk:
                        return _in_memory(on_disk)
            time.sleep(_PAUSE_S)
        raise VoicefitError(f"{self._path}: is written to all the time on a disk without locks; try again later")

    def _state(self) -> tuple[bytes, int, tuple[int, int]]:
        """Return what changes with every record: a counter in the file, the journal's size, the log's size and time."""
        with self._path.open("rb") as file:
            counter = file.read(_CHANGE_COUNTER.stop)[_CHANGE_COUNTER]
        journal, log = (self._path.with_name(f"{self._path.name}-{end}") for end in ("journal", "wal"))
        stat = log.stat() if log.exists() else None
        return (
            counter,
            journal.stat().st_size if journal.exists() else 0,
            (stat.st_size, stat.st_mtime_ns) if stat else (0, 0),
        )


def _in_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy of a database in memory; a lock is waited for, but not for ever."""
    began, copy = time.monotonic(), sqlite3.connect(":memory:")

    def give_up(*_: int) -> None:
        if time.monotonic() - began > _MOST_WAIT_S:
            raise sqlite3.OperationalError("database is locked")

    try:
        connection.backup(copy, progress=give_up)
    except BaseException:
        copy.close()
        raise
    return copy


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
