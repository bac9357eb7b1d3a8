"""A stretch of a file that is read as a file of its own."""

from collections.abc import Iterator
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import BinaryIO

_BLOCK = 1 << 20


class Part:
    """A stretch of a file, perhaps behind other bytes, to read as a file.

    Like a file on disk, it does not move when libsndfile seeks before its start, as for damaged audio.
    """

    def __init__(self, file: BinaryIO, start: int, stop: int, prefix: bytes = b""):
        self._file, self._start, self._prefix = file, start, prefix
        self._size = len(prefix) + max(0, stop - start)
        self._place = 0

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Move, as a file does."""
        base = {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._size}[whence]
        if base + offset >= 0:
            self._place = base + offset
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Read, as a file does."""
        left = max(0, self._size - self._place)
        size = left if size < 0 else min(size, left)
        found = self._prefix[self._place : self._place + size]
        if len(found) < size:
            self._file.seek(self._start + self._place + len(found) - len(self._prefix))
            found += self._file.read(size - len(found))
        self._place += len(found)
        return found

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer, as a file does."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def find_bytes(file: BinaryIO, magic: bytes, start: int, stop: int) -> Iterator[int]:
    """Yield every place of ``magic`` between two places."""
    overlap = len(magic) - 1
    for begin in range(start, stop, _BLOCK):
        file.seek(begin)
        content = file.read(min(_BLOCK + overlap, stop - begin))
        found = content.find(magic)
        while found >= 0:
            yield begin + found
            found = content.find(magic, found + 1)


def cut_at(file: BinaryIO, places: list[int], size: int) -> list[Part]:
    """The parts of a file that begin at these places behind its start; none if it is one."""
    starts = [0, *places]
    return [Part(file, *ends) for ends in zip(starts, [*places, size], strict=True)] if places else []
