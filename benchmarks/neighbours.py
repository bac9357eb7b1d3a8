"""What a busy neighbour costs: commands on a quiet machine, and beside a process that multiplies on two threads.

The sweep and its dry run read EMOVO and EmoDB (`experiments/real_data.py`), from audio files to scores.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import parse_options, publish
from experiments.real_data import folder

ROUNDS = 3
BUSY = """
import torch
torch.set_num_threads(2)
square = torch.randn(1500, 1500)
while True:
    square @ square
"""
PLAN = """
[encoders.tiny]
source = "$VOICEFIT_MODELS/whisper-tiny.en-encoder-5s"
depth = 2
frozen_layers = 1
prefinetune = { train_encoder = false, max_epochs = 2 }
[corpora]
emodb = "$VOICEFIT_DATA/EmoDB"
[targets]
emovo = "$VOICEFIT_DATA/EMOVO"
[methods]
joint = { unlabelled = 1000 }
[[grid]]
methods = ["head", "prototype"]
tasks = ["multiclass"]
k = [7, 14, 28, 56]
[[grid]]
starts = ["all"]
methods = ["prior", "joint"]
tasks = ["one-vs-rest", "multiclass"]
k = [8, 16]
draws = 20
[[grid]]
starts = ["all"]
methods = ["full", "lora"]
tasks = ["multiclass"]
k = [7, 28]
draws = 1
"""


@contextlib.contextmanager
def neighbour() -> Iterator[None]:
    """Another program, which wants both cores."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    time.sleep(5)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def seconds(words: list[str], cache: Path) -> float:
    """Wall-clock seconds of one command, with an empty front-end cache."""
    shutil.rmtree(cache, ignore_errors=True)
    began = time.perf_counter()
    environment = os.environ | {"VOICEFIT_CACHE": str(cache)}
    subprocess.run([sys.executable, "-m", "voicefit", *words], check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


PARTS = ("predict", "adapt", "dry-run", "sweep", "demo")


def commands(place: Path, quick: bool) -> dict[str, list[str]]:
    """What is run; ``OUT`` becomes a new folder each time."""
    example = place / "example"
    subprocess.run([sys.executable, "-m", "voicefit", "example", str(example)], check=True, capture_output=True)
    found = {
        "predict": ["predict", "mini", str(next(example.glob("*.ogg")))],
        "adapt": ["adapt", str(example / "clips"), "--out", "OUT"],
    }
    if quick:
        return found
    os.environ |= {name: str(folder(name)) for name in ("VOICEFIT_DATA", "VOICEFIT_MODELS")}
    plan = place / "plan.toml"
    plan.write_text(PLAN, encoding="utf-8")
    return found | {
        "dry-run": ["sweep", str(plan), "--dry-run"],
        "sweep": ["sweep", str(plan), "--out", "OUT"],
        "demo": ["demo", "--out", "OUT"],
    }


def main() -> None:
    """A row for each command: medians of both, and the ratio; one round of a sweep and of the demo."""
    options = parse_options(__doc__, PARTS)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as root:
        place = Path(root)
        for name, words in commands(place, options.quick).items():
            if options.only and name not in options.only:
                continue
            rounds = 1 if options.quick or name in ("sweep", "demo") else ROUNDS
            medians = {}
            for beside, around in (("quiet", contextlib.nullcontext), ("busy", neighbour)):
                with around():
                    runs = [
                        seconds(
                            [word.replace("OUT", str(place / f"{name}-{beside}-{at}")) for word in words],
                            place / "cache",
                        )
                        for at in range(rounds)
                    ]
                medians[beside] = statistics.median(runs)
            ratio = medians["busy"] / medians["quiet"]
            rows.append(
                {
                    "command": name,
                    "rounds": rounds,
                    "quiet s": medians["quiet"],
                    "beside a neighbour s": medians["busy"],
                    "ratio": ratio,
                }
            )
    publish(rows, options)


if __name__ == "__main__":
    main()
