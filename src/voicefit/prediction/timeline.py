"""Timelines: the predictions of a model for each window of a long recording."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicefit.audio import MIN_SAMPLES, SAMPLE_RATE, AudioError, find_audio
from voicefit.errors import VoicefitError
from voicefit.prediction.embedding import read_recording, reason_of
from voicefit.prediction.model import Model
from voicefit.system.progress import Progress, silent


@dataclass(frozen=True)
class Timeline:
    """The predictions of a model for one recording, window by window.

    Attributes:
        file: the path of the recording.
        labels: the labels, in the order of the columns of ``probabilities``.
        starts: ``(windows,)``, the start of each window in seconds.
        ends: ``(windows,)``, the end of each window in seconds.
        probabilities: ``(windows, labels)``.
        waveform: the recording, mono at 16 kHz.
        error: the reason why the file cannot be used, otherwise empty; with an error, the arrays are empty.
    """

    file: str
    labels: list[str]
    starts: np.ndarray
    ends: np.ndarray
    probabilities: np.ndarray
    waveform: np.ndarray
    error: str = ""

    def windows(self) -> Iterator[tuple[float, float, str, dict[str, float]]]:
        """Yield for each window its start and end in seconds, the likeliest label, and label → probability."""
        for start, end, row in zip(self.starts, self.ends, self.probabilities, strict=True):
            probabilities = dict(zip(self.labels, row.tolist(), strict=True))
            yield float(start), float(end), self.labels[int(row.argmax())], probabilities

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``json``."""
        keys = ("start", "end", "label", "probabilities")
        windows = [dict(zip(keys, window, strict=True)) for window in self.windows()]
        return {"file": self.file, "error": self.error, "windows": windows}


def timeline(model: Model, waveform: np.ndarray, window: float, hop: float, file: str = "") -> Timeline:
    """Classify a window every ``hop`` seconds; the last one ends with the recording.

    A recording shorter than a window is one window.

    Args:
        model: the model that classifies.
        waveform: mono at 16 kHz, ``(samples,)``.
        window: the length of a window in seconds.
        hop: the distance of the starts of windows in seconds.
        file: the path to record in the timeline.

    Raises:
        VoicefitError: ``window`` is not from 0.025 s to the model's longest clip, or ``hop`` is not positive.
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
    """Return the timelines of files, folders and standard input; a file that cannot be used gets an ``error``.

    Raises:
        VoicefitError: see :func:`timeline`; a path does not exist, or there is no audio file at all.
    """
    _check_settings(model, window, hop)
    files = find_audio(paths, stdin=True)
    results = []
    for index, file in enumerate(files, 1):
        try:
            results.append(timeline(model, read_recording(file), window, hop, str(file)))
        except AudioError as error:
            empty = np.empty(0)
            results.append(Timeline(str(file), model.labels, empty, empty, empty, empty, reason_of(error, file)))
        progress("predicting", index, len(files))
    return results


def _check_settings(model: Model, window: float, hop: float) -> None:
    shortest = MIN_SAMPLES / SAMPLE_RATE
    if not shortest <= window <= model.max_seconds:
        raise VoicefitError(
            f"--window {window:g}: give {shortest:g} to {model.max_seconds:g} s, the lengths that this model takes"
        )
    if not 0 < hop < math.inf:
        raise VoicefitError(f"--hop {hop:g}: the distance of windows is a positive number of seconds")


def clock(seconds: float) -> str:
    """Format seconds as minutes and seconds, as 1:05, with tenths unless they are 0."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:02.0f}" if rest == int(rest) else f"{minutes:.0f}:{rest:04.1f}"
