"""Timelines: the predictions of a model for each window of a long recording."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from voicefit.audio import (
    MIN_SAMPLES,
    SAMPLE_RATE,
    SILENCE_PEAK,
    STDIN,
    AudioError,
    as_waveform,
    find_audio,
    stream_waveform,
)
from voicefit.errors import VoicefitError
from voicefit.heads.logistic import softmax
from voicefit.heads.novelty import NONE
from voicefit.prediction.embedding import in_order, read_recording, reason_of, threads_for
from voicefit.prediction.model import Model
from voicefit.prediction.speech import SpeechDetector
from voicefit.system.progress import Progress, silent

OUTLINE_RATE = 100
"""An outline has so many points per second."""

_NAMED = 5
"""So many stretches without speech are named one by one."""

_MOST_DIGITS = 7
"""The place of a sample at 16 kHz has no more digits after the point, in seconds."""

_AT_ONCE = 64
"""So many windows are in memory at a time."""


@dataclass(frozen=True)
class Timeline:
    """The predictions of a model for one recording, window by window.

    Attributes:
        file: the path of the recording.
        labels: the labels, in the order of the columns of ``probabilities``.
        starts: ``(windows,)``, the start of each window in seconds.
        ends: ``(windows,)``, the end of each window in seconds.
        probabilities: ``(windows, labels)``.
        silent: ``(windows,)``, whether a window is nearly silent or, where that was asked, holds no speech, so that its
            probabilities say nothing.
        unlike: ``(windows,)``, how far each lies from every label, above 1 if it is of none; NaN if that was not asked.
        outline: ``(points, 2)``, the lowest and the highest sample of each hundredth of a second.
        error: the reason why the file cannot be used, otherwise empty; with an error, the arrays are empty.
        remark: what a person should know of how it was read, else empty.
    """

    file: str
    labels: list[str]
    starts: np.ndarray
    ends: np.ndarray
    probabilities: np.ndarray
    silent: np.ndarray
    unlike: np.ndarray
    outline: np.ndarray
    error: str = ""
    remark: str = ""

    def windows(self) -> Iterator[tuple[float, float, str, dict[str, float]]]:
        """Yield for each window its start and end in seconds, the likeliest label, and label → probability.

        The label of a window that is silent is empty; that of one which is of none of the labels says so.
        """
        columns = (self.starts, self.ends, self.silent, self.unlike, self.probabilities)
        for start, end, is_silent, unlike, row in zip(*columns, strict=True):
            label = "" if is_silent else NONE if unlike > 1 else self.labels[int(row.argmax())]
            yield float(start), float(end), label, dict(zip(self.labels, row.tolist(), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``json``."""
        keys = ("start", "end", "label", "probabilities")
        windows = [dict(zip(keys, window, strict=True)) for window in self.windows()]
        return {"file": self.file, "error": self.error, "remark": self.remark, "windows": windows}

    def stretches(self) -> Iterator[tuple[float, float, str]]:
        """Yield start, end and label of each stretch of one label; windows meet halfway, and silence has none."""
        found: list[tuple[float, float, str]] = []
        middles = (self.starts + self.ends) / 2
        edges = [0.0, *(middles[1:] + middles[:-1]) / 2, *self.ends[-1:]]
        for start, end, (*_, label, _) in zip(edges, edges[1:], self.windows(), strict=False):
            if found and found[-1][2] == label:
                found[-1] = (found[-1][0], float(end), label)
            else:
                found.append((float(start), float(end), label))
        yield from (stretch for stretch in found if stretch[2])


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
        AudioError: ``waveform`` is none.
        VoicefitError: ``window`` is not from 0.025 s to the model's longest clip, or ``hop`` is not positive.
    """
    _check_settings(model, window, hop)
    return _timeline(model, iter([as_waveform(waveform)]), window, hop, file)


def timelines(
    model: Model,
    paths: Iterable[Path],
    window: float,
    hop: float,
    progress: Progress = silent,
    channel: int | None = None,
    speech: bool = False,
) -> list[Timeline]:
    """Return the timelines of files, folders and standard input; a file that cannot be used gets an ``error``.

    Files are read window by window: an hour needs no more memory than a minute. With ``speech``, windows in which
    nobody speaks get no label, and the remark names them (:mod:`voicefit.prediction.speech`).

    Raises:
        VoicefitError: see :func:`timeline`; a path does not exist, or there is no audio file at all.
    """
    _check_settings(model, window, hop)
    files = find_audio(paths, stdin=True)
    results = []
    for index, file in enumerate(files, 1):
        remarks: list[str] = []
        try:
            if file == STDIN:
                recording = read_recording(file, channel)
                blocks, remarks = iter([recording.waveform]), list(recording.remarks)
            else:
                blocks = stream_waveform(file, channel=channel, remarks=remarks)
            results.append(_timeline(model, blocks, window, hop, str(file), remarks, speech))
        except AudioError as error:
            none = np.empty(0)
            results.append(
                Timeline(str(file), model.labels, none, none, none, none, none, none, reason_of(error, file))
            )
        progress("predicting", index, len(files))
    return results


def _timeline(
    model: Model,
    blocks: Iterator[np.ndarray],
    window: float,
    hop: float,
    file: str,
    remarks: Iterable[str] = (),
    speech: bool = False,
) -> Timeline:
    detector = SpeechDetector() if speech else None
    blocks = detector.listen(blocks) if detector else blocks
    size, step = round(window * SAMPLE_RATE), max(1, round(hop * SAMPLE_RATE))
    outline: list[np.ndarray] = []
    windows = _windows(_outlined(blocks, outline), size, step)
    starts, ends, quiet, vectors = [], [], [], []
    while some := list(islice(windows, _AT_ONCE)):
        starts += [start for start, _ in some]
        ends += [start + len(samples) for start, samples in some]
        if ends[-1] < MIN_SAMPLES:  # of a recording shorter than a window alone
            length = 1000 * ends[-1] / SAMPLE_RATE
            raise AudioError("too-short", f"{file}: {length:.0f} ms long, at least 25 ms are needed")
        quiet += [np.abs(samples - samples.mean()).max() < SILENCE_PEAK for _, samples in some]
        vectors += list(in_order(model.encoder.embed, [samples for _, samples in some], threads_for(model.encoder)))
    pooled, begins, stops = np.stack(vectors), np.array(starts) / SAMPLE_RATE, np.array(ends) / SAMPLE_RATE
    silent, words = np.array(quiet), list(remarks)
    if detector:
        spoken = np.array([detector.has_speech(*bounds) for bounds in zip(begins, stops, strict=True)])
        silent, words = silent | ~spoken, [*words, *_without_speech(begins, stops, spoken)]
    return Timeline(
        file,
        model.labels,
        begins,
        stops,
        softmax(model.head(pooled)),
        silent,
        model.novelty.distance(pooled) if model.novelty else np.full(len(pooled), np.nan),
        np.concatenate(outline),
        remark="; ".join(words),
    )


def _without_speech(starts: np.ndarray, ends: np.ndarray, spoken: np.ndarray) -> Iterator[str]:
    """Say how many windows hold no speech, and what no window with speech covers."""
    if spoken.all():
        return
    edges = np.unique(np.concatenate([starts, ends]))
    stretches: list[tuple[float, float]] = []
    for before, after in pairwise(edges):
        if ((starts < after) & (ends > before) & spoken).any():
            continue
        begin = stretches.pop()[0] if stretches and stretches[-1][1] == before else before
        stretches.append((float(begin), float(after)))
    digits = enough_digits(edges)
    named = [f"{clock(before, digits)} to {clock(after, digits)}" for before, after in stretches[:_NAMED]]
    more = [f"{len(stretches) - _NAMED} more stretches"] if len(stretches) > _NAMED else []
    where = f": {', '.join([*named, *more])}" if named else ""
    yield f"{int((~spoken).sum())} of {len(spoken)} windows hold no speech and got no label{where}"


def _windows(blocks: Iterator[np.ndarray], size: int, step: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the start and the samples of each window; memory holds a block and a window."""
    kept, begin, total, start = np.zeros(0, np.float32), 0, 0, 0
    for block in blocks:
        kept, total = np.concatenate([kept, block]), total + len(block)
        while start + size < total:
            yield start, kept[start - begin : start - begin + size]
            start += step
        passed = max(0, min(start, total - size) - begin)
        kept, begin = kept[passed:], begin + passed
    last = max(0, total - size)
    yield last, kept[last - begin :]


def _outlined(blocks: Iterator[np.ndarray], outline: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass blocks on, and add their outline: a point for each hundredth of a second, wherever blocks end."""
    step, rest = SAMPLE_RATE // OUTLINE_RATE, np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate([rest, block])
        whole = len(samples) // step * step
        outline.append(_lowest_and_highest(samples[:whole], step))
        rest = samples[whole:]
        yield block
    outline.append(_lowest_and_highest(rest, step))


def _lowest_and_highest(samples: np.ndarray, step: int) -> np.ndarray:
    if not len(samples):
        return np.zeros((0, 2), np.float32)
    places = np.arange(0, len(samples), step)
    return np.stack([np.minimum.reduceat(samples, places), np.maximum.reduceat(samples, places)], axis=1)


def _check_settings(model: Model, window: float, hop: float) -> None:
    shortest = MIN_SAMPLES / SAMPLE_RATE
    if not shortest <= window <= model.max_seconds:
        raise VoicefitError(
            f"--window {window:g}: give {shortest:g} to {model.max_seconds:g} s, the lengths that this model takes"
        )
    if not 0 < hop < math.inf:
        raise VoicefitError(f"--hop {hop:g}: the distance of windows is a positive number of seconds")


def check_labels_path(path: Path, files: int = 1) -> None:
    """Refuse a path that :func:`labels_text` has no form for.

    Raises:
        VoicefitError: another suffix than ``.txt`` and ``.csv``, or several recordings in a track of Audacity.
    """
    if path.suffix.lower() not in (".txt", ".csv"):
        raise VoicefitError(f"{path}: labels are written as .txt for Audacity, or as .csv")
    if path.suffix.lower() == ".txt" and files != 1:
        raise VoicefitError(f"{path}: a track of Audacity is of one recording, and {files} were given; write .csv")


def labels_text(results: list[Timeline], path: Path) -> str:
    """The labels of timelines, as Audacity imports them (``.txt``) or with a row for each window (``.csv``)."""
    check_labels_path(path, len(results))
    if path.suffix.lower() == ".txt":
        stretches = [stretch for result in results for stretch in result.stretches()]
        digits = enough_digits((time for stretch in stretches for time in stretch[:2]), 3)
        return "".join(f"{start:.{digits}f}\t{end:.{digits}f}\t{label}\n" for start, end, label in stretches)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "start", "end", "label", *(results[0].labels if results else [])])
    for result in results:
        digits = enough_digits([*result.starts, *result.ends], 3)
        for start, end, label, chances in result.windows():
            times = (f"{start:.{digits}f}", f"{end:.{digits}f}")
            writer.writerow([result.file, *times, label, *(f"{chance:.4f}" for chance in chances.values())])
    return out.getvalue()


def enough_digits(seconds: Iterable[float], least: int = 1) -> int:
    """Return how many digits after the point, ``least`` or more, tell all different times apart.

    One digit is enough only for whole tenths.

    >>> enough_digits([0, 0.025, 0.01]), enough_digits([0, 0.25]), enough_digits([0, 3, 1.5])
    (2, 2, 1)
    """
    times = set(seconds)
    for digits in range(least, _MOST_DIGITS):
        rounded = {time: round(time, digits) for time in times}
        is_exact = all(abs(time - near) < 1e-9 for time, near in rounded.items())
        if len(set(rounded.values())) == len(times) and (digits > 1 or is_exact):
            return digits
    return _MOST_DIGITS


def clock(seconds: float, digits: int = 1) -> str:
    """Format seconds as minutes and seconds, as 1:05, with so many digits unless they are 0.

    >>> clock(65), clock(65.25), clock(65.25, 2)
    ('1:05', '1:05.2', '1:05.25')
    """
    minutes, rest = divmod(round(seconds, digits), 60)
    rest = round(rest, digits)
    return f"{minutes:.0f}:{rest:02.0f}" if rest == int(rest) else f"{minutes:.0f}:{rest:0{digits + 3}.{digits}f}"
