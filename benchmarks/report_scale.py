"""What the report of a whole grid costs: 33,600 trials of each of three methods, made up, through the real store.

The grid is the publication's: every subset of four corpora, ten speakers, seven emotions, six k, five draws.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from common import LABELS, parse_options, publish

from voicefit.episodes import ONE_VS_REST
from voicefit.files import write_json
from voicefit.machine import describe_machine, describe_versions
from voicefit.sweep.plan import NONE, TrialSpec
from voicefit.sweep.store import TrialStore

CORPORA = ("ravdess", "tess", "emodb", "emovo")
STARTS = [NONE, *("+".join(subset) for size in range(1, 5) for subset in combinations(CORPORA, size))]
METHODS = ("full", "head", "prior")
EMOTIONS = (*LABELS, "disgust")
KS = (2, 4, 8, 16, 32, 64)
DRAWS = 5


def trials(speakers: int) -> Iterator[tuple[TrialSpec, dict[str, Any]]]:
    """Every trial, with a score that rises with k and corpora, and differs between speakers."""
    generator = np.random.default_rng(0)
    level = generator.normal(0, 0.03, speakers)
    grid = product(STARTS, METHODS, range(speakers), EMOTIONS, KS, range(DRAWS))
    for start, method, speaker, label, k, draw in grid:
        about = (start, start, "target", "clean", ONE_VS_REST, method, method, f"speaker-{speaker:02}", label)
        score = 0.45 + 0.06 * np.log2(k) + 0.02 * start.count("+") + level[speaker] + generator.normal(0, 0.06)
        floors = {"floor_never": 0.452, "floor_coin": 0.439}
        result = {
            "macro_f1": float(np.clip(score, 0, 1)),
            "seconds": 0.01,
            "support": [f"{draw}-{i}" for i in range(k)],
        }
        yield TrialSpec("encoder", *about, k, draw, 0), result | floors


def measure(speakers: int) -> dict[str, Any]:
    """Writes the store, and reports it in a process of its own."""
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with TrialStore(Path(folder, "trials.sqlite")) as store:
            for spec, result in trials(speakers):
                store.add(spec, result)
                count += 1
        wrote = time.perf_counter() - began
        record = {"planned_trials": count, "machine": describe_machine(), "versions": describe_versions(), "plan": {}}
        write_json(Path(folder, "run.json"), record)
        began = time.perf_counter()
        command = [sys.executable, "-c", "from voicefit.cli import main; main()", "report", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - began
        page = Path(folder, "report", "index.html").stat().st_size
    return {
        "trials": count,
        "starting points": len(STARTS),
        "methods": len(METHODS),
        "writing the store (s)": wrote,
        "report (s)": took,
        "peak memory (GB)": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
        "page (MB)": page / 2**20,
    }


if __name__ == "__main__":
    options = parse_options(__doc__)
    publish([measure(1 if options.quick else 10)], options)
