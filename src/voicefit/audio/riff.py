"""WAV and AIFF whose headers do not tell how much they hold: of recorders that were stopped, and joined files."""

import struct
from collections.abc import Iterator
from io import SEEK_END
from typing import BinaryIO, Literal

from voicefit.audio.part import Part, cut_at

_TRAILER = 4096
"""Fewer bytes than this behind the samples are somebody's note, not samples."""

_MOST_CHUNKS = 10_000
_Order = Literal["little", "big"]
_RIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64")
MPEG = (0x50, 0x55)
"""A WAV with one of these codes holds MPEG layer II or III."""


def riff_parts(file: BinaryIO, size: int) -> list[Part]:
    """The WAVs that were joined, each with its length in its header; none if the file is one that has it."""
    joined = list(_joined(file, size))
    if joined:
        return cut_at(file, joined, size)
    samples = _samples(file, size)
    if samples is None:
        return []
    start, length, order = samples
    file.seek(0)
    header = bytearray(file.read(start))
    header[:4] = b"RIFX" if order == "big" else b"RIFF"
    header[4:8] = min(start + length - 8, 0xFFFFFFFF).to_bytes(4, order)
    header[start - 4 :] = min(length, 0xFFFFFFFF).to_bytes(4, order)
    return [Part(file, start, size, bytes(header))]


def mpeg_part(file: BinaryIO, size: int) -> Part | None:
    """The MPEG frames of a WAV that holds them."""
    code = 0
    for name, start, length, order in _chunks(file, size):
        if name == b"fmt ":
            file.seek(start)
            code = int.from_bytes(file.read(2), order)
        if name == b"data":
            return (
                Part(file, start, size if _is_unknown(length) else min(size, start + length)) if code in MPEG else None
            )
    return None


def has_fitting_notes(file: BinaryIO) -> bool:
    """Whether the notes in a WAV or AVI fit into it: FFmpeg takes as much memory for them as they say they need."""
    size = file.seek(0, SEEK_END)
    for name, start, length, _ in _chunks(file, size):
        file.seek(start)
        if name == b"LIST" and start + length > size + 1 and file.read(4) == b"INFO":
            return False
    return True


def _is_unknown(length: int) -> bool:
    return length in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF + 1)


def _chunks(file: BinaryIO, size: int, place: int = 12) -> Iterator[tuple[bytes, int, int, _Order]]:
    """Name, start and length of each chunk, and the byte order."""
    file.seek(place - 12)
    order: _Order = "big" if file.read(4) in (b"RIFX", b"FORM") else "little"
    for _ in range(_MOST_CHUNKS):
        if place + 8 > size:
            return
        file.seek(place)
        name, length = struct.unpack(">4sI" if order == "big" else "<4sI", file.read(8))
        yield name, place + 8, length, order
        place += 8 + length + length % 2


def _joined(file: BinaryIO, size: int) -> Iterator[int]:
    """Where another file begins behind the chunks of the one before."""
    begins, found = 0, True
    while found:
        found = False
        for name, start, _, _ in _chunks(file, size, begins + 12):
            if name in (*_RIFF, b"FORM"):
                file.seek(start)
                if file.read(4) in (b"WAVE", b"AIFF", b"AIFC"):
                    begins, found = start - 8, True
                    yield begins
                    break


def _samples(file: BinaryIO, size: int) -> tuple[int, int, _Order] | None:
    """Start, length and byte order of the samples of a WAV, if its header is wrong about their length."""
    file.seek(0)
    if file.read(4) not in _RIFF:
        return None
    data = None
    for name, start, length, order in _chunks(file, size):
        if data is None:
            if name == b"ds64":  # lengths of 64 bits are there, which libsndfile reads
                return None
            if name == b"data":
                if start + length >= size:
                    return None  # libsndfile reads what is there
                data = start, size - start, order
        elif not _is_name(name) or start + length > size + 1:
            return data if size - (start - 8) > _TRAILER else None
    return None


def _is_name(name: bytes) -> bool:
    return all(32 <= byte < 127 for byte in name) and name.strip() != b""
