"""How many trials a second run in batches, beside another commit, and whether their scores are the same.

Both run the same trials in turn: clips of noise in the front-end cache, two workers of one thread each. The other
commit is 9a4818d, from before batches, with an environment of its own:

    git worktree add ../other 9a4818d && python -m venv ../other/.venv
    ../other/.venv/bin/pip install --constraint constraints.txt ../other
    python -m benchmarks.batches --other ../other
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.common import (
    Options,
    build_trial_jobs,
    make_trials,
    publish,
    trials_per_second,
    write_speakers,
)
from benchmarks.trials_per_second import start_at_mini
from voicefit.adaptation import METHODS
from voicefit.corpora import load_corpus
from voicefit.sweep.jobs import each_record
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.trial_jobs import TrialJobs, run_trials

TARGETS = {"prototype": 10, "head": 8, "prior": 10, "zero-shot": 10, "joint": 0}
AT_MINI = ("prior", "zero-shot", "joint")
ROUNDS, SECONDS, COMPARED = 3, 4.0, 300

_BEFORE = """
import json, sys, torch
from dataclasses import replace
from pathlib import Path
from common import build_workplace, make_trials, run_trials, trials_per_second
from trials_per_second import start_at_mini
from voicefit.adaptation import METHODS, Method
from voicefit.corpora import load_corpus

torch.set_num_threads(1)
folder, method, k, seconds, compared, at_mini = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:7])
corpus = load_corpus("folder", folder / "clips")
methods = {method: Method(method, METHODS[method].Settings())}
jobs = build_workplace(folder, corpus, methods, depth=1)
jobs = start_at_mini(jobs, methods) if at_mini else jobs
rate = trials_per_second(jobs, method, k, 2, seconds) if seconds else 0
trials = make_trials(corpus, method, k, 1, compared // 6)
results = [result for _, result in run_trials(trials, jobs, 1)]
memory = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps([rate, int(memory[0]) / 1024, results]))
"""
"""Measures the other commit, by what its own benchmarks share."""


def measure(folder: Path, method: str, k: int, seconds: float, compared: int) -> list[Any]:
    """Trials a second; of one process that runs ``compared``: peak MB, what came of them, and seconds of solves."""
    torch.set_num_threads(1)
    jobs, corpus = _jobs(folder, method)
    rate = trials_per_second(jobs, method, k, 2, seconds) if seconds else 0
    trials = make_trials(corpus, method, k, 1, compared // 6)
    with _timed_solves() as solves:
        results = [record.result for record in each_record(run_trials(trials, jobs, 1))]
    memory = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
    return [rate, int(memory[0]) / 1024, results, sum(solves)]


@contextmanager
def _timed_solves() -> Iterator[list[float]]:
    """The seconds of each call of LAPACK's solver by numpy, while the block lasts."""
    seconds: list[float] = []
    solve = np.linalg.solve

    def timed(matrices: np.ndarray, sides: np.ndarray) -> np.ndarray:
        begin = time.perf_counter()
        solution = solve(matrices, sides)
        seconds.append(time.perf_counter() - begin)
        return solution

    with mock.patch("numpy.linalg.solve", timed):
        yield seconds


def _jobs(folder: Path, method: str) -> tuple[TrialJobs, Any]:
    corpus = load_corpus("folder", folder / "clips")
    methods = {method: PlannedMethod(METHODS[method].configured())}
    jobs = build_trial_jobs(folder, corpus, methods, depth=1)
    return start_at_mini(jobs, methods) if method in AT_MINI else jobs, corpus


def run(python: Path | str, code: list[str], place: Path, arguments: list[Any]) -> list[Any]:
    """What a process of either commit prints."""
    environment = {**os.environ, "PYTHONPATH": str(place / "src"), "OMP_NUM_THREADS": "1"}
    where = place / "benchmarks" if code[0] == "-c" else place
    command = [str(python), *code, *map(str, arguments)]
    done = subprocess.run(command, cwd=where, env=environment, check=True, capture_output=True, text=True)
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows_of(other: Path, folder: Path, ks: tuple[int, ...], rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """A row per method and number of shots."""
    here = Path(__file__).resolve().parents[1]
    now = (sys.executable, ["-m", "benchmarks.batches", "--measure"], here)
    before = (other / ".venv/bin/python", ["-c", _BEFORE], other)
    for method, target in TARGETS.items():
        for k in ks:
            arguments = [folder, method, k, round(seconds), COMPARED, int(method in AT_MINI)]
            pairs = []
            for _ in range(rounds):
                pairs.append((run(*now, arguments), run(*before, arguments) if target else None))
            rate = statistics.median(found[0] for found, _ in pairs)
            row = {"method": method, "k": k, "trials per second": rate, "peak memory, MB": pairs[0][0][1]}
            if solves := statistics.median(found[3] for found, _ in pairs):
                row["solves alone allow"] = 2 * COMPARED / solves
            if target:
                rates = [known[0] for _, known in pairs if known]
                ratio = statistics.median(found[0] / known[0] for found, known in pairs if known)
                row |= {"before": statistics.median(rates), "times as many": ratio, "target": f"≥ {target}"}
                row |= _differences(pairs[0][0][2], pairs[0][1][2])
            yield row


def _differences(found: list[dict[str, Any]], known: list[dict[str, Any]]) -> dict[str, Any]:
    """The largest difference of a score, and how many trials differ in a digit of anything else that is stored."""
    scores = ("macro_f1", "accuracy", "balanced_accuracy", "floor_never", "floor_coin")
    largest = max(abs(one[name] - other[name]) for one, other in zip(found, known, strict=True) for name in scores)
    rest = ("calibration", "support", "test_clips")
    other = sum(any(one[name] != two[name] for name in rest) for one, two in zip(found, known, strict=True))
    return {
        "largest difference of a score": f"{largest:.1g}",
        "trials that differ otherwise": f"{other} of {len(found)}",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--other", type=Path, metavar="CHECKOUT", help="of commit 9a4818d, with .venv in it")
    parser.add_argument("--measure", nargs=6, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="k = 8 alone, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    options = parser.parse_args()
    if options.measure:
        folder, method, k, seconds, compared, _ = options.measure
        print(json.dumps(measure(Path(folder), method, int(k), int(seconds), int(compared))))
        return
    if options.other is None:
        parser.error("--other is needed")
    with tempfile.TemporaryDirectory() as name:
        write_speakers(Path(name) / "clips", 1, 48)
        ks, rounds = ((8,), 1) if options.quick else ((2, 8, 64), ROUNDS)
        rows = list(rows_of(options.other.resolve(), Path(name), ks, rounds, SECONDS))
    notes = [
        f"Two workers, 1 thread each, {SECONDS:.0f} s of each in turn, medians of {rounds}; 96 test clips a trial. "
        "Counted from when every worker has finished a trial or a batch. Before: commit 9a4818d.",
        f"Scores of {COMPARED} trials of each row are compared.",
        "Solves alone allow: trials per second if a trial took only the time of LAPACK's solves.",
    ]
    publish(rows, Options(options.quick, options.json), notes)


if __name__ == "__main__":
    main()
