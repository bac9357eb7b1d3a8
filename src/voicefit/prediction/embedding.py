"""The pooled vectors of recordings, as many at once as the machine has cores."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from voicefit import audio
from voicefit.audio import MAX_FRAMES, SAMPLE_RATE, SILENCE_PEAK, STDIN, AudioError, Recording, decode_recording
from voicefit.encoders.onnx_encoder import OnnxEncoder
from voicefit.system.progress import Progress

MAX_STDIN_BYTES = 2**30
"""The most that is read from standard input."""

_AHEAD = 8
"""So many recordings a core are read before the first of them is asked for."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Embeds(Protocol):
    """What gives a clip's pooled vector."""

    @property
    def max_seconds(self) -> float:
        """Longer clips are cut to this."""

    @property
    def hidden_size(self) -> int:
        """The width of a pooled vector."""

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the pooled vector ``(hidden_size,)`` of a mono waveform at 16 kHz, ``(samples,)``."""


def embed_files(
    encoder: Embeds,
    files: Sequence[Path],
    answer: Callable[[Path, np.ndarray | None, str, str], Answer],
    progress: Progress,
    channel: int | None = None,
) -> Iterator[Answer]:
    """Yield an answer for each recording, in their order.

    Args:
        encoder: on PyTorch, which takes all cores for a clip, or on onnxruntime, which takes one.
        files: recordings; ``-`` is standard input.
        answer: called with the file, its pooled vector or ``None``, why it cannot be used, and what else is to be told
            of it, else empty texts.
        progress: called for every file.
        channel: the number of the one channel to take, from 1.
    """

    def embed(file: Path) -> Answer:
        try:
            recording = read_recording(file, channel)
            return answer(file, encoder.embed(recording.waveform), "", to_tell(recording, encoder.max_seconds))
        except AudioError as error:
            return answer(file, None, reason_of(error, file), "")

    for done, found in enumerate(in_order(embed, files, threads_for(encoder)), 1):
        progress("predicting", done, len(files))
        yield found


def threads_for(encoder: Embeds) -> int:
    """Return how many clips may be embedded at once."""
    if not isinstance(encoder, OnnxEncoder):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(act: Callable[[Item], Answer], items: Sequence[Item], threads: int) -> Iterator[Answer]:
    """Yield what ``act`` returns for each item, in their order; ``threads`` items are worked on at once."""
    if threads == 1 or len(items) < 2:
        yield from map(act, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Answer]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(act, item))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def read_recording(file: Path, channel: int | None = None) -> Recording:
    """What is read of a file, or of what comes on standard input for ``-``; of one channel, if it is given.

    Raises:
        AudioError: it cannot be used.
    """
    if file != STDIN:
        return audio.read_recording(file, channel=channel)
    content = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(content) > MAX_STDIN_BYTES:
        raise AudioError("too-long", f"{file}: over {MAX_STDIN_BYTES >> 20} MB on standard input; give a file")
    return decode_recording(content, str(file), MAX_FRAMES / SAMPLE_RATE, channel=channel)


def to_tell(recording: Recording, max_seconds: float, advice: str = "") -> str:
    """What a person should know of how a recording was read, and what to do about its length; else empty."""
    seconds = len(recording.waveform) / SAMPLE_RATE
    heard = recording.waveform[: int(max_seconds * SAMPLE_RATE)]
    words = list(recording.remarks)
    if seconds > max_seconds:
        advice = advice or f"--window {max_seconds:g} reads all of it"
        words.append(f"the first {max_seconds:g} of {seconds:.1f} s were read; {advice}")
    if np.abs(heard - heard.mean()).max() < SILENCE_PEAK:
        words.append("what was read is nearly silent, so that the answer says nothing")
    return "; ".join(words)


def reason_of(error: AudioError, file: Path) -> str:
    """What is wrong with ``file``, without its name."""
    return str(error).removeprefix(f"{file}: ")
