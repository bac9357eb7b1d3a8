"""Corpora whose licence lets anybody download them, from the stable address where their authors put them."""

import fnmatch
import hashlib
import http.client
import json
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from voicefit.errors import VoicefitError
from voicefit.system.files import new_directory, require_absent
from voicefit.system.progress import Progress, silent


@dataclass(frozen=True)
class Source:
    """Where a corpus can be had.

    Attributes:
        listing: the address that lists its files with sizes and digests: a record of Zenodo, or a folder of a data set
            on the Hugging Face hub at one commit.
        files: a glob pattern of the names of the files that belong to it.
    """

    listing: str
    files: str


SOURCES = {
    "ravdess": Source("https://zenodo.org/api/records/1188976", "Audio_Speech_Actors_01-24.zip"),
    "cafe": Source("https://zenodo.org/api/records/1478765", "CaFE_48k.zip"),
    "emozionalmente": Source("https://zenodo.org/api/records/12616095", "emozionalmente.zip"),
    "subesco": Source("https://zenodo.org/api/records/4526477", "SUBESCO.zip"),
    "cameo": Source(
        "https://huggingface.co/api/datasets/amu-cai/CAMEO/tree/38e9e968deb4636377e76b28bbb2062f92b898ab/data",
        "*.parquet",
    ),
}
"""Registry name → where the corpus can be had."""

_TIMEOUT_S = 60.0
"""A server that says nothing for so long is given up."""

_BLOCK = 2**20
"""So many bytes are read at a time."""

_MB = 10**6
"""Progress is told in so many bytes."""

_DIGESTS = ("md5:", "sha256:")
"""A digest is of one of these kinds."""

_FAILURES = (OSError, http.client.HTTPException)
"""A connection that fails raises one of these."""


@dataclass(frozen=True)
class _File:
    """A file to download: its name, address and bytes, and its digest as ``md5:…`` or ``sha256:…``."""

    name: str
    address: str
    size: int
    digest: str


def download(name: str, out: Path, source: Source, progress: Progress = silent) -> Path:
    """Download a corpus and unpack it.

    Files are first written to ``OUT.download``, where a later call goes on if this one breaks off. ``out`` appears
    once everything is there, and as its publisher has it by size and digest.

    Args:
        name: the corpus, for messages.
        out: the folder to make.
        source: where the corpus can be had.
        progress: told the millions of bytes.

    Returns:
        ``out``.

    Raises:
        VoicefitError: ``out`` exists, the connection fails, a file is not as published, or the disk has no room.
    """
    require_absent(out)
    parts = out.with_name(f"{out.name}.download")
    parts.mkdir(parents=True, exist_ok=True)
    files = _list_files(name, source)
    _check_room(parts, sum(file.size - _size(parts / file.name) for file in files))
    for file in files:
        _fetch(file, parts / file.name, progress)
    with new_directory(out) as building:
        for file in files:
            if file.name.endswith(".zip"):
                _unpack(parts / file.name, building)
            else:
                os.replace(parts / file.name, building / file.name)
    shutil.rmtree(parts)
    return out


def _list_files(name: str, source: Source) -> list[_File]:
    try:
        with urllib.request.urlopen(source.listing, timeout=_TIMEOUT_S) as answer:
            listing = json.load(answer)
        files = _zenodo(source.listing, listing) if isinstance(listing, dict) else _hub(source.listing, listing)
    except _FAILURES as error:
        raise VoicefitError(f"{source.listing}: {_reason(error)}; is there a connection?") from error
    except (ValueError, KeyError, TypeError) as error:
        raise VoicefitError(f"{source.listing}: this is no list of files ({error!r})") from error
    wanted = [file for file in files if fnmatch.fnmatchcase(file.name, source.files)]
    if not wanted:
        raise VoicefitError(f"{source.listing}: no file of {name} there ({source.files})")
    if unsafe := [file.name for file in wanted if Path(file.name).name != file.name or "\\" in file.name]:
        raise VoicefitError(f"{source.listing}: {unsafe[0]!r} is no name of a file")
    if not all(file.digest.startswith(_DIGESTS) for file in wanted):
        raise VoicefitError(f"{source.listing}: not every file has an MD5 or SHA-256 digest there")
    return wanted


def _zenodo(address: str, record: dict[str, Any]) -> list[_File]:
    base = address.replace("/api/records/", "/records/")
    return [
        _File(file["key"], f"{base}/files/{quote(file['key'])}?download=1", int(file["size"]), file["checksum"])
        for file in record["files"]
    ]


def _hub(address: str, tree: list[dict[str, Any]]) -> list[_File]:
    base = address.replace("/api/datasets/", "/datasets/").replace("/tree/", "/resolve/")
    names = {PurePosixPath(file["path"]).name: file["lfs"] for file in tree if file.get("lfs")}
    return [
        _File(name, f"{base}/{quote(name)}", int(lfs["size"]), f"sha256:{lfs['oid']}") for name, lfs in names.items()
    ]


def _fetch(file: _File, part: Path, progress: Progress) -> None:
    """Make ``part`` the whole file, beginning with what it holds already."""
    if _size(part) > file.size:
        part.unlink()
    try:
        if _size(part) < file.size:
            _receive(file, part, progress)
        problem = "the connection broke off"
    except _FAILURES as error:
        problem = _reason(error)
    if _size(part) != file.size:
        here = f"{_size(part):,} of {file.size:,} bytes are here; the same command resumes there"
        raise VoicefitError(f"{file.address}: {problem}; {here}")
    kind, _, expected = file.digest.partition(":")
    with part.open("rb") as opened:
        found = hashlib.file_digest(opened, kind).hexdigest()
    if found != expected:
        part.unlink()
        raise VoicefitError(f"{file.address}: its {kind} is {found}, {expected} is published; try again")


def _receive(file: _File, part: Path, progress: Progress) -> None:
    request = urllib.request.Request(file.address, headers={"Range": f"bytes={_size(part)}-"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        rest = answer.status == http.HTTPStatus.PARTIAL_CONTENT  # a server may send everything instead
        done = _size(part) if rest else 0
        total = max(file.size // _MB, 1)
        with part.open("ab" if rest else "wb") as opened:
            while block := answer.read(_BLOCK):
                opened.write(block)
                done += len(block)
                progress(f"downloading {file.name}, MB", min(done // _MB, total), total)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            for member in members:
                path = PurePosixPath(member.filename.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts:
                    raise VoicefitError(f"{archive}: {member.filename!r} in it would lie outside its folder")
            _check_room(folder, sum(member.file_size for member in members))
            opened.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise VoicefitError(f"{archive}: it cannot be unpacked ({error})") from error


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise VoicefitError(f"{folder}: {needed / 1e9:.1f} GB are needed here, {free / 1e9:.1f} GB are free")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: BaseException) -> str:
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__
