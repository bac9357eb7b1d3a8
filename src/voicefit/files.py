"""Writing whole or not at all: under a temporary name first, then renamed."""

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from voicefit.errors import VoicefitError


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

    Raises:
        VoicefitError: ``path`` exists already and is not an empty folder.
    """
    require_absent(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part"))
    try:
        yield building
        building.chmod(0o755)
        if path.exists():
            path.rmdir()
        building.rename(path)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def require_absent(path: Path) -> None:
    """Refuse an output path that holds something already.

    Raises:
        VoicefitError: ``path`` exists and is not an empty folder.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise VoicefitError(f"{path}: exists already; choose another output or remove it first")
