"""How long `voicefit report` takes on a sweep as large as the publication's under three methods, and what memory.

The trials are made up and written through the real store; the command runs in a process of its own, as a user runs it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import LABELS, parse_options, publish, seconds_of
from voicefit.scores import reliability
from voicefit.sweep.plan import NONE
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.specs import TrialSpec

CORPORA = ("emodb", "emovo", "ravdess", "tess")
STARTS = (NONE, *("+".join(names) for size in range(1, 5) for names in combinations(CORPORA, size)))
METHODS = {"full": 0.0, "head": 0.02, "prototype": -0.03}
KS = (2, 4, 8, 16, 24, 32, 64)
COMMAND = "import sys; from voicefit.cli.app import main; sys.argv[0] = 'voicefit'; main()"


@dataclass(frozen=True)
class Size:
    """How many trials: 16 starting points × 3 methods × 5 emotions × 7 k times these."""

    speakers: int
    draws: int


def make_specs(size: Size) -> Iterator[TrialSpec]:
    """One-vs-rest trials of one encoder and target: 33,600 a method with 20 speakers and 3 draws."""
    speakers = [f"s{speaker:02}" for speaker in range(size.speakers)]
    cells = product(STARTS, METHODS, speakers, LABELS[:5], KS, range(size.draws))
    for start, method, speaker, label, k, draw in cells:
        yield TrialSpec("tiny", start, "", "target", "clean", "one-vs-rest", method, "", speaker, label, k, draw, 0)


def fill(run: Path, size: Size) -> int:
    """Write a run: its record, and scores that rise with k and fall short of one; the number of trials."""
    generator = np.random.default_rng(0)
    levels = {f"s{speaker:02}": generator.normal(0, 0.03) for speaker in range(size.speakers)}
    written = 0
    with RunDirectory(run).open_store(read_only=False) as store:
        for spec in make_specs(size):
            corpora = 0 if spec.start == NONE else spec.start.count("+") + 1
            mean = 0.45 + 0.075 * np.log2(spec.k) + 0.02 * corpora / np.sqrt(spec.k) + METHODS[spec.method]
            score = float(np.clip(mean + levels[spec.speaker] + generator.normal(0, 0.06), 0, 1))
            scores = dict.fromkeys(("macro_f1", "accuracy", "balanced_accuracy"), score)
            support = [f"{spec.speaker}/{spec.label}/{clip:03}.flac" for clip in range(spec.k)]
            more: dict[str, Any] = {"floor_never": 0.444, "floor_coin": 0.451, "test_clips": 150}
            logits = generator.normal(0, 2, (150, 2))
            more["calibration"] = reliability(logits, (generator.random(150) > score).astype(int).tolist())
            store.add(spec, {**scores, **more, "support": support, "seconds": float(generator.gamma(2, 0.01))})
            written += 1
    described = {name: {"clips": 500, "speakers": 10} for name in CORPORA}
    record = {"planned_trials": written, "plan": {}, "corpora": described}
    RunDirectory(run).record_path.write_text(json.dumps(record))
    return written


def report_once(run: Path) -> tuple[float, float]:
    """Wall-clock seconds and peak memory in MB of `voicefit report RUN`, from the start of its process to the end."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", COMMAND, "report", str(run)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("voicefit report failed, see above")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    size, rounds = (Size(speakers=3, draws=1), 1) if options.quick else (Size(speakers=20, draws=3), 3)
    with tempfile.TemporaryDirectory() as name:
        run, trials = Path(name), 0

        def write() -> None:
            nonlocal trials
            trials = fill(run, size)

        writing = seconds_of(write)
        seconds, memory = zip(*(report_once(run) for _ in range(rounds)), strict=True)
        files = [file for file in RunDirectory(run).report.rglob("*") if file.is_file()]
        page = (RunDirectory(run).report / "index.html").stat().st_size / 1e6
        whole = sum(file.stat().st_size for file in files) / 1e6
        store = RunDirectory(run).store_path.stat().st_size / 1e6
    rows = [
        {"measured": f"voicefit report, {trials:,} trials", "value": statistics.median(seconds), "unit": "s"},
        {"measured": "… its peak memory", "value": max(memory), "unit": "MB"},
        {"measured": "… its page", "value": page, "unit": "MB"},
        {"measured": f"… the {len(files)} files of the report", "value": whole, "unit": "MB"},
        {"measured": f"the store that it reads, written in {writing:.0f} s", "value": store, "unit": "MB"},
    ]
    targets = {0: "< 20", 1: "< 2,000"}
    note = (
        f"16 starting points × 3 methods × {size.speakers} speakers × 5 emotions × 7 k × {size.draws} draws, one "
        f"encoder; median of {rounds} (memory: the most), from the start of the process to its end."
    )
    publish([{**row, "target": targets.get(i, "")} for i, row in enumerate(rows)], options, [note])


if __name__ == "__main__":
    main()
