"""How fast is the trial store, and does its lock hold: 33,600 trials, and processes that fight to append.

With ``--beside SRC`` the store of another checkout's ``src`` is timed too, in turn with this one.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import voicefit
from voicefit.sweep import TrialSpec, TrialStore

TRIALS = {False: 33_600, True: 2000}
ROUNDS = {False: 5, True: 2}
PROCESSES, APPENDS = 10, {False: 200, True: 10}
SPEC = TrialSpec("tiny", "a+b", "s", "t", "clean", "one-vs-rest", "head", "m", "anna", "anger", 2, 0, 0)
RESULT = {
    **{"macro_f1": 0.5, "accuracy": 0.5, "balanced_accuracy": 0.5, "floor_never": 0.4, "floor_coin": 0.45},
    "calibration": [[0, 0.0, 0.0]] * 10,
    "support": [f"Actor_01/03-01-0{take}-01-01-01-01.flac" for take in range(8)],
    **{"test_clips": 20, "seconds": 0.01, "worker": "host:1"},
}


def fill(folder: Path, count: int) -> tuple[float, float, float]:
    """Add so many trials, each in a transaction of its own, and read all of them.

    Returns:
        seconds that adding takes, seconds of the processor for it, which other work delays less, and seconds to read.
    """
    path = folder / "trials.sqlite"
    began, used = time.perf_counter(), time.process_time()
    with TrialStore(path) as store:
        for draw in range(count):
            store.add(replace(SPEC, draw=draw), RESULT)
    added, used = time.perf_counter(), time.process_time() - used
    with TrialStore(path, read_only=True) as store:
        if len(store.finished_keys()) != count or len(store.trials()) != count:
            raise SystemExit("trials are missing")
    return added - began, used, time.perf_counter() - added


def fill_elsewhere(source: str, count: int) -> tuple[float, float, float]:
    """The same with the code of another checkout, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        code = f"import json, store; print(json.dumps(store.fill(store.Path({name!r}), {count})))"
        here = Path(__file__).parent
        path = os.pathsep.join([source, str(here), str(here.parent)])
        command, environment = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        added, used, read = json.loads(done.stdout)
        return added, used, read


def append(folder: Path, number: int, count: int) -> None:
    """Append trials, each under a lock that is taken anew and with a store that is opened anew."""
    from voicefit.sweep.run_lock import RunLock

    for index in range(count):
        with RunLock(folder).held(wait=True), TrialStore(folder / "trials.sqlite") as store:
            store.add(replace(SPEC, draw=number * count + index), RESULT)


def fight(count: int) -> dict[str, Any]:
    """So many processes append at once: is anything lost or doubled?"""
    with tempfile.TemporaryDirectory() as name:
        folder, context = Path(name), multiprocessing.get_context("fork")
        processes = [context.Process(target=append, args=(folder, number, count)) for number in range(PROCESSES)]
        began = time.perf_counter()
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        seconds = time.perf_counter() - began
        with TrialStore(folder / "trials.sqlite", read_only=True) as store:
            draws = list(store.trials()["draw"])
        wanted = set(range(PROCESSES * count))
        return {
            "what": f"{PROCESSES} processes, {count} appends each, for one lock",
            "s": seconds,
            "lost": len(wanted - set(draws)) + sum(process.exitcode != 0 for process in processes),
            "doubled": len(draws) - len(set(draws)),
        }


def main() -> None:
    """Print the table."""
    from benchmarks.common import Options, publish  # which the code of another checkout need not be able to import

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smaller case: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    parser.add_argument("--beside", metavar="SRC", help="the folder `src` of another checkout")
    given = parser.parse_args()
    count, rounds = TRIALS[given.quick], ROUNDS[given.quick]
    sources = {
        "this code": str(Path(voicefit.__file__).parents[1]),
        **({"beside": given.beside} if given.beside else {}),
    }
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sources}
    for _ in range(rounds):
        for name, source in sources.items():
            times[name].append(fill_elsewhere(source, count))
    rows: list[dict[str, Any]] = [
        {
            "what": f"{count:,} trials, {name}",
            "s": statistics.median(added for added, _, _ in found),
            "all rounds, s": ", ".join(f"{added:.2f}" for added, _, _ in found),
            "processor, s": statistics.median(used for _, used, _ in found),
            "all rounds, processor": ", ".join(f"{used:.2f}" for _, used, _ in found),
            "read, s": statistics.median(read for _, _, read in found),
        }
        for name, found in times.items()
    ]
    publish([*rows, fight(APPENDS[given.quick])], Options(given.quick, given.json))


if __name__ == "__main__":
    main()
