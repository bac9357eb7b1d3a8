"""Opening a file: which decoder reads it, and in plain words why none does."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO

from voicefit.audio.decoders import (
    UNREADABLE,
    MissingPyAV,
    Stream,
    av_stream,
    descriptor,
    sndfile_stream,
    unreadable_by_av,
)
from voicefit.audio.kinds import Kind
from voicefit.audio.limits import MAX_CHANNELS, RATES, AudioError
from voicefit.audio.streams import streams_of


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a file: between two times in seconds, at most how many samples at 16 kHz, and which channel."""

    name: str
    start: float = 0.0
    end: float | None = None
    most: int | None = None
    channel: int | None = None
    resample: bool = True
    measure: bool = False

    def error(self, kind: str, words: str) -> AudioError:
        """The error about this file."""
        return AudioError(kind, f"{self.name}: {words}")

    def range_at(self, rate: int) -> tuple[int, int]:
        """The first sample, and how many follow; without an end, all."""
        first = int(self.start * rate)
        return first, sys.maxsize if self.end is None else max(0, int(self.end * rate) - first)


def sources(file: BinaryIO, kind: Kind) -> Iterator[tuple[Kind, Any]]:
    """The kind of each stream of a file, and what to read it from."""
    stream_kind, parts = streams_of(file, kind)
    if not parts:
        yield stream_kind, file
    for part in parts:
        yield stream_kind, part


def open_stream(stack: ExitStack, source: Any, kind: Kind, wanted: Wanted) -> Stream:
    """Open a stream by libsndfile, or by FFmpeg if libsndfile cannot read it."""
    if not kind.sound:
        raise wanted.error(
            "empty" if kind.name == "empty" else "unreadable", f"is {kind.title}, not readable as audio; {kind.advice}"
        )
    reason = ""
    if kind.plain:
        try:
            stream: Stream = stack.enter_context(sndfile_stream(descriptor(source), kind))
            return _checked_header(stream, wanted)
        except UNREADABLE as error:
            reason = reason_of(error)
    if not kind.demuxer:
        reason = f"not readable as audio ({reason})" if reason else f"is {kind.title}, which nothing here reads"
        raise wanted.error("unreadable", f"{reason}; {kind.advice}" if kind.advice else reason)
    try:
        return _checked_header(stack.enter_context(av_stream(source, kind)), wanted)
    except MissingPyAV:
        raise wanted.error("unreadable", _without_pyav(kind, reason)) from None
    except unreadable_by_av() as error:
        raise wanted.error("unreadable", _refused(kind, reason, error)) from None


_FORMATS = "pip install 'voicefit[formats]'"


def _without_pyav(kind: Kind, reason: str) -> str:
    if reason:  # damaged, or in an encoding of telephones
        return f"not readable as audio ({reason}); {_FORMATS} reads more encodings"
    return f"is {kind.title}, which is not read without FFmpeg's decoders: {_FORMATS}, or convert it to WAV or FLAC"


def _refused(kind: Kind, reason: str, error: BaseException) -> str:
    if reason:
        return f"not readable as audio ({reason})"
    words = "the recorder was stopped before it was done" if kind.name == "mp4" else "it is damaged, or cut off"
    if isinstance(error, ValueError):
        words = reason_of(error)
    return f"is {kind.title}, but not readable as audio ({words})" + (f"; {kind.advice}" if kind.advice else "")


def reason_of(error: BaseException) -> str:
    """What a library says, without the address of an object or a full stop."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".") or "damaged"


def _checked_header(stream: Stream, wanted: Wanted) -> Stream:
    if stream.rate not in RATES:
        words = f"{stream.rate:,} samples per second; from {RATES[0]:,} to {RATES[-1]:,} can be used"
        raise wanted.error("unreadable", words)
    if stream.channels > MAX_CHANNELS:
        raise wanted.error("unreadable", f"{stream.channels} channels; at most {MAX_CHANNELS} can be used")
    if wanted.channel is not None and not 1 <= wanted.channel <= stream.channels:
        have = "1 channel" if stream.channels == 1 else f"{stream.channels} channels"
        raise wanted.error("unreadable", f"has {have}; there is no channel {wanted.channel}")
    return stream
