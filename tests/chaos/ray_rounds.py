"""Sweeps on a Ray cluster of two nodes, something of it killed at a random moment: is anything lost or changed?

    python tests/chaos/ray_rounds.py

Every round sweeps the same plan anew while `kill -9` hits a worker, a node or the driver, in turn. A driver that was
killed is started again. Then the store is compared with that of the same sweep in one process, trial for trial.
It takes minutes and is run by hand. Where real corpora and encoders are (experiments/README.md), clips are EmoDB's and
the encoder is Whisper tiny.en; else clips are noise, and weights random.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import torch

from voicefit.errors import VoicefitError
from voicefit.sweep import read_plan, run_sweep
from voicefit.sweep.ray_cluster import import_ray
from voicefit.sweep.run_directory import RunDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.common import build_whisper_tiny, parse_options, publish, write_speakers
from experiments.real_data import FOLDERS, WHISPER_TINY, place

NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
VOICEFIT = [sys.executable, "-c", "from voicefit.cli.app import main; main()"]
ROUNDS = {False: 10, True: 3}
PLAN = """[encoders.tiny]
source = "{source}"
depth = 2

[targets]
{corpus} = "{path}"

[[grid]]
starts = ["none"]
methods = ["prototype", "head"]
k = [2, 4]
draws = {draws}
"""


class TwoNodes:
    """A cluster of two nodes with a CPU each, on this machine; sweeps are started on the first."""

    def __init__(self) -> None:
        import_ray(local=True)
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        self.second = self.cluster.add_node(**NODE)

    def kill_second(self) -> None:
        """End the second node's raylet; its worker follows."""
        os.kill(self.second.all_processes["raylet"][0].process.pid, signal.SIGKILL)

    def mend(self) -> None:
        """Put another node in the place of a second one that is dead."""
        if self.second.all_processes["raylet"][0].process.poll() is not None:
            self.cluster.remove_node(self.second, allow_graceful=False)
            self.second = self.cluster.add_node(**NODE)


def kill_worker(driver: subprocess.Popen[str], generator: random.Random) -> None:
    """End one of the processes that run trials; there may be none at this moment, so look until the sweep ends."""
    while driver.poll() is None:
        workers = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                workers += [process] if process.cmdline()[:1] == ["ray::_Actor.run"] else []
        if workers:
            generator.choice(workers).kill()
            return
    raise SystemExit("the sweep ended before a worker was killed")


def write_plan(folder: Path, draws: int) -> Path:
    """The plan, over real speech where there is some."""
    if place("VOICEFIT_DATA").is_dir() and place("VOICEFIT_MODELS").is_dir():
        source, corpus = place("VOICEFIT_MODELS") / WHISPER_TINY, "emodb"
        path = place("VOICEFIT_DATA") / FOLDERS[corpus]
    else:
        source, corpus = build_whisper_tiny(folder / "encoder"), "folder"
        path = write_speakers(folder / "clips", 6, clips_per_label=4)
    plan = folder / "plan.toml"
    plan.write_text(PLAN.format(source=source, corpus=corpus, path=path, draws=draws))
    return plan


def start_sweep(plan: Path, out: Path, address: str) -> subprocess.Popen[str]:
    """The command line, in a process of its own."""
    command = [*VOICEFIT, "sweep", plan, "--out", out, "--engine", "ray", "--address", address]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def stored(out: Path) -> pd.DataFrame:
    """What must be the same however a sweep was run."""
    with RunDirectory(out).open_store() as store:
        table = store.trials()
    return table.drop(columns=["seconds", "finished_at", "attempts", "worker"]).sort_values("key", ignore_index=True)


def count(out: Path) -> int:
    """Records there are."""
    try:
        return len(stored(out))
    except VoicefitError:
        return 0


def wait_for_records(out: Path, driver: subprocess.Popen[str], wanted: int) -> None:
    """Return when there are as many records."""
    while count(out) < wanted:
        if driver.poll() is not None:
            raise SystemExit(f"the sweep ended before there were {wanted} records")
        time.sleep(0.02)


def differences(found: pd.DataFrame, expected: pd.DataFrame) -> dict[str, int]:
    """Trials that are not there, there twice, failed, or there with other numbers."""
    cell = ["encoder", "start", "target", "task", "method", "speaker", "label", "k", "draw", "seed"]
    both = expected.merge(found, on="key", suffixes=("", " found"))
    pairs = [(both[name], both[f"{name} found"]) for name in expected.columns.drop("key")]
    same = [ours.eq(theirs) | (ours.isna() & theirs.isna()) for theirs, ours in pairs]
    return {
        "lost": len(set(expected["key"]) - set(found["key"])),
        "twice": int(found.duplicated(cell).sum()),
        "failed": int(found["error"].notna().sum()),
        "other numbers": int((~pd.concat(same, axis=1).all(axis=1)).sum()),
    }


def run_round(
    plan: Path, out: Path, nodes: TwoNodes, kill: Callable[[subprocess.Popen[str]], None], moment: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A sweep with one thing killed when there are ``moment`` records: what it stored, and when."""
    nodes.mend()
    driver = start_sweep(plan, out, nodes.cluster.address)
    wait_for_records(out, driver, moment)
    kill(driver)
    killed_at, began = count(out), time.perf_counter()
    _, said = driver.communicate()
    if driver.returncode == -signal.SIGKILL:
        driver = start_sweep(plan, out, nodes.cluster.address)
        _, said = driver.communicate()
    if driver.returncode:
        raise SystemExit(f"the sweep ended with exit code {driver.returncode}: {said[-500:]}")
    return stored(out), {"records then": killed_at, "s to the end": time.perf_counter() - began}


def measure(folder: Path, plan: Path, expected: pd.DataFrame, rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each round."""
    nodes, generator = TwoNodes(), random.Random(0)
    kills = {
        "a worker": lambda driver: kill_worker(driver, generator),
        "a node": lambda driver: nodes.kill_second(),
        "the driver": lambda driver: driver.kill(),
    }
    try:
        for number, (name, kill) in enumerate(islice(cycle(kills.items()), rounds), 1):
            moment = generator.randrange(1, int(0.8 * len(expected)))
            found, row = run_round(plan, folder / f"round-{number}", nodes, kill, moment)
            row = {"round": number, "killed": name, **row, "records": len(found), **differences(found, expected)}
            print(row, file=sys.stderr)
            yield row
    finally:
        nodes.cluster.shutdown()


def main() -> None:
    """Print the table; exit code 1 where anything was lost, twice there, failed or changed."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["VOICEFIT_CACHE"] = str(folder / "cache")
        plan = write_plan(folder, draws=2 if options.quick else 5)
        run_sweep(read_plan(plan), folder / "process")
        expected = stored(folder / "process")
        rows = list(measure(folder, plan, expected, ROUNDS[options.quick]))
    speakers, (target,) = expected["speaker"].nunique(), expected["target"].unique()
    notes = [
        f"{len(expected)} trials of {speakers} speakers on {target}, Whisper tiny cut at layer 2, methods prototype "
        "and head; two nodes of one CPU each, on one machine. Seconds: from the kill to the end of the sweep, with the "
        "second start of a driver that was killed."
    ]
    publish(rows, options, notes)
    if any(row[name] for row in rows for name in ("lost", "twice", "failed", "other numbers")):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
