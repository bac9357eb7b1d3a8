"""MP3 whose length no header tells, or tells wrongly, and MP3s that were joined.

libsndfile takes the length from the first frame, or estimates it from that frame's size, and reads no further. Here the
frames are counted, and each recording among them gets a first frame that tells their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from voicefit.audio.part import Part

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By the version's bits: MPEG 1, 2 and 2.5."""

_KBITS = {
    (True, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (False, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
}
"""By whether it is MPEG 1, and by the layer's bits (1 is layer III): kbit/s of each code."""

_LAYER_3 = 1


@dataclass
class _Stream:
    """Frames of one recording: where they begin and end, their number, and what is the same in all of them."""

    start: int
    stop: int
    frames: int
    like: tuple[int, ...]
    told: int | None
    """The number of frames that the first one tells; it has no sound then."""

    first: int
    """Where the first frame with sound begins."""


def mp3_parts(file: BinaryIO, size: int) -> list[Part]:
    """The MP3s that were joined, each with its length in its first frame; none if the file is one that has it."""
    file.seek(0)
    content = file.read(size)
    streams = list(_streams(content))
    whole = BytesIO(content)
    if not streams or (len(streams) == 1 and _is_right(streams[0])):
        return []
    return [_told(whole, content, stream) for stream in streams if stream.frames]


def _is_right(stream: _Stream) -> bool:
    """Whether the first frame tells the number of the others, or one more."""
    return stream.told is not None and 0 <= stream.told - stream.frames <= 1


def _told(whole: BinaryIO, content: bytes, stream: _Stream) -> Part:
    version, layer = stream.like[:2]
    if layer != _LAYER_3 or _is_right(
        stream
    ):  # of layers I and II, all frames are of one size, and libsndfile counts well
        return Part(whole, stream.start, stream.stop)
    header = bytearray(content[stream.first : stream.first + 4])
    header[1] |= 1  # no checksum
    header[2] = 9 << 4 | header[2] & 0x0C
    mono = header[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    tag = bytes(header) + bytes(side) + b"Info" + (1).to_bytes(4) + stream.frames.to_bytes(4)
    return Part(whole, stream.first, stream.stop, tag.ljust(_frame_size(bytes(header)), b"\0"))


def _streams(content: bytes) -> Iterator[_Stream]:
    stream: _Stream | None = None
    for place, size, like in _frames(content):
        told = _told_frames(content, place, like)
        if stream is None or told is not None or like != stream.like:
            if stream is not None:
                yield stream
            stream = _Stream(place, place, 0, like, told, place)
        if told is None:
            stream.first = stream.first if stream.frames else place
            stream.stop, stream.frames = place + size, stream.frames + 1
    if stream is not None:
        yield stream


def _told_frames(content: bytes, place: int, like: tuple[int, ...]) -> int | None:
    """The number of frames that a frame tells, -1 if it tells none; ``None`` of a frame of sound."""
    version, layer, _, mono = like[:4]
    if layer != _LAYER_3:
        return None
    tag = place + 4 + ((17 if mono else 32) if version == 3 else (9 if mono else 17))
    if content[tag : tag + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(content[tag + 4 : tag + 8])
        return int.from_bytes(content[tag + 8 : tag + 12]) if flags & 1 else -1
    if content[place + 36 : place + 40] == b"VBRI":
        return int.from_bytes(content[place + 50 : place + 54])
    return None


def _frames(content: bytes) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Place, size and likeness of each frame; what is between them is passed over."""
    place, end, known = 0, len(content), None
    while (place := content.find(b"\xff", place)) >= 0 and place + 4 <= end:
        like = _likeness(content, place)
        size = _frame_size(content[place : place + 4]) if like else 0
        if like is None or not size:
            place, known = place + 1, None
            continue
        if like != known:  # a frame by chance has no other behind it
            following = place + size
            if not (
                _likeness(content, following) == like
                or following >= end
                or content[following : following + 3] == b"TAG"
            ):
                place, known = place + 1, None
                continue
        yield place, min(size, end - place), like
        place, known = place + size, like


def _likeness(content: bytes, place: int) -> tuple[int, ...] | None:
    """Version, layer, rate, whether it is mono, and, of layers I and II, the code of the bit rate."""
    header = content[place : place + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer, rate, bits = header[1] >> 3 & 3, header[1] >> 1 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or not layer or rate == 3 or bits in (0, 15):
        return None
    return version, layer, rate, int(header[3] >> 6 == 3), *(() if layer == _LAYER_3 else (bits,))


def _frame_size(header: bytes) -> int:
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bits = 1000 * _KBITS[version == 3, layer][header[2] >> 4]
    rate, padding = _RATES[version][header[2] >> 2 & 3], header[2] >> 1 & 1
    if layer == 3:
        return (12 * bits // rate + padding) * 4
    return (144 if layer == 2 or version == 3 else 72) * bits // rate + padding
