"""Files and folders written whole or not at all: under a temporary name first, then renamed."""

import contextlib
import ctypes
import difflib
import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from safetensors import safe_open

from voicefit.errors import VoicefitError

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""A disk that is full, that has no room for this user, that may only be read, or that has no room for such a file."""

_WORKING_DIRECTORY, _RENAME_EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux."""

_LOCK_ERRORS = (OSError, NotImplementedError)
"""A lock raises these when another process holds it, or when the file system has no locks."""


def default_cache_root() -> Path:
    """Return ``$VOICEFIT_CACHE``, or ``voicefit`` in the user's cache folder."""
    return Path(os.environ.get("VOICEFIT_CACHE") or Path.home() / ".cache" / "voicefit")


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that replaces ``path`` in one step when the block ends well, and disappears otherwise.

    Unlike :mod:`tempfile` it leaves the permissions to the umask: other users may have to read the file.
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


def nearest_folder(path: Path) -> Path | None:
    """Return the folder that a path which is not there was perhaps meant to be: one in its place, spelt alike."""
    above = next((folder for folder in path.parents if folder.is_dir()), None)
    if above is None or not os.access(above, os.R_OK):
        return None
    part = path.relative_to(above).parts[0]
    near = difflib.get_close_matches(part, [each.name for each in above.iterdir() if each.is_dir()], n=1)
    return above / near[0] if near else None


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, UTF-8."""
    with new_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))  # as names of files that are no UTF-8


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as indented JSON in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def new_directory(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Make a folder that becomes ``path`` when the block ends well, and disappears otherwise.

    Unfinished folders for the same ``path``, left by processes that were killed, are removed first.

    Args:
        path: the folder to make.
        overwrite: take the place of a folder that is there, whatever it holds; until the block ends, it stays.

    Yields:
        the folder to fill.

    Raises:
        VoicefitError: ``path`` exists already and is not an empty folder, unless ``overwrite``.
    """
    if overwrite:
        path = path.resolve()  # a link stays a link
        require_writable(path)
    else:
        require_absent(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    building = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    with disk_faults(path), _locked(building):
        try:
            building.mkdir(mode=0o700)
            yield building
            building.chmod(0o755)
            _take_place(building, path, overwrite)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


def _take_place(building: Path, path: Path, overwrite: bool) -> None:
    """Rename ``building`` to ``path``; what is there, if it may be overwritten, is removed afterwards."""
    if not (overwrite and path.exists()):
        if path.exists():
            path.rmdir()
        building.rename(path)
    elif _exchange(building, path):
        shutil.rmtree(building)
    else:
        before = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
        path.rename(before)
        try:
            building.rename(path)
        except OSError:
            before.rename(path)
            raise
        shutil.rmtree(before)


def _exchange(one: Path, other: Path) -> bool:
    """Give two folders each other's name in one step, as Linux can; return whether it did."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    return bool(renameat2(_WORKING_DIRECTORY, names[0], _WORKING_DIRECTORY, names[1], _RENAME_EXCHANGE) == 0)


@contextlib.contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Say in one line that a disk is full or may not be written to, whichever library meets it.

    Args:
        path: what is being written.

    Raises:
        VoicefitError: the disk does not take it.
    """
    try:
        yield
    except Exception as error:
        reason = _disk_fault(error)
        if not reason:
            raise
        raise VoicefitError(f"{path}: cannot be written ({reason}); the same command resumes where it can") from error


def _disk_fault(error: BaseException) -> str:
    """Return what keeps a disk from being written to, in the system's words; empty for other errors."""
    if isinstance(error, VoicefitError):
        return ""
    if isinstance(error, OSError) and error.errno in _DISK_FAULTS:
        return str(error.strerror)
    texts = (os.strerror(number) for number in _DISK_FAULTS)  # safetensors has a class and a text of its own
    return next((text for text in texts if text in str(error)), "")


@contextlib.contextmanager
def _locked(building: Path) -> Iterator[None]:
    """Hold a lock beside ``building`` while the block runs; the system releases it even if the process is killed."""
    lock = _lock(building.with_suffix(".lock"))
    with contextlib.suppress(*_LOCK_ERRORS):
        lock.acquire(blocking=False)
    try:
        yield
    finally:
        _release(lock)


def _remove_abandoned(path: Path) -> None:
    """Remove unfinished folders of ``path`` that no process holds; none if the file system has no locks."""
    name = re.compile(re.escape(f".{path.name}-") + r"[0-9a-f]{32}\.part")
    for folder in [entry for entry in path.parent.iterdir() if name.fullmatch(entry.name)]:
        lock = _lock(folder.with_suffix(".lock"))
        with contextlib.suppress(*_LOCK_ERRORS):
            lock.acquire(blocking=False)
            shutil.rmtree(folder, ignore_errors=True)
            _release(lock)


def _lock(path: Path) -> Any:
    from filelock import FileLock  # it brings asyncio, which a prediction need not wait for

    return FileLock(path)


def _release(lock: Any) -> None:
    lock.release()
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()


def require_absent(path: Path) -> None:
    """Refuse an output path that already holds something, or that cannot be written.

    Raises:
        VoicefitError: ``path`` exists and is not an empty folder; or as :func:`require_writable`.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise VoicefitError(f"{path}: exists already; choose another output or remove it first")
    require_writable(path)


def require_writable(path: Path) -> None:
    """Refuse an output path that cannot be written, before any work is done.

    Raises:
        VoicefitError: the nearest parent that exists is a file, or may not be written to.
    """
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise VoicefitError(f"{path}: {parent} is a file, not a folder; choose another output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise VoicefitError(f"{path}: the folder {parent} may not be written to; choose another output")


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata in the header of a safetensors file.

    Raises:
        VoicefitError: not a safetensors file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except Exception as error:  # some versions of safetensors do not export the class that they raise
        raise VoicefitError(f"{path}: is damaged, or not a safetensors file ({error})") from error
