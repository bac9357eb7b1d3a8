"""What files hold, each read once while it stays as it is: digests, and lengths of recordings."""

import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, cast

_TIME_RESOLUTION_NS = 2 * 10**9
"""On any file system, two changes that are so many nanoseconds apart have different times of change."""

_Content = TypeVar("_Content")

_State = tuple[int, int, int, int]

Known = dict[Callable[[Path], Any], tuple[_State, Any]]
"""What read a file → what `stat` said of the file then, and what was read."""

_known: dict[str, Known] = {}
"""Path → what is known of the file: it may hold thousands of clips, and a sweep has many caches.

The state holds `ctime`, which the system sets: tools that denoise or copy in place may put `mtime` back. All is
kept for the life of the process and never on disk, since some network file systems have no `ctime` to go by.
"""


def read_once(path: Path, read: Callable[[Path], _Content]) -> _Content:
    """Return what ``read`` tells of a file, and read it again only after it has changed.

    A file that changed within two seconds of now is read again next time: it may still be written to.

    Raises:
        OSError: the file is not there, or what ``read`` raises.
    """
    stat = path.stat()
    state = (stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    before, kept = known_of(path).get(read, (None, None))
    if before == state:
        return cast("_Content", kept)
    content = read(path)
    if abs(time.time_ns() - max(stat.st_ctime_ns, stat.st_mtime_ns)) > _TIME_RESOLUTION_NS:
        learn(path, {read: (state, content)})
    return content


def known_of(path: Path) -> Known:
    """Return what is known of a file."""
    return _known.get(str(path), {})


def learn(path: Path, known: Known) -> None:
    """Take over what another process knows of a file."""
    if known:
        _known.setdefault(str(path), {}).update(known)


def file_digest(path: Path) -> bytes:
    """Return a digest of a file's bytes, 16 bytes long; empty if it cannot be read."""
    try:
        return read_once(path, _digest_of)
    except OSError:
        return b""


def _digest_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def combined_digest(parts: Iterable[bytes]) -> str:
    """Return 32 hexadecimal digits that stand for byte strings in their order."""
    combined = hashlib.blake2b(digest_size=16)
    for part in parts:
        combined.update(len(part).to_bytes(8, "big") + part)
    return combined.hexdigest()
