"""How much disk the front-end cache may take, and what is reported before it is filled."""

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from voicefit.errors import VoicefitError

LIMIT = "VOICEFIT_CACHE_LIMIT"
"""This environment variable limits the cache folder, in GB; 0 stores nothing."""

ADVICE = f"make room, name another folder with VOICEFIT_CACHE, or store less with {LIMIT} (in GB; 0 stores nothing)"
"""This advice ends every message about too little room."""

_GB = 10**9
"""A gigabyte has so many bytes."""


@dataclass(frozen=True)
class CachePlan:
    """The disk space that filling a cache needs.

    Attributes:
        folder: the folder of the cache.
        clips: the number of readable clips that are not in it yet.
        bytes: the bytes that they need.
        room: the bytes that the user's limit leaves; infinite without a limit.
        free: the bytes that are free on the disk.
    """

    folder: Path
    clips: int
    bytes: int
    room: float
    free: int

    def check(self) -> None:
        """Refuse to fill a cache that the disk has no room for.

        Raises:
            VoicefitError: the disk is too small.
        """
        if min(self.bytes, self.room) > self.free:
            raise VoicefitError(f"the disk is too small for the {self.words()}; {ADVICE}")

    def words(self) -> str:
        """Return the plan in a line, for the person who waits for it."""
        need = f"front-end cache: {self.clips:,} more clips take {_size(self.bytes)}"
        place = f"{need} in {self.folder}, where {_size(self.free)} are free"
        if self.bytes <= self.room:
            return place
        return f"{place}; {LIMIT} leaves room for {_size(self.room)}, the rest is computed each time it is asked for"


def read_limit() -> int | None:
    """Return the bytes that the cache folder may hold, or ``None`` without a limit.

    Raises:
        VoicefitError: the environment variable is not a number of GB.
    """
    text = os.environ.get(LIMIT)
    if not text:
        return None
    try:
        limit = float(text)
        if not 0 <= limit < math.inf:
            raise ValueError
    except ValueError:
        raise VoicefitError(f"{LIMIT}={text}: give a number of GB, or 0 to store nothing") from None
    return round(limit * _GB)


def bytes_under(folder: Path) -> int:
    """Return the bytes of all files in a folder and its subfolders."""
    total = 0
    for subfolder, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(subfolder, name)).st_size
            except FileNotFoundError:  # another process has renamed or removed it
                continue
    return total


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _size(count: float) -> str:
    unit, name = next(((unit, name) for unit, name in ((_GB, "GB"), (10**6, "MB")) if count >= unit), (10**3, "kB"))
    return f"{count / unit:,.1f} {name}"
