"""A long recording as a timeline: what the model says of each window of it."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicefit.audio import MIN_SAMPLES, SAMPLE_RATE, AudioError, find_audio
from voicefit.errors import VoicefitError
from voicefit.prediction.model import Model, read_recording, reason_of
from voicefit.system.progress import Progress, silent


@dataclass(frozen=True)
class Timeline:
    """What a model says of one recording, window by window.

    Attributes:
        file: where it came from.
        labels: in the order of the columns of ``probabilities``.
        starts, ends: of each window, in seconds.
        probabilities: ``(windows, labels)``.
        waveform: the recording, mono at 16 kHz.
        error: why the file could not be used, else empty; the arrays are empty then.
    """

    file: str
    labels: list[str]
    starts: np.ndarray
    ends: np.ndarray
    probabilities: np.ndarray
    waveform: np.ndarray
    error: str = ""

    def windows(self) -> Iterator[tuple[float, float, str, dict[str, float]]]:
        """Start and end in seconds, likeliest label, and label → probability of each window."""
        for start, end, row in zip(self.starts, self.ends, self.probabilities, strict=True):
            chances = dict(zip(self.labels, row.tolist(), strict=True))
            yield float(start), float(end), self.labels[int(row.argmax())], chances

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json``."""
        keys = ("start", "end", "label", "probabilities")
        windows = [dict(zip(keys, window, strict=True)) for window in self.windows()]
        return {"file": self.file, "error": self.error, "windows": windows}


def timeline(model: Model, waveform: np.ndarray, window: float, hop: float, file: str = "") -> Timeline:
    """Classify a window of ``window`` seconds every ``hop`` seconds, and the last one up to the end.

    A recording shorter than a window is one window.

    Args:
        waveform: mono at 16 kHz, ``(samples,)``.

    Raises:
        VoicefitError: ``window`` is not from 0.025 s to what the model hears of a clip, or ``hop`` is not positive.
    """
    _check_settings(model, window, hop)
    size, step = round(window * SAMPLE_RATE), max(1, round(hop * SAMPLE_RATE))
    last = max(0, len(waveform) - size)
    starts = np.append(np.arange(0, last, step), last)
    probabilities = np.stack([model.probabilities(waveform[start : start + size]) for start in starts])
    ends = np.minimum(starts + size, len(waveform))
    return Timeline(file, model.labels, starts / SAMPLE_RATE, ends / SAMPLE_RATE, probabilities, waveform)


def timelines(
    model: Model,
    paths: Iterable[Path],
    window: float,
    hop: float,
    progress: Progress = silent,
) -> list[Timeline]:
    """The timelines of files, folders and standard input; a file that cannot be used gets an ``error``.

    Raises:
        VoicefitError: see :func:`timeline`; a path does not exist, or there is no audio file at all.
    """
    _check_settings(model, window, hop)
    files = find_audio(paths, stdin=True)
    found = []
    for index, file in enumerate(files, 1):
        try:
            found.append(timeline(model, read_recording(file), window, hop, str(file)))
        except AudioError as error:
            none = np.empty(0)
            found.append(Timeline(str(file), model.labels, none, none, none, none, reason_of(error, file)))
        progress("predicting", index, len(files))
    return found


def _check_settings(model: Model, window: float, hop: float) -> None:
    shortest = MIN_SAMPLES / SAMPLE_RATE
    if not shortest <= window <= model.max_seconds:
        raise VoicefitError(
            f"--window {window:g}: this model hears clips of {shortest:g} to {model.max_seconds:g} s; take one of these"
        )
    if not 0 < hop < math.inf:
        raise VoicefitError(f"--hop {hop:g}: the distance of windows is a positive number of seconds")


def clock(seconds: float) -> str:
    """Minutes and seconds, as 1:05, with tenths where they matter."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:02.0f}" if rest == int(rest) else f"{minutes:.0f}:{rest:04.1f}"
