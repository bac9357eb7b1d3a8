"""Hours that the publication's 33,600 trials of full fine-tuning take here, projected from measured trials.

wav2vec 2.0 Base and one speaker with ESD's clips: 100 to validate on, 150 to test on, 3 s each. What an epoch costs is
what four take more than one; k that are not measured lie on a line between those that are. Meant for a GPU, which
workers share; on a processor the full run takes hours.
"""

import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import build_wav2vec2_base, parse_options, publish, write_esd_speaker
from voicefit.adaptation import METHODS
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache, Reading, load_encoder
from voicefit.prefinetuning.settings import PAPER
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.jobs import each_record
from voicefit.sweep.plan import NONE
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.trial_jobs import StartingPoint, TrialJobs, run_trials
from voicefit.system.machine import devices, has_bfloat16

KS = (2, 4, 8, 16, 24, 32, 64)
TRIALS_PER_K = 16 * 20 * 5 * 3
"""Starting points × speakers × emotions × draws."""

EPOCHS = (40, 200)
"""About the median on real speech (benchmarks/early_verdicts.md), and the most."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    layers: int
    clips: tuple[int, int, int]  # of each label, to train, validate and test on
    ks: tuple[int, ...]
    workers: tuple[int, ...]
    epochs: tuple[int, int]
    draws: int  # the first of which is not counted


FULL = Size(12, (32, 20, 30), (2, 16, 64), (1, 4), (5, 20), 3)
QUICK = Size(1, (4, 1, 1), (2, 8), (1,), (1, 2), 2)


def make_trial_jobs(folder: Path, size: Size) -> TrialJobs:
    """The clips in the front-end cache, the encoder under a name for every worker, and a method for each length."""
    precision = "bfloat16" if has_bfloat16(torch.device(devices()[0])) else "float32"
    source = build_wav2vec2_base(folder / "base", size.layers)
    corpus = load_corpus("esd-like", write_esd_speaker(folder, size.clips, seconds=3.0))
    FrontCache(load_encoder(source).to(devices()[0]), folder / "cache").fill(corpus.clips)
    start = StartingPoint(str(source), Reading())
    methods = {
        str(epochs): PlannedMethod(METHODS["published"].configured(epochs=epochs, patience=epochs, precision=precision))
        for epochs in size.epochs
    }
    starts = {StartId(f"encoder-{worker}", NONE): start for worker in range(max(size.workers))}
    threads = max(1, (os.cpu_count() or 1) // max(size.workers))
    return TrialJobs(starts, {corpus.name: corpus}, methods, folder / "cache", threads, devices())


def measure(jobs: TrialJobs, size: Size) -> Iterator[dict[str, Any]]:
    """A row per number of workers, each of which runs the same trials at the same time."""
    few, many = size.epochs
    for workers in size.workers:
        seconds = {key: statistics.mean(found) for key, found in _seconds(jobs, size, workers).items()}
        epoch = {k: (seconds[k, many] - seconds[k, few]) / (many - few) / workers for k in size.ks}
        rest = {k: seconds[k, few] / workers - few * epoch[k] for k in size.ks}
        row: dict[str, Any] = {"workers": workers}
        row |= {f"k = {k}: ms an epoch": 1000 * epoch[k] for k in size.ks}
        row["… and a trial"] = 1000 * statistics.mean(rest.values())
        for epochs in EPOCHS:
            hours = TRIALS_PER_K * sum(_at(KS, rest) + epochs * _at(KS, epoch)) / 3600
            row[f"hours for the grid, {epochs} epochs a trial"] = hours
        yield row | {"target": "≤ 24" if devices() != ["cpu"] else ""}


def _seconds(jobs: TrialJobs, size: Size, workers: int) -> dict[tuple[int, int], list[float]]:
    """(k, epochs) → what its trials took, those apart in which a worker meets shapes for the first time."""
    (corpus,) = jobs.targets.values()
    speaker, label = corpus.speakers[0], corpus.labels[0]
    trials = [
        TrialSpec(
            f"encoder-{worker}", NONE, "", corpus.name, PAPER, ONE_VS_REST, method, "", speaker, label, k, draw, 0
        )
        for worker, draw, k, method in product(range(workers), range(size.draws), size.ks, map(str, size.epochs))
    ]
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for record in each_record(run_trials(trials, replace(jobs, workers=workers), workers)):
        if record.error is not None:
            raise SystemExit(f"a trial failed: {record.error}")
        if record.job.draw:
            found[record.job.k, int(record.job.method)].append(record.result["seconds"])
    return found


def _at(ks: Sequence[int], found: dict[int, float]) -> np.ndarray:
    return np.interp(ks, list(found), list(found.values()))


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as name:
        rows = list(measure(make_trial_jobs(Path(name), size), size))
    _, validation, test = (5 * count for count in size.clips)
    clips = f"{validation} validation and {test} test clips of 3 s"
    heard = "A GPU hears all validation clips in every epoch, a processor those that it needs."
    publish(rows, options, [f"wav2vec 2.0 Base, {size.layers} of its layers; {clips}; {devices()}. {heard}"])


if __name__ == "__main__":
    main()
