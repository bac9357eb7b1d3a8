"""How long an adapted model takes to answer, one clip at a time and 16 together: whether it keeps up with speech.

One clip goes the way of a user, `Model.predict` on a waveform; 16 go through the parts of the encoder that sweeps use.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import (
    ARCHITECTURES,
    parse_options,
    publish,
    seconds_of,
    waveforms,
    write_speakers,
)
from voicefit import adapt
from voicefit.encoders import Encoder, load_encoder

BATCH = 16
ENOUGH = 20  # calls for a 95th percentile


@torch.no_grad()
def predict_batch(encoder: Encoder, clips: list[np.ndarray]) -> list[list[float]]:
    """The probabilities of each clip's labels: the front end clip by clip, the rest in batches."""
    pooled = encoder.pool([encoder.front(clip) for clip in clips])
    return encoder.model.classifier(encoder.projector(pooled)).softmax(-1).tolist()


def latencies(action: Callable[[], Any], seconds: float, least: int) -> list[float]:
    """Seconds of each of at least ``least`` calls, after one that is not counted, for about ``seconds``."""
    action()
    began, found = time.perf_counter(), []
    while len(found) < least or time.perf_counter() - began < seconds:
        found.append(seconds_of(action))
    return found


def make_row(case: dict[str, Any], seconds: list[float]) -> dict[str, Any]:
    """A percentile is given where there are calls enough for it."""
    median = statistics.median(seconds)
    return {
        **case,
        "latency, median, ms": 1000 * median,
        "latency, 95th percentile, ms": 1000 * float(np.percentile(seconds, 95)) if len(seconds) >= ENOUGH else "",
        "seconds of audio per second": case["clips at once"] * case["seconds a clip"] / median,
        "calls": len(seconds),
    }


def measure(folder: Path, lengths: tuple[float, ...], quick: bool) -> Iterator[dict[str, Any]]:
    """A row per architecture, batch size, length of the clips and number of threads."""
    shots = write_speakers(folder / "clips", 1, 2) / "s0"
    for name, build in ARCHITECTURES.items():
        out = folder / f"{name} adapted"
        model = adapt(build(folder / name), shots, out=out, method="prototype").model
        encoder = load_encoder(out)
        for batch, length, threads in product((1, BATCH), lengths, (1, 2)):
            clips = waveforms(batch, seconds=length)
            torch.set_num_threads(threads)
            action = partial(model.predict, clips[0]) if batch == 1 else partial(predict_batch, encoder, clips)
            seconds = latencies(action, 0.5 if quick else 2.0, least=3 if quick or batch > 1 else ENOUGH)
            case = {"architecture": name, "clips at once": batch, "seconds a clip": length, "threads": threads}
            yield make_row(case, seconds)


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    threads = torch.get_num_threads()
    lengths = (1.0,) if options.quick else (1.0, 3.0, 5.0)
    with tempfile.TemporaryDirectory() as name:
        rows = list(measure(Path(name), lengths, options.quick))
    torch.set_num_threads(threads)
    notes = [
        "All layers of each architecture, 6 labels. From a waveform in memory to probabilities; latency is that of the "
        "whole batch. Whisper hears every clip as 5 s, whatever its length.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
