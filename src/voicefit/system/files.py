"""Writing whole or not at all: under a temporary name first, then renamed."""

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from safetensors import safe_open

from voicefit.errors import VoicefitError

_NO_LOCK = (Timeout, OSError, NotImplementedError)
"""What a lock raises that another process holds, or that a file system does not have."""


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that replaces ``path`` in one step when the block ends well, and disappears otherwise.

    Unlike :mod:`tempfile` it leaves the permissions to the umask: others may have to read what was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    try:
        with building.open("xb") as file:
            yield file
        os.replace(building, path)
    except BaseException:
        building.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, UTF-8."""
    with new_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as indented JSON in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes ``path`` when the block ends well, and disappears when it does not.

    What a process that was killed left behind on its way to the same ``path`` disappears as well.

    Raises:
        VoicefitError: ``path`` exists already and is not an empty folder.
    """
    require_absent(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_left_behind(path)
    building = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    with _alive(building):
        try:
            building.mkdir(mode=0o700)
            yield building
            building.chmod(0o755)
            if path.exists():
                path.rmdir()
            building.rename(path)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


@contextlib.contextmanager
def _alive(building: Path) -> Iterator[None]:
    """Hold a lock beside ``building`` while the block runs; the system lets go of it however the process ends."""
    lock = FileLock(building.with_suffix(".lock"))
    with contextlib.suppress(*_NO_LOCK):
        lock.acquire(blocking=False)
    try:
        yield
    finally:
        _let_go(lock)


def _clear_left_behind(path: Path) -> None:
    """Remove the folders in which nobody builds ``path`` any more; nothing where the file system has no locks."""
    name = re.compile(re.escape(f".{path.name}-") + r"[0-9a-f]{32}\.part")
    for left in [entry for entry in path.parent.iterdir() if name.fullmatch(entry.name)]:
        lock = FileLock(left.with_suffix(".lock"))
        with contextlib.suppress(*_NO_LOCK):
            lock.acquire(blocking=False)
            shutil.rmtree(left, ignore_errors=True)
            _let_go(lock)


def _let_go(lock: FileLock) -> None:
    lock.release()
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()


def require_absent(path: Path) -> None:
    """Refuse an output path that holds something already, or where nothing can be written.

    Raises:
        VoicefitError: ``path`` exists and is not an empty folder; or as :func:`require_place`.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise VoicefitError(f"{path}: exists already; choose another output or remove it first")
    require_place(path)


def require_place(path: Path) -> None:
    """Refuse an output path below which nothing can be written, before there is anything to write.

    Raises:
        VoicefitError: the nearest path above it that exists is a file, or may not be written to.
    """
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise VoicefitError(f"{path}: {above} is a file, not a folder; choose another output")
    if not os.access(above, os.W_OK | os.X_OK):
        raise VoicefitError(f"{path}: the folder {above} may not be written to; choose another output")


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata in the header of a safetensors file.

    Raises:
        VoicefitError: not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except Exception as error:  # safetensors raises its own kind, which it does not export everywhere
        raise VoicefitError(f"{path}: is damaged, or not a safetensors file ({error})") from error
