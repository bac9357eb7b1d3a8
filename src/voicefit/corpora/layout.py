"""Functions that readers share: they find the corpus inside the given folder, and its audio files."""

from collections.abc import Callable, Set
from fnmatch import fnmatchcase
from pathlib import Path

from voicefit.audio import AUDIO_SUFFIXES
from voicefit.audio.find import walk
from voicefit.errors import VoicefitError

UNKNOWN_SPEAKER = "unknown"
"""The speaker of a clip whose file name and folder do not name one."""


def audio_files(folder: Path, pattern: str = "*", suffixes: Set[str] = AUDIO_SUFFIXES) -> list[Path]:
    """Return the files with one of ``suffixes`` in a folder, sorted.

    Links are followed, and those to files that are not there are among them: reading them says so. Hidden files are
    left out: archives made on a Mac hold a ``._name.wav`` beside every ``name.wav``.

    Args:
        folder: the folder.
        pattern: a glob pattern: ``*`` is what lies in the folder, ``**/*`` what lies anywhere below it.
        suffixes: in lower case.
    """
    wanted = tuple(pattern.split("/"))
    files = (path for path in walk(folder, None if "**" in wanted else len(wanted)) if path.suffix.lower() in suffixes)
    return sorted(path for path in files if _matches(path.relative_to(folder).parts, wanted))


def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether the parts of a path match those of a glob pattern; ``**`` stands for any number of folders."""
    if not wanted or not parts:
        return not wanted and not parts
    if wanted[0] == "**":
        return _matches(parts, wanted[1:]) or _matches(parts[1:], wanted)
    return fnmatchcase(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in ``folder``, sorted; none if it may not be read."""
    return sorted(path for path in folder.glob("*") if path.is_dir())


def find_root(root: Path, is_root: Callable[[Path], bool], expected: str) -> Path:
    """Return the folder that holds the native layout: ``root`` itself, or its one subfolder that does.

    The second case is common, since unpacking an archive often adds a folder.

    Args:
        root: the folder that the user gave.
        is_root: reports whether a folder holds the native layout.
        expected: the layout in words, for the message.

    Raises:
        VoicefitError: ``root`` is no folder, holds no such layout, or has several subfolders that do.
    """
    if not root.is_dir():
        raise VoicefitError(f"{root}: no such folder; expected one that holds {expected}")
    if is_root(root):
        return root
    candidates = [folder for folder in subfolders(root) if is_root(folder)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(folder.name for folder in candidates)
        raise VoicefitError(f"{root}: several folders here hold the corpus ({names}); give the path of one of them")
    raise VoicefitError(f"{root}: expected {expected} here")
