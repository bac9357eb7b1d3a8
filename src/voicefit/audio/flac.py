"""FLAC of which the header does not tell the length, as those that were written to a pipe."""

from typing import BinaryIO

from voicefit.audio.part import Part, find_bytes

_MAGIC = b"fLaC\x00\x00\x00\x22"
"""The start, and that of the first block, which is always as long."""

_HEADER = 42
_TAIL = 1 << 20
"""The last frame begins in so many bytes at the end."""

_BLOCKS = {
    1: 192,
    **{code: 576 << code - 2 for code in range(2, 6)},
    **{code: 256 << code - 8 for code in range(8, 16)},
}


def flac_parts(file: BinaryIO, size: int) -> list[Part]:
    """The FLACs that were joined, each with its length in its header; none if the file is one that has it."""
    starts = [0, *find_bytes(file, _MAGIC, 1, size)]
    parts, mended = [], False
    for start, stop in zip(starts, [*starts[1:], size], strict=True):
        file.seek(start)
        header = bytearray(file.read(_HEADER))
        total = int.from_bytes(header[21:26]) & (1 << 36) - 1
        if len(header) < _HEADER or header[:8] != _MAGIC or total:
            parts.append(Part(file, start, stop))
            continue
        mended = True
        total = _samples(file, start + _HEADER, stop, int.from_bytes(header[10:12]))
        header[21] = header[21] & 0xF0 | total >> 32 & 15
        header[22:26] = (total & 0xFFFFFFFF).to_bytes(4)
        parts.append(Part(file, start + _HEADER, stop, bytes(header)))
    return parts if mended or len(parts) > 1 else []


def _samples(file: BinaryIO, start: int, stop: int, block: int) -> int:
    """The samples of a FLAC, by the header of its last frame; 0 if there is none."""
    start = max(start, stop - _TAIL)
    file.seek(start)
    tail = file.read(stop - start)
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        if end := _end_of_frame(tail[place : place + 16], block):
            return end
    return 0


def _end_of_frame(header: bytes, block: int) -> int:
    """Where the frame with this header ends, in samples; 0 if it is no header."""
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[2] >> 4 == 0 or header[2] & 15 == 15 or header[3] & 1:
        return 0
    ones = 8 - (header[4] ^ 0xFF).bit_length()  # the number is coded as UTF-8 codes a character
    if ones == 1 or ones > 7:
        return 0
    place, code = 4 + max(1, ones), header[2] >> 4
    number = header[4] & 0x7F >> ones
    for byte in header[5:place]:
        number = number << 6 | byte & 0x3F
    if code in (6, 7):
        samples = int.from_bytes(header[place : place + code - 5]) + 1
        place += code - 5
    else:
        samples = _BLOCKS[code]
    place += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if place >= len(header) or _crc8(header[:place]) != header[place]:
        return 0
    return (number if header[1] & 1 else number * block) + samples


def _crc8(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value
