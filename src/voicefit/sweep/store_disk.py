"""How a store is kept on the disk that it is on: which journal can be had there, and what SQLite's errors mean.

SQLite's write-ahead log (WAL) is fastest and lets readers read while a sweep writes. It needs memory that processes
share through a file, and one machine, which network file systems do not give: https://www.sqlite.org/wal.html
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import uuid
from enum import Enum
from pathlib import Path

from voicefit.errors import VoicefitError
from voicefit.system.files import new_file

_NETWORK = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2"),
    *("panfs", "pvfs2", "smb3", "smbfs", "virtiofs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"),
}
"""File systems that several machines may have mounted; a probe by one of them cannot show that."""


_FORMATS = slice(18, 20)
"""The bytes of a store that say whether it is written with a log (2) or without (1)."""


class Journal(Enum):
    """How a store is written."""

    WAL = "wal"
    ROLLBACK = "rollback"
    UNLOCKED = "unlocked"

    @property
    def query(self) -> str:
        """What the URI of a connection needs; the lock of the run stands in for locks that there are not."""
        return "&nolock=1" if self is Journal.UNLOCKED else ""


def find_journal(folder: Path) -> tuple[Journal, str]:
    """Try which journal a folder's disk allows, with a small file beside the store.

    Returns:
        the fastest that works, and why that is not the WAL; empty where it is.

    Raises:
        VoicefitError: nothing can be written there.
    """
    kind = file_system(folder)
    reason = f"{kind} is a network file system"
    if kind not in _NETWORK:
        fault = _try(folder, Journal.WAL)
        if not fault:
            return Journal.WAL, ""
        reason = f"it was tried, and SQLite says: {fault}"
    if not _try(folder, Journal.ROLLBACK):
        return Journal.ROLLBACK, reason
    if fault := _try(folder, Journal.UNLOCKED):
        raise VoicefitError(f"{folder}: no trial store can be kept there ({fault})")
    return Journal.UNLOCKED, "file locks do not work there, so that the lock of the run stands in for them"


def set_journal(connection: sqlite3.Connection, journal: Journal) -> None:
    """Give a connection its journal, whichever its file had before.

    Raises:
        sqlite3.OperationalError: the disk does not allow it.
    """
    wanted = "WAL" if journal is Journal.WAL else "TRUNCATE"
    (found,) = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()
    if found.upper() != wanted:
        raise sqlite3.OperationalError(f"journal mode {found} in place of {wanted}")
    connection.execute("PRAGMA synchronous=NORMAL")


def copy_without_log(path: Path, folder: Path) -> Path:
    """Copy a store that nobody writes, as one without a write-ahead log, which SQLite reads without locks.

    Args:
        path: the store; its log and journal are copied as well.
        folder: where to, on a disk that has locks if there is a log.

    Raises:
        sqlite3.DatabaseError: the store is damaged.
    """
    copy = folder / path.name
    for end in ("", "-wal", "-journal"):
        part = path.with_name(path.name + end)
        if part.exists():
            shutil.copyfile(part, copy.with_name(copy.name + end))
    log = copy.with_name(f"{copy.name}-wal")
    if log.exists() and log.stat().st_size:
        with contextlib.closing(sqlite3.connect(copy, timeout=1)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # else the log needs shared memory
            connection.execute("PRAGMA journal_mode=DELETE")
    elif _has_log(copy):
        with copy.open("r+b") as file:
            file.seek(_FORMATS.start)
            file.write(b"\x01\x01")
    return copy


def drop_log(path: Path) -> None:
    """Turn a store that was written with a log elsewhere into one without, in one step.

    Raises:
        sqlite3.DatabaseError: the store is damaged.
    """
    if not (path.exists() and _has_log(path)):
        return
    with tempfile.TemporaryDirectory() as name:
        copy = copy_without_log(path, Path(name))
        with new_file(path) as file, copy.open("rb") as source:
            shutil.copyfileobj(source, file)
    for end in ("-wal", "-shm"):  # what a log that is left would be read for is in the store now
        path.with_name(path.name + end).unlink(missing_ok=True)


def _has_log(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_FORMATS.stop)[_FORMATS] == b"\x02\x02"


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder, as `mount` names it; empty where that is not known."""
    try:
        device = folder.stat().st_dev
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    wanted, found = f"{os.major(device)}:{os.minor(device)}", ""
    for line in lines:
        left, _, right = line.partition(" - ")
        if left.split()[2] == wanted:
            found = right.split()[0]
    return found


def store_fault(path: Path, error: sqlite3.Error) -> VoicefitError:
    """Return what an error of SQLite means for a store, in words; only damage is called damage."""
    name = getattr(error, "sqlite_errorname", "") or ""
    for kind, words in (
        ("SQLITE_FULL", "the disk is full; finished trials are kept, and the same command resumes"),
        ("SQLITE_READONLY", "may not be written to"),
        ("SQLITE_BUSY", "is locked by another process; try again, or end what holds it"),
        ("SQLITE_PROTOCOL", "is on a disk whose locks do not work"),
        (
            "SQLITE_IOERR",
            "cannot be read or written on this disk; finished trials are kept, and the same command resumes",
        ),
        ("SQLITE_CANTOPEN", "cannot be opened"),
        ("SQLITE_PERM", "may not be opened"),
    ):
        if name.startswith(kind):
            return VoicefitError(f"{path}: {words} ({error}); it was left as it is")
    return VoicefitError(f"{path}: is damaged, or not a trial store ({error}); it was left as it is")


def _try(folder: Path, journal: Journal) -> str:
    """Write a small store, and read it in a second connection; return what keeps that from being done."""
    path = folder / f".probe-{uuid.uuid4().hex}.sqlite"
    uri = f"{path.resolve().as_uri()}?mode=rwc{journal.query}"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0.5)) as writer:
            set_journal(writer, journal)
            with writer:
                writer.execute("CREATE TABLE probe (value)")
                writer.execute("INSERT INTO probe VALUES (1)")
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0.5)) as reader:
                if reader.execute("SELECT value FROM probe").fetchall() != [(1,)]:
                    return "what is written cannot be read"
        return ""
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorname", "") or "").startswith("SQLITE_FULL"):
            raise VoicefitError(f"{folder}: the disk is full") from error
        return str(error)
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                path.with_name(path.name + end).unlink(missing_ok=True)
