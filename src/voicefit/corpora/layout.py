"""What the loaders share: finding the corpus inside the folder given, and its audio files."""

from collections.abc import Callable, Set
from pathlib import Path

from voicefit.audio import AUDIO_SUFFIXES
from voicefit.errors import VoicefitError

UNKNOWN_SPEAKER = "unknown"
"""The speaker of a clip whose file name and folder do not tell."""


def audio_files(folder: Path, pattern: str = "*", suffixes: Set[str] = AUDIO_SUFFIXES) -> list[Path]:
    """The files with one of ``suffixes`` whose path below ``folder`` matches a glob ``pattern``, sorted.

    Hidden files are left out: archives made on a Mac hold a ``._name.wav`` beside every ``name.wav``.
    """
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def subfolders(folder: Path) -> list[Path]:
    """The folders in ``folder``, sorted; none where it may not be read."""
    return sorted(path for path in folder.glob("*") if path.is_dir())


def find_root(root: Path, is_root: Callable[[Path], bool], expected: str) -> Path:
    """The folder that holds the native layout: ``root`` itself, or its one subfolder that does.

    Unpacking an archive often adds a folder of the archive's name, hence the second case.

    Args:
        root: the folder that the user gave.
        is_root: whether a folder holds the native layout.
        expected: the layout in words, for the message.

    Raises:
        VoicefitError: ``root`` is no folder, holds no such layout, or has several subfolders that do.
    """
    if not root.is_dir():
        raise VoicefitError(f"{root}: no such folder; expected one that holds {expected}")
    if is_root(root):
        return root
    below = [folder for folder in subfolders(root) if is_root(folder)]
    if len(below) == 1:
        return below[0]
    if below:
        names = ", ".join(folder.name for folder in below)
        raise VoicefitError(f"{root}: several folders here hold the corpus ({names}); give the path of one of them")
    raise VoicefitError(f"{root}: expected {expected} here")
