"""Digests of files, each read once while it stays as it is."""

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

_TIME_RESOLUTION_NS = 2 * 10**9
"""On any file system, two changes that are so many nanoseconds apart have different times of change."""

_State = tuple[int, int, int, int]

_digests: dict[str, tuple[_State, bytes]] = {}
"""What `stat` said of a file, and its digest: a file may hold thousands of clips, and a sweep has many caches.

The state holds `ctime`, which the system sets: tools that denoise or copy in place may put `mtime` back. Digests are
kept for the life of the process and never on disk, since some network file systems have no `ctime` to go by.
"""


def file_digest(path: Path) -> bytes:
    """Return a digest of a file's bytes, 16 bytes long; empty if it cannot be read.

    A file that changed within two seconds of now is read again next time: it may still be written to.
    """
    try:
        stat = path.stat()
        state = (stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known, digest = _digests.get(str(path), (None, b""))
        if known == state:
            return digest
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:
        return b""
    if abs(time.time_ns() - max(stat.st_ctime_ns, stat.st_mtime_ns)) > _TIME_RESOLUTION_NS:
        _digests[str(path)] = (state, digest)
    return digest


def combined_digest(parts: Iterable[bytes]) -> str:
    """Return 32 hexadecimal digits that stand for byte strings in their order."""
    combined = hashlib.blake2b(digest_size=16)
    for part in parts:
        combined.update(len(part).to_bytes(8, "big") + part)
    return combined.hexdigest()
