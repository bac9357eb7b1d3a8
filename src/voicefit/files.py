"""Writing whole or not at all: under a temporary name first, then renamed."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voicefit.errors import VoicefitError


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=path.name, suffix=".part", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    os.replace(file.name, path)


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
