"""Files as one or several streams: recordings that were joined, and headers that do not tell the length.

libsndfile believes what a header says of the length, and knows one stream in a file; FFmpeg knows one of some kinds.
What is here finds every stream, and gives each a header that is right; it decodes nothing.
"""

from io import SEEK_END
from typing import BinaryIO

from voicefit.audio.flac import flac_parts
from voicefit.audio.kinds import AIFF, AMR, ASF, FLAC, MATROSKA, MP3, MP4, OGG, WAV, Kind
from voicefit.audio.mp3 import mp3_parts
from voicefit.audio.part import Part, cut_at, find_bytes
from voicefit.audio.riff import mpeg_part, riff_parts

_MOST_BOXES = 10_000
_MAGIC = {AMR: b"#!AMR", ASF: bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")}
"""Kinds whose first bytes hardly occur inside a recording."""


def streams_of(file: BinaryIO, kind: Kind) -> tuple[Kind, list[Part]]:
    """Return the kind of the streams of a file, and each of them; none if the file is one with a right header."""
    size = file.seek(0, SEEK_END)
    if kind is WAV and (frames := mpeg_part(file, size)) is not None:
        return MP3, mp3_parts(frames, frames.seek(0, SEEK_END)) or [frames]  # type: ignore[arg-type]
    find = {
        WAV: riff_parts, AIFF: riff_parts, FLAC: flac_parts, MP3: mp3_parts, OGG: _ogg, MP4: _mp4, MATROSKA: _matroska,
    }.get(kind)  # fmt: skip
    parts = find(file, size) if find else []
    if kind in _MAGIC:
        parts = cut_at(file, list(find_bytes(file, _MAGIC[kind], 1, size)), size)
    file.seek(0)
    return kind, parts


def _ogg(file: BinaryIO, size: int) -> list[Part]:
    """Pages; one that begins a stream, behind others that do not, begins another recording."""
    places, begun, page_end = [], True, 0
    for place in find_bytes(file, b"OggS", 0, size):
        if place < page_end:  # inside a page
            continue
        file.seek(place)
        page = file.read(27 + 255)
        if len(page) < 27:
            break
        begins = bool(page[5] & 2)
        if begins and not begun:
            places.append(place)
        begun = begins
        page_end = place + 27 + page[26] + sum(page[27 : 27 + page[26]])
    return cut_at(file, places, size)


def _mp4(file: BinaryIO, size: int) -> list[Part]:
    """Boxes, each with its size and name. A second ``ftyp`` begins another recording."""
    place, places = 0, []
    for _ in range(_MOST_BOXES):
        if place >= size:  # a box may say that it has 2**63 bytes, which no file can seek to
            break
        file.seek(place)
        box = file.read(16)
        length = int.from_bytes(box[:4])
        if length == 1:
            length = int.from_bytes(box[8:])
        if len(box) < 8 or length < 8:
            break
        if box[4:8] == b"ftyp" and place:
            places.append(place)
        place += length
    return cut_at(file, places, size)


def _matroska(file: BinaryIO, size: int) -> list[Part]:
    places = []
    for place in find_bytes(file, b"\x1aE\xdf\xa3", 1, size):
        file.seek(place)
        start = file.read(64)
        if b"webm" in start or b"matroska" in start:
            places.append(place)
    return cut_at(file, places, size)
