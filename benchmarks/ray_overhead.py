"""What scheduling costs: the same trials that do nothing, run by each engine and written to a store, as in a sweep.

Trials are those of many speakers, so that workers are given work over and over. The encoder is the smallest there is;
what it takes to pool a speaker's clips is in every row alike.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import torch

from benchmarks import sweep_overhead
from benchmarks.common import LABELS, alternate, build_small, parse_options, publish, write_speakers
from benchmarks.sweep_overhead import NO_OP, ray_cluster_of
from voicefit.corpora import Corpus, load_corpus
from voicefit.encoders import FrontCache, Reading, load_encoder
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.jobs import Outcome, each_record
from voicefit.sweep.plan import NONE
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.ray_cluster import import_ray
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.store import TrialStore
from voicefit.sweep.trial_jobs import StartingPoint, TrialJobs, run_trials

SPEAKERS = 50
CASES = [("process", 1), ("process", 2), ("ray", 1), ("ray", 2)]


def build(folder: Path) -> TrialJobs:
    """Speakers of 18 clips of 0.3 s each, in the front-end cache of an encoder of 32 channels."""
    corpus = load_corpus("folder", write_speakers(folder / "clips", SPEAKERS, clips_per_label=3, seconds=0.3))
    start = StartingPoint(str(build_small(folder / "small")), Reading())
    FrontCache(load_encoder(start.source), folder / "cache").fill(corpus.clips)
    method = PlannedMethod(NO_OP.configured())
    return TrialJobs(
        {StartId("small", NONE): start}, {"folder": corpus}, {"no-op": method}, folder / "cache", threads=1
    )


def make_trials(corpus: Corpus, count: int) -> list[TrialSpec]:
    """One-vs-rest trials of every speaker and label, speaker by speaker."""
    draws = -(-count // (SPEAKERS * len(LABELS)))
    cells = islice(product(corpus.speakers, corpus.labels, range(draws)), count)
    return [
        TrialSpec("small", NONE, "", corpus.name, "clean", ONE_VS_REST, "no-op", "", speaker, label, 2, draw, 0)
        for speaker, label, draw in cells
    ]


def run_case(jobs: TrialJobs, trials: list[TrialSpec], engine: str, workers: int) -> tuple[float, float]:
    """Seconds to the first record, from when the cluster is up, and from the first record to the last."""

    def measured(run: Callable[..., Generator[Outcome[TrialSpec]]]) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as name, TrialStore(Path(name) / "trials.sqlite") as store:
            began, arrivals = time.perf_counter(), []
            for record in each_record(run(trials, jobs, workers)):
                if record.error is not None:
                    raise SystemExit(f"a trial failed: {record.error}")
                store.add(record.job, record.result)
                arrivals.append(time.perf_counter())
        return arrivals[0] - began, arrivals[-1] - arrivals[0]

    with ray_cluster_of(workers) if engine == "ray" else contextlib.nullcontext(run_trials) as run:
        return measured(run)


def row_of(engine: str, workers: int, count: int, times: list[tuple[float, float]]) -> dict[str, Any]:
    """The rounds of one case, as :func:`run_case` gives them."""
    each = [1000 * seconds / (count - 1) for _, seconds in times]
    return {
        "engine": engine,
        "workers": workers,
        "trials": f"{count:,}",
        "ms per trial": statistics.median(each),
        "fastest round": min(each),
        "slowest round": max(each),
        "s to the first record": statistics.median(first for first, _ in times),
    }


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    count, rounds, cases = (1000, 1, CASES[::2]) if options.quick else (10_000, 3, CASES)
    import_ray(local=True).cloudpickle.register_pickle_by_value(sweep_overhead)  # workers have no such module
    with tempfile.TemporaryDirectory() as name:
        jobs = build(Path(name))
        trials = make_trials(jobs.targets["folder"], count)
        actions: dict[Any, Callable[[], Any]] = {case: partial(run_case, jobs, trials, *case) for case in cases}
        found = alternate(actions, rounds)
    rows = [row_of(*case, count, times) for case, times in found.items()]
    notes = [
        f"{SPEAKERS} groups of {count // SPEAKERS} trials, 1 thread a worker, {rounds} rounds; median. From the first "
        "record to the last, each written to the store. One worker of the engine `process` is the process itself.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
