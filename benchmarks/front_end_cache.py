"""Filling the front-end cache against what the cores allow: processes that fill one too, and share nothing.

The clips are FLAC files at 44.1 kHz, so that each must be decoded and resampled. There is a process for each core, with
one thread. Together the processes do the same work as the cache, as fast as the cores can.
"""

import multiprocessing
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import soundfile
import soxr
import torch

from benchmarks.common import (
    ARCHITECTURES,
    SAMPLE_RATE,
    alternate,
    parse_options,
    publish,
    seconds_of,
    waveforms,
)
from voicefit.audio import load_waveform
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Encoder, FrontCache, load_encoder
from voicefit.system.heap import keep_freed_memory
from voicefit.system.machine import limit_threads

RATE = 44_100

CLIPS_AT_A_TIME = 5
"""A process is given so many clips at a time: none waits long for the last."""

SIZES = {"wav2vec 2.0 Base": (100, 9), "Whisper tiny": (400, 15)}
"""Clips and rounds. With 100 clips Whisper's cache is filled in half a second, in which starting and ending count."""


class Processes:
    """Processes that hold an encoder each, and together run its front end on clips."""

    encoder: Encoder
    cache: FrontCache

    def __init__(self, source: Path, clips: Sequence[Clip]):
        self.shares = [clips[first : first + CLIPS_AT_A_TIME] for first in range(0, len(clips), CLIPS_AT_A_TIME)]
        cores = torch.get_num_threads()
        self.pool = ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), self._load, (source,))
        self.run()

    def run(self) -> None:
        """Decode all clips, run the front end on them, and write nothing."""
        list(self.pool.map(self._run_share, self.shares))

    def fill(self, root: Path) -> None:
        """Fill a cache: read, hash and decode files, run the front end, write and keep the frames."""
        list(self.pool.map(self._fill_share, self.shares, [root] * len(self.shares)))

    @classmethod
    def _load(cls, source: Path) -> None:
        keep_freed_memory()
        torch.set_num_threads(1)
        cls.encoder = load_encoder(source)
        cls.cache = FrontCache(cls.encoder)

    @classmethod
    def _run_share(cls, clips: Sequence[Clip]) -> None:
        with limit_threads(1):
            for clip in clips:
                cls.encoder.front(load_waveform(clip.path))

    @classmethod
    def _fill_share(cls, clips: Sequence[Clip], root: Path) -> None:
        if cls.cache.root != root:
            cls.cache = FrontCache(cls.encoder, root)
        with limit_threads(1):
            for clip in clips:
                cls.cache.frames(clip)


def write_clips(folder: Path, count: int) -> tuple[Clip, ...]:
    """Clips of one label at 44.1 kHz."""
    place = folder / "clips" / "neutral"
    place.mkdir(parents=True, exist_ok=True)
    for index, waveform in enumerate(waveforms(count)):
        soundfile.write(place / f"{index:03}.flac", soxr.resample(waveform, SAMPLE_RATE, RATE), RATE)
    return load_corpus("folder", folder / "clips").clips


def measure(
    encoder: Encoder, processes: Processes, clips: tuple[Clip, ...], folder: Path, rounds: int
) -> dict[str, list[float]]:
    """Seconds that each step takes over all clips, in each round; a round fills new caches.

    No file is deleted meanwhile: ext4 makes new files slowly where many were deleted in the last minutes.
    """
    heard = [load_waveform(clip.path) for clip in clips]
    roots = [folder / str(number) for number in range(rounds)]
    empty = iter(roots)
    full = iter(roots)

    def fill() -> float:
        root = next(empty)
        seconds = seconds_of(lambda: FrontCache(encoder, root).fill(clips))
        if len(list(root.rglob("*.npy"))) != len(clips):
            raise SystemExit("the cache was not filled")
        return seconds

    others = (folder / f"of processes {number}" for number in count())
    encoder.front(heard[0])
    return alternate(
        {
            "front": lambda: seconds_of(lambda: [encoder.front(waveform) for waveform in heard]),
            "run": lambda: seconds_of(processes.run),
            "fill": fill,
            "processes": lambda: seconds_of(lambda: processes.fill(next(others))),
            "read": lambda: seconds_of(lambda: FrontCache(encoder, next(full)).fill(clips)),
            "decode": lambda: seconds_of(lambda: [load_waveform(clip.path) for clip in clips]),
        },
        rounds,
    )


def make_rows(name: str, seconds: dict[str, list[float]], clips: int) -> Iterator[dict[str, Any]]:
    """What was measured, and the median over rounds of how fast filling is against what the cores allow."""
    for step, measured in (
        ("fill", "FrontCache.fill, empty cache"),
        ("processes", "what the cores allow: a process each, which fill a cache together"),
        ("run", "the same without a cache: decoding and the front end, nothing written"),
        ("front", "Encoder.front alone, waveforms in memory"),
        ("decode", "decoding and resampling alone, one thread"),
        ("read", "FrontCache.fill, full cache, by a new object"),
    ):
        milliseconds = 1000 * statistics.median(seconds[step]) / clips
        row = {
            "architecture": name,
            "measured": measured,
            "ms per clip": milliseconds,
            "clips per second": 1000 / milliseconds,
        }
        if step == "fill":
            ratios = [most / fill for most, fill in zip(seconds["processes"], seconds["fill"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            row |= {"speed against what the cores allow": middle, "half of the rounds": f"{low:.2f} to {high:.2f}"}
            row |= {"clips": clips, "rounds": len(ratios), "target": "≥ 0.95"}
        yield row


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    keep_freed_memory()  # as the command line does
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for architecture, build in ARCHITECTURES.items():
            number, rounds = (30, 2) if options.quick else SIZES[architecture]
            clips = write_clips(folder / f"{number} clips", number)
            source = build(folder / architecture)
            processes = Processes(source, clips)
            seconds = measure(load_encoder(source), processes, clips, folder / f"{architecture} cache", rounds)
            processes.pool.shutdown()
            rows += make_rows(architecture, seconds, number)
    notes = [
        f"FLAC clips of 2.4 s in the mean at {RATE / 1000} kHz, alternating rounds, a new cache in each. Files lie in "
        "the memory of the operating system; each filling hashes the encoder's weights.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
