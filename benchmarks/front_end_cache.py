"""Filling the front-end cache against the front end alone: what decoding, resampling and writing cost before a sweep.

The clips are FLAC files at 44.1 kHz, so that each must be decoded and resampled; nothing of the first is in the cache.
"""

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile
import soxr

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

RATE = 44_100


def write_clips(folder: Path, count: int) -> tuple[Clip, ...]:
    """Clips of one label at 44.1 kHz."""
    place = folder / "clips" / "neutral"
    place.mkdir(parents=True)
    for index, waveform in enumerate(waveforms(count)):
        soundfile.write(place / f"{index:03}.flac", soxr.resample(waveform, SAMPLE_RATE, RATE), RATE)
    return load_corpus("folder", folder / "clips").clips


def measure(encoder: Encoder, clips: tuple[Clip, ...], root: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds that each step takes over all clips, in each round; the cache is emptied at the end of a round."""
    heard = [load_waveform(clip.path) for clip in clips]

    def fill() -> float:
        cache = FrontCache(encoder, root)
        seconds = seconds_of(lambda: cache.fill(clips))
        if len(list(root.rglob("*.npy"))) != len(clips):
            raise SystemExit("the cache was not filled")
        return seconds

    def read() -> float:
        cache = FrontCache(encoder, root)
        seconds = seconds_of(lambda: cache.fill(clips))
        shutil.rmtree(root)
        return seconds

    encoder.front(heard[0])
    return alternate(
        {
            "front": lambda: seconds_of(lambda: [encoder.front(waveform) for waveform in heard]),
            "fill": fill,
            "read": read,
            "decode": lambda: seconds_of(lambda: [load_waveform(clip.path) for clip in clips]),
        },
        rounds,
    )


def make_rows(name: str, seconds: dict[str, list[float]], clips: int) -> Iterator[dict[str, Any]]:
    """What was measured, and the median over rounds of how fast it is against the front end alone."""
    rounds = {step: list(values) for step, values in seconds.items()}
    rounds["more"] = [fill - front for fill, front in zip(seconds["fill"], seconds["front"], strict=True)]
    for step, measured in (
        ("fill", "FrontCache.fill, empty cache"),
        ("front", "Encoder.front alone, waveforms in memory"),
        ("decode", "decoding and resampling alone"),
        ("more", "fill − front: decoding, hashing and writing not overlapped"),
        ("read", "FrontCache.fill, full cache, by a new object"),
    ):
        milliseconds = 1000 * statistics.median(rounds[step]) / clips
        row = {"architecture": name, "measured": measured, "ms per clip": milliseconds}
        if step != "more":
            row["clips per second"] = 1000 / milliseconds
        if step == "fill":
            ratios = [front / fill for front, fill in zip(rounds["front"], rounds["fill"], strict=True)]
            row |= {"speed against the front end alone": statistics.median(ratios), "target": "≥ 0.90"}
        yield row


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    count, rounds = (30, 2) if options.quick else (150, 5)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = write_clips(folder, count)
        for architecture, build in ARCHITECTURES.items():
            encoder = load_encoder(build(folder / architecture))
            rows += make_rows(architecture, measure(encoder, clips, folder / "cache", rounds), count)
    notes = [
        f"{count} FLAC clips of 2.4 s in the mean at {RATE / 1000} kHz, {rounds} alternating rounds, an empty cache in "
        "each. Files lie in the memory of the operating system; hashing the encoder's weights, once, is not counted.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
