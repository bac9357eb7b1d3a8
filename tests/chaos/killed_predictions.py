"""Ten thousand clips are predicted to a CSV, which `kill -9` stops ten times: is any row lost, twice there, or changed?

    python tests/chaos/killed_predictions.py

The clips are stretches of a second of real speech, each of them another: from the corpora of `experiments.real_data`,
which must be here. The model is `mini`. Each kill comes at a random moment between two numbers of rows, and at a random
part of the work on a row. Then the same command resumes. In the end the CSV has to have every file once, and rows of
every tenth folder are compared with those of a run that nothing stopped. It takes minutes and is run by hand.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import load_corpus

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, folder

CLIPS = {False: 10_000, True: 300}
KILLS = {False: 10, True: 3}
VOICEFIT = [sys.executable, "-c", "from voicefit.cli.app import main; main()"]


def seconds_of_speech() -> Iterator[np.ndarray]:
    """Stretches of one second of the corpora's clips, one behind the other."""
    for name in FOLDERS:
        for clip in load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]).clips:
            waveform = load_waveform(clip.path)
            yield from np.split(waveform, range(SAMPLE_RATE, len(waveform), SAMPLE_RATE))[:-1]


def write_clips(root: Path, count: int) -> list[Path]:
    """Write so many files, a hundred in each folder; return the folders."""
    for index, samples in enumerate(islice(seconds_of_speech(), count)):
        path = root / f"{index // 100:03}" / f"{index:05}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, SAMPLE_RATE)
    return sorted(root.iterdir())


def start(clips: list[Path], out: Path) -> "subprocess.Popen[str]":
    """The command line, in a process of its own."""
    command = [*VOICEFIT, "predict", *clips, "--out", out]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def rows_of(out: Path) -> list[list[str]]:
    """The whole rows behind the header."""
    text = out.read_text(encoding="utf-8") if out.exists() else ""
    return list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))[1:]


def finish(run: "subprocess.Popen[str]") -> None:
    """Wait for its end, which must be a good one."""
    _, said = run.communicate()
    if run.returncode:
        raise SystemExit(f"predict ended with exit code {run.returncode}: {said[-500:]}")


def killed_when(run: "subprocess.Popen[str]", out: Path, rows: int, generator: random.Random) -> int:
    """Kill a run when it has so many rows, and a moment later; return how many there are then."""
    while not out.exists() or out.read_bytes().count(b"\n") <= rows:
        if run.poll() is not None:
            raise SystemExit(f"predict ended before it had {rows} rows")
        time.sleep(0.005)
    time.sleep(generator.uniform(0, 0.05))
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    return len(rows_of(out))


def compared(found: list[list[str]], files: list[str], expected: list[list[str]]) -> dict[str, int]:
    """Rows that are not there, there twice, or, of a sample, there with other values."""
    there, rows = [row[0] for row in found], {row[0]: row for row in found}
    return {
        "rows": len(found),
        "lost": len(set(files) - set(there)),
        "twice": len(there) - len(set(there)),
        "compared": len(expected),
        "other values": sum(row != rows.get(row[0]) for row in expected),
    }


def main() -> None:
    """Print the table; exit code 1 where a row was lost, is twice there or has other values."""
    options = parse_options(__doc__)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    generator, table = random.Random(0), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as name:
        clips, out, whole = Path(name, "clips"), Path(name, "killed.csv"), Path(name, "whole.csv")
        folders = write_clips(clips, CLIPS[options.quick])
        moments = sorted(generator.sample(range(int(0.98 * CLIPS[options.quick])), KILLS[options.quick]))
        began = time.perf_counter()
        for number, (before, moment) in enumerate(pairwise([-1, *moments]), 1):
            run = start([clips], out)
            there = killed_when(run, out, max(moment, before + 1), generator)
            torn = not out.read_bytes().endswith(b"\n")
            table.append({"kill": number, "rows then": there, "a row torn": "yes" if torn else "no"})
            print(table[-1], file=sys.stderr)
        finish(start([clips], out))
        seconds = time.perf_counter() - began
        finish(start(folders[::10], whole))
        found = compared(rows_of(out), sorted(map(str, clips.rglob("*.wav"))), rows_of(whole))
    table.append({"kill": "in the end", **found})
    publish(table, options, [f"{CLIPS[options.quick]} clips of one second; model mini; {seconds:.0f} s in all."])
    if found["rows"] != CLIPS[options.quick] or any(found[name] for name in ("lost", "twice", "other values")):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
