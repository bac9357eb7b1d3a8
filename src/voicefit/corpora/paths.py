"""Paths in tables: relative to the table, of Windows, of a Mac, of another machine."""

import os
import re
import unicodedata
from pathlib import Path

from voicefit.corpora.columns import RowError


def resolve(folder: Path, text: str) -> Path:
    """Return the file that a table in ``folder`` means; it may not be there.

    A table may come from another person: it may not name files outside its own folder. Of an absolute path of another
    machine, the end is taken if there is such a file here.

    Raises:
        RowError: the path is empty, or leads out of the folder.
    """
    if not text or "\0" in text:
        raise RowError("path is empty" if not text else f"path {text!r} is no path")
    text = text.removeprefix("file://")
    inside = _inside(folder, text)
    if inside is not None and _is_file(inside):
        return inside
    slashes = text.replace("\\", "/")
    is_absolute = slashes.startswith("/") or re.match(r"[A-Za-z]:/", slashes) is not None
    candidates = [slashes] if not is_absolute else _ends(slashes)
    for candidate in candidates:
        for form in dict.fromkeys(
            (candidate, unicodedata.normalize("NFC", candidate), unicodedata.normalize("NFD", candidate))
        ):
            path = _inside(folder, form)
            if path is not None and _is_file(path):
                return path
    if inside is None or (is_absolute and not text.startswith("/")):
        raise RowError(f"path {text!r} is not in the table's folder; move the table above its audio files")
    found = _by_letters(folder, slashes)
    if found is not None:
        return found
    return inside if "/" in text or "\\" not in text else _inside(folder, slashes) or inside


def _ends(path: str) -> list[str]:
    """The ends of an absolute path, the longest first, down to a folder and a file."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        return []
    return ["/".join(parts[start:]) for start in range(1, len(parts) - 1)]


def _inside(folder: Path, text: str) -> Path | None:
    """The path below the folder, ``None`` if it leads out."""
    for base in (folder.absolute(), folder.resolve()):
        path = Path(os.path.normpath(base / text))
        if path != base and path.is_relative_to(base):
            return folder / path.relative_to(base)
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds what no name may
        return False


def _by_letters(folder: Path, text: str) -> Path | None:
    """A file whose name has the same letters, each part of it written with accents in either way."""
    here = folder
    for part in text.split("/"):
        if part in ("", "."):
            continue
        wanted = unicodedata.normalize("NFC", part)
        if wanted == ".." or not any(ord(letter) > 127 for letter in text):
            return None
        try:
            names = [name for name in os.listdir(here) if unicodedata.normalize("NFC", name) == wanted]
        except OSError:
            return None
        if not names:
            return None
        here = here / names[0]
    return here if _is_file(here) else None
