"""Finding recordings in folders: links are followed, names are not trusted, and what is not taken is told."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from voicefit.audio.kinds import is_recording
from voicefit.audio.limits import STDIN
from voicefit.errors import VoicefitError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


AUDIO_SUFFIXES = frozenset(f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW") | _words(
    ".opus .oga .aif .aifc .snd .sph .mp2 .mpga .gsm .wave .bwf"
)
"""Files with these suffixes, in lower case, may be readable by libsndfile.

Raw samples are left out: they do not tell their rate or number of channels.
"""

OTHER_SUFFIXES = _words(
    ".3ga .3gp .3gpp .aac .ac3 .amr .ape .asf .avi .awb .dss .flv .m4a .m4b .m4r .m4v .mka .mkv .mov .mp4 .mpc .qcp "
    ".qta .silk .slk .spx .tta .weba .webm .wma .wmv .wv"
)
"""Recordings with these suffixes, in lower case, are decoded by FFmpeg, if PyAV is installed."""

RECORDING_SUFFIXES = AUDIO_SUFFIXES | OTHER_SUFFIXES
"""Recordings have these suffixes, in lower case, whether they can be read or not."""

_UNFINISHED = _words(".crdownload .download .opdownload .part .partial .!ut .tmp")
"""Programs that download give files these suffixes until they are done."""

_HEADERLESS = _words(".raw .pcm .sln .sln16 .ul .ulaw .al .alaw .vox .g722 .g729 .g711")
"""Files of telephone exchanges and sound cards, which hold samples and nothing else."""

_COMPANIONS = _words(
    ".txt .csv .tsv .json .jsonl .md .textgrid .lab .xml .html .pdf .png .jpg .jpeg .gif .svg .py .ipynb .parquet "
    ".xlsx .xls .docx .zip .npy .npz .pt .yaml .yml .toml .ini .log .srt .vtt .eaf .db .sqlite .m3u .cue .trn .dvc"
)
"""Files with these suffixes lie beside recordings and are none; they are not opened."""

_OF_THE_SYSTEM = frozenset(
    {"@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
"""Folders of network drives and operating systems."""

_OWN = frozenset({"Thumbs.db", "desktop.ini", "Icon\r"})


@dataclass
class Found:
    """What is in a folder.

    Attributes:
        recordings: sorted.
        left_out: file or folder → why it is not among them, and what to do.
        others: other files, which are no recordings.
        folders: all folders, sorted.
    """

    recordings: list[Path] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def find_audio(paths: Iterable[Path], *, stdin: bool = False) -> list[Path]:
    """List audio files: files as given, and the recordings anywhere in folders, sorted; with ``stdin`` also ``-``.

    Links are followed. Files that cannot be read are among them; :func:`voicefit.audio.load_waveform` refuses these.

    Raises:
        VoicefitError: a path does not exist, or there is no audio file at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = look_into(path)
            files += sorted([*found.recordings, *found.left_out])
        elif path.exists() or path.is_symlink() or (stdin and path == STDIN):
            files.append(path)
        else:
            raise VoicefitError(f"{path}: no such file or folder")
    if not files:
        raise VoicefitError(f"{', '.join(map(str, paths))}: no audio file here")
    return files


def look_into(folder: Path, depth: int | None = None) -> Found:
    """Find the recordings below a folder, by their names or, if those say nothing, by their first bytes.

    Args:
        folder: the folder.
        depth: how many folders deep; 1 is what lies in ``folder`` itself, ``None`` is everything.
    """
    found = Found()
    for path in walk(folder, depth, found.folders, found.left_out):
        suffix = path.suffix.lower()
        if suffix in RECORDING_SUFFIXES:
            found.recordings.append(path)
        elif words := unusable(path):
            found.left_out[path] = words
        elif path.is_symlink() and not path.exists():  # of a folder, or of a recording without a suffix
            found.left_out[path] = f"a link to {os.readlink(path)}, which is not there"
        elif suffix not in _COMPANIONS and _sounds(path):
            found.recordings.append(path)
        elif path.name not in _OWN:
            found.others.append(path)
    found.recordings.sort()
    found.folders.sort()
    return found


def walk(
    folder: Path,
    depth: int | None = None,
    folders: list[Path] | None = None,
    closed: dict[Path, str] | None = None,
) -> Iterator[Path]:
    """Yield the files below a folder, also behind links, and links to files that are not there; no hidden ones.

    A folder is entered again if two links lead to it, and not if it is its own ancestor.

    Args:
        folder: the folder.
        depth: how many folders deep.
        folders: takes the folders that were entered.
        closed: takes the folders that cannot be read, and why.
    """
    yield from _walk(os.fspath(folder), depth, folders, closed, frozenset())


def _walk(
    folder: str,
    depth: int | None,
    folders: list[Path] | None,
    closed: dict[Path, str] | None,
    above: frozenset[str],
) -> Iterator[Path]:
    here = os.path.realpath(folder)
    if here in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        if closed is not None:
            closed[Path(folder)] = f"a folder that cannot be read ({error.strerror or error})"
        return
    for entry in entries:
        if entry.name.startswith("."):
            if re.fullmatch(r"\..+\.icloud", entry.name):
                yield Path(entry.path)
        elif not _is_folder(entry):
            yield Path(entry.path)
        elif entry.name not in _OF_THE_SYSTEM and depth != 1:
            if folders is not None:
                folders.append(Path(entry.path))
            yield from _walk(entry.path, depth and depth - 1, folders, closed, above | {here})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, or where nobody may look
        return False


def unusable(path: Path) -> str:
    """Why a file is no recording that can be used, by its name, though a person may take it for one; else empty."""
    suffix = path.suffix.lower()
    if suffix in _UNFINISHED:
        return "a download that is not finished; finish it, or rename it if it is"
    if suffix == ".icloud":
        return "in iCloud, not on this machine; download it"
    if suffix in _HEADERLESS and not _sounds(path):
        return "samples without a header, which does not tell their rate; convert it to WAV, as by sox"
    if suffix == ".dvc":
        return "a DVC pointer, not the recording itself; run `dvc pull`" if path.stem.count(".") else ""
    return ""


def _sounds(path: Path) -> bool:
    try:
        with path.open("rb", buffering=0) as file:
            return is_recording(file)
    except OSError:
        return False


def count_kinds(paths: Iterable[Path]) -> str:
    """Say how many files of which kinds there are.

    >>> count_kinds([Path("a.txt"), Path("b.txt"), Path("README")])
    '2 .txt, 1 without a suffix'
    """
    counts = Counter(path.suffix.lower() or "without a suffix" for path in paths)
    return ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())


def printable(path: str | os.PathLike[str]) -> str:
    r"""A path as text that can be written anywhere: bytes that are no UTF-8, as of old archives, become ``\xfc``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
