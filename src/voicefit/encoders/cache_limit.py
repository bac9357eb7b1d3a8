"""How much disk the front-end cache may take, and what is said of it before it is filled."""

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from voicefit.errors import VoicefitError

LIMIT = "VOICEFIT_CACHE_LIMIT"
"""The environment variable that says how many GB the cache folder may hold; 0 stores nothing."""

ADVICE = f"make room, name another folder with VOICEFIT_CACHE, or store less with {LIMIT} (in GB; 0 stores nothing)"
"""What to do where there is too little room."""

_GB = 10**9


@dataclass(frozen=True)
class CachePlan:
    """What filling a cache comes to.

    Attributes:
        folder: where the cache is.
        clips: how many are not in it yet, and could be.
        bytes: what they take.
        room: bytes that the user's limit leaves; infinite without one.
        free: bytes that the disk has.
    """

    folder: Path
    clips: int
    bytes: int
    room: float
    free: int

    def check(self) -> None:
        """Refuse what the disk has no room for.

        Raises:
            VoicefitError: it has not, and says what to do.
        """
        if min(self.bytes, self.room) > self.free:
            raise VoicefitError(f"the disk is too small for the {self.words()}; {ADVICE}")

    def words(self) -> str:
        """For whoever waits for it, in a line."""
        what = f"front-end cache: {self.clips:,} more clips take {_size(self.bytes)}"
        where = f"{what} in {self.folder}, where {_size(self.free)} are free"
        if self.bytes <= self.room:
            return where
        return f"{where}; {LIMIT} leaves room for {_size(self.room)}, the rest is computed each time it is asked for"


def read_limit() -> int | None:
    """Bytes that the cache folder may hold, or ``None`` where there is no limit.

    Raises:
        VoicefitError: what the variable says is not a number of GB.
    """
    given = os.environ.get(LIMIT)
    if not given:
        return None
    try:
        limit = float(given)
        if not 0 <= limit < math.inf:
            raise ValueError
    except ValueError:
        raise VoicefitError(f"{LIMIT}={given}: give a number of GB, or 0 to store nothing") from None
    return round(limit * _GB)


def bytes_under(folder: Path) -> int:
    """What the files in a folder and below hold."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:  # another process has renamed or removed it meanwhile
                continue
    return total


def free_bytes(folder: Path) -> int:
    """Bytes that the disk has on which a folder is, or will be."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def _size(count: float) -> str:
    unit, name = next(((unit, name) for unit, name in ((_GB, "GB"), (10**6, "MB")) if count >= unit), (10**3, "kB"))
    return f"{count / unit:,.1f} {name}"
