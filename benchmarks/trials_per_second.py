"""Trials per second of the methods that leave the encoder as it is: whether a grid of 33,600 takes minutes or days.

Each trial is a whole one (draw an episode, fit, score every test clip of the speaker) on cached features. `prior`
begins at `mini`, as `voicefit adapt` does.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import LABELS, build_trial_jobs, parse_options, publish, trials_per_second, write_speakers
from voicefit.adaptation import METHODS
from voicefit.checkpoints.start import open_start
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache, Reading
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.trial_jobs import StartingPoint, TrialJobs
from voicefit.system.hub import MINI

GRID = 33_600
TARGETS = {"prototype": 200, "head": 50, "prior": 50}


def measure(jobs: TrialJobs, ks: tuple[int, ...], seconds: float) -> Iterator[dict[str, Any]]:
    """A row per method, number of shots and number of workers."""
    for method in jobs.methods:
        for k in ks:
            for workers in (1, 2):
                rate = trials_per_second(jobs, method, k, workers, seconds)
                yield {
                    "method": method,
                    "k": k,
                    "workers (1 thread each)": workers,
                    "trials per second": rate,
                    "target": f"≥ {TARGETS[method]}" if workers == 2 else "",
                    f"minutes for {GRID:,} trials": GRID / rate / 60,
                }


def start_at_mini(jobs: TrialJobs, methods: dict[str, PlannedMethod]) -> TrialJobs:
    """The same clips, from the checkpoint that comes with Voicefit."""
    encoder, (corpus,) = open_start(MINI).encoder, jobs.targets.values()
    FrontCache(encoder, jobs.cache_root).fill(corpus.clips)
    start = StartingPoint(MINI, Reading(frozen_layers=encoder.frozen_layers, front_end=encoder.front_end))
    return replace(jobs, starts=dict.fromkeys(jobs.starts, start), methods=methods)


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    clips_per_label = 15 if options.quick else 48  # a third of them for testing leaves 32 of each label for k = 64
    methods = {name: PlannedMethod(METHODS[name].configured()) for name in TARGETS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = load_corpus("folder", write_speakers(folder / "clips", 1, clips_per_label))
        plain = build_trial_jobs(folder, corpus, {name: methods[name] for name in ("prototype", "head")}, depth=1)
        rows = []
        for jobs in (plain, start_at_mini(plain, {"prior": methods["prior"]})):
            rows += measure(jobs, *(((8,), 1.5) if options.quick else ((2, 8, 64), 6.0)))
    notes = [
        f"Whisper tiny architecture, 1 layer (prior: mini); {clips_per_label // 3 * len(LABELS)} test clips a trial; "
        "head has its default, fixed penalty.",
        "Counted from when every worker has finished a trial: without the start of processes, the loading of the "
        "encoder and the pooling of the speaker's clips.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
