"""What a sweep adds to each trial, and what a second worker adds to a sweep: the costs that no method can avoid.

The first is measured on a method that does nothing, in a whole sweep; its parts are timed while it runs. Then both
engines run such trials, and trials that train, with one worker and with two.
"""

import contextlib
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.common import alternate, build_trial_jobs, parse_options, publish, trials_per_second, write_speakers
from voicefit.adaptation import METHODS, Method, Shots
from voicefit.adaptation.method import MethodSettings
from voicefit.corpora import load_corpus
from voicefit.encoders import Encoder
from voicefit.heads.head import Head
from voicefit.sweep import loaded_plan, run, trial
from voicefit.sweep.episodes import SpeakerEpisodes
from voicefit.sweep.jobs import Outcome
from voicefit.sweep.plan import make_plan
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.ray_cluster import import_ray
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.store import TrialStore
from voicefit.sweep.trial_jobs import TrialJobs, run_trials


def answer_first(encoder: Encoder, shots: Shots, settings: MethodSettings, seed: int) -> Head:
    """A head that gives every clip the first class."""
    weight, bias = encoder.projection
    return Head(weight, bias, np.zeros((shots.classes, len(bias))), np.zeros(shots.classes))


NO_OP = Method("no-op", answer_first, MethodSettings, version=1)

ENGINES = ("process", "ray")
DRAWS = {"no-op": 10_000, "full": 2000}  # times 6 labels: enough for one worker until the other has begun, and after
PARTS = {
    "expanding the plan": [(loaded_plan, "expand_trials")],
    "drawing the episode": [(SpeakerEpisodes, "make")],
    "scores and floors": [(trial, "score_all"), (trial, "floors_of")],
    "writing the record": [(TrialStore, "add_all")],
}


@contextlib.contextmanager
def timed_parts() -> Iterator[Counter[str]]:
    """Add up the seconds that each part takes inside the block."""
    seconds: Counter[str] = Counter()

    def timed(part: str, function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds[part] += time.perf_counter() - began

        return call

    with contextlib.ExitStack() as patches:
        for part, functions in PARTS.items():
            for owner, name in functions:
                patches.enter_context(patch.object(owner, name, timed(part, getattr(owner, name))))
        yield seconds


def overhead_rows(jobs: TrialJobs, out: Path, draws: int) -> Iterator[dict[str, Any]]:
    """A sweep of the method that does nothing: one speaker, whose clips are pooled before the first record."""
    (corpus,), (start, _) = jobs.targets.values(), jobs.starts.values()
    grid = {"starts": ["none"], "methods": ["no-op"], "draws": draws}
    encoder = {"source": start.source, "depth": start.reading.depth}
    raw = {"encoders": {"tiny": encoder}, "targets": {"folder": str(corpus.root)}, "grid": [grid]}
    arrivals: list[float] = []
    with patch.dict(METHODS, {NO_OP.name: NO_OP}), timed_parts() as seconds:
        plan = make_plan(raw, "benchmark")
        result = run.run_sweep(
            plan,
            out,
            cache_root=jobs.cache_root,
            progress=lambda what, done, total: arrivals.append(time.perf_counter()) if what == "trials" else None,
        )
    if result.failed:
        raise SystemExit(f"{result.failed} trials failed")
    parts = {part: 1000 * seconds[part] / result.finished for part in PARTS}
    loop = 1000 * (arrivals[-1] - arrivals[0]) / (result.finished - 1)
    whole = loop + parts["expanding the plan"]
    yield _row(f"overhead of a sweep, {result.finished:,} trials", whole, "ms per trial", "≤ 5")
    for part, milliseconds in {**parts, "the rest": whole - sum(parts.values())}.items():
        yield _row(f"… of which {part}", milliseconds, "ms per trial")


@contextlib.contextmanager
def ray_cluster_of(cpus: int) -> Iterator[Callable[..., Generator[Outcome[TrialSpec]]]]:
    """The Ray engine, on a cluster of this machine that lends as many CPUs, each to a worker of one thread."""
    ray = import_ray(local=True)
    ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        from voicefit.sweep import ray_engine

        yield ray_engine.run_trials
    finally:
        ray.shutdown()


def worker_rows(jobs: TrialJobs, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """One worker and two of each engine in turn, on trials that do nothing and on trials that train the encoder."""

    def rate(engine: str, workers: int, method: str) -> float:
        with ray_cluster_of(workers) if engine == "ray" else contextlib.nullcontext(run_trials) as trials_of:
            return trials_per_second(jobs, method, 2, workers, seconds, run=trials_of, draws=DRAWS[method])

    for method, what in {"no-op": "trials that do nothing", "full": "full fine-tuning"}.items():
        cases = {(engine, workers): partial(rate, engine, workers, method) for engine in ENGINES for workers in (1, 2)}
        rates = alternate(cases, rounds)
        for (engine, workers), values in rates.items():
            found = statistics.median(values)
            cost = (1000 / found, "ms per trial") if method == "no-op" else (found, "trials per second")
            yield _row(f"{what}, {engine}, {workers} worker{'s' * (workers > 1)}", *cost)
        for engine in ENGINES:
            ratio = statistics.median(two / one for one, two in zip(rates[engine, 1], rates[engine, 2], strict=True))
            aim = "≥ 1.8" if method == "full" else ""
            yield _row(f"{what}, {engine}, 2 workers against 1", ratio, "times as fast", aim)


def _row(measured: str, value: float, unit: str, target: str = "") -> dict[str, Any]:
    return {"measured": measured, "value": value, "target": target, "unit": unit}


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    draws, rounds, seconds = (20, 1, 5.0) if options.quick else (100, 3, 15.0)
    methods = {"full": PlannedMethod(METHODS["full"].configured(steps=5)), "no-op": PlannedMethod(NO_OP.configured())}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = load_corpus("folder", write_speakers(folder / "small", 1, clips_per_label=3))
        large = load_corpus("folder", write_speakers(folder / "large", 1, clips_per_label=48))
        jobs = build_trial_jobs(folder, small, methods, depth=1)
        rows = [
            *overhead_rows(build_trial_jobs(folder, large, {}, depth=1), folder / "run", draws),
            *worker_rows(jobs, rounds, seconds),
        ]
    notes = [
        "Overhead: k = 2 … 64, 96 test clips, Whisper tiny architecture; from the first record to the last, and the "
        "expansion of the plan. Left out: the loading of the encoder, the front end and the pooling of the clips.",
        f"Workers: k = 2, 6 test clips, 1 thread each, {rounds} rounds of {seconds:.0f} s, counted from when every "
        "worker has finished a trial: without the start of processes. Full fine-tuning is that of 1 layer, 5 steps. "
        "One worker of the engine `process` is the process itself.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
