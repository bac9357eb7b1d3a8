"""Sweeps of real speech to which something happens at random moments: is anything lost, doubled or changed?

Each round sweeps the same plan anew, with a pre-finetuning in it, in a process of its own. At a random moment something
fails. What failed is put right, and the same command resumes. Then the store is compared with that of a sweep to which
nothing happened, trial for trial. A full disk and a clock that jumps are made by `tests/support/refusing_disk.c`,
which is compiled here (Linux, gcc). `tests/chaos/ray_rounds.py` kills workers, nodes and drivers of a Ray cluster.

All kinds take about half an hour. ``--only kill`` runs the rounds of one kind.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import torch

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.errors import VoicefitError
from voicefit.sweep import make_plan, run_sweep
from voicefit.sweep.plan import Plan
from voicefit.sweep.run_directory import RunDirectory

SHIM = Path(__file__).resolve().parents[1] / "tests" / "support" / "refusing_disk.c"
ROUNDS = {False: 10, True: 2}
_WRONG = ("half batches", "lost", "twice", "failed", "other numbers")
_NOT_COMPARED = ["seconds", "finished_at", "attempts", "worker"]
_EPOCHS = 6
_GRID = [  # batches of 140 trials, so that many rounds end among them
    {"starts": ["none", "emodb"], "methods": ["prototype", "head"], "k": [2, 4, 8], "draws": 20},
    {"starts": ["emodb"], "methods": ["prior", "joint"], "k": [4], "draws": 20},
]
_TOGETHER = ["start", "speaker", "method", "task", "k"]
"""Trials that agree in these are one batch, and so one transaction."""


@dataclass
class Round:
    """One sweep to which something happens.

    Attributes:
        place: a folder of its own, with the run directory, the cache and links to the corpora.
        generator: for what is random.
        trials: how many there are in all.
        workers: processes that run trials.
        then: how many trials were finished when it happened, of a sweep that went on.
        environment: what the process of the disturbed sweep gets.
    """

    place: Path
    generator: random.Random
    trials: int = 0
    workers: int = 1
    then: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """The run directory."""
        return self.place / "run"

    @property
    def said(self) -> Path:
        """What the sweep prints; not on the disk that may be full."""
        return self.place.parent / f"said-{self.place.name}.txt"

    @property
    def cache(self) -> Path:
        """The front-end cache."""
        return self.place / "cache"

    def plan(self) -> Plan:
        """The plan, which reads the corpora in this folder."""
        return make_plan(
            {
                "encoders": {
                    "tiny": {
                        "source": str(folder("VOICEFIT_MODELS") / WHISPER_TINY),
                        "depth": 2,
                        "frozen_layers": 2,
                        "prefinetune": {"train_encoder": False, "max_epochs": _EPOCHS, "patience": _EPOCHS},
                    }
                },
                "corpora": {"emodb": str(self.place / "emodb")},
                "targets": {"emovo": str(self.place / "emovo")},
                "grid": _GRID,
            },
            "plan",
        )

    def start(self, disturbed: bool = True) -> int:
        """Begin the sweep, or resume it, in a fork of this process; return its number."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            os.setsid()
            with self.said.open("w", encoding="utf-8") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            os.environ.update(self.environment if disturbed else {})
            code = self._sweep()
        finally:
            os._exit(code)  # and nothing of what the parent does after its sweeps

    def _sweep(self) -> int:
        try:
            run_sweep(self.plan(), self.out, cache_root=self.cache, workers=self.workers)
        except (VoicefitError, OSError) as error:
            print(error, flush=True)
            return 2
        except BaseException:
            traceback.print_exc()
            return 1
        return 0

    def end(self, pid: int) -> str:
        """Wait for a sweep; say how it ended."""
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status == 1:
            raise SystemExit(self.said.read_text())
        return {0: "well", 2: "with a line", -signal.SIGKILL: "killed"}.get(status, f"with exit code {status}")

    def count(self) -> int:
        """How many trials are finished."""
        try:
            with RunDirectory(self.out).open_store() as store:
                return len(store.finished_keys())
        except VoicefitError:
            return 0

    def batches(self) -> dict[Any, int]:
        """How many trials are in the store of each batch that is there."""
        try:
            return stored(self.out).groupby(_TOGETHER).size().to_dict()
        except VoicefitError:
            return {}


Drill = Callable[[Round, float], str]
"""Disturbs a sweep so many seconds after its start, waits for its end, puts right what failed; says how it ended."""


def wait(this: Round, pid: int, moment: float) -> None:
    """Until so many seconds have passed or, in most rounds, until there is a random number of records."""
    if this.generator.random() < 0.3:
        time.sleep(moment)
        return
    records = this.generator.randrange(1, this.trials)
    while this.count() < records and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.02)
    time.sleep(this.generator.uniform(0, 0.05))  # a batch takes about so long


def kill(this: Round, moment: float) -> str:
    """The sweep is killed."""
    pid = this.start()
    wait(this, pid, moment)
    os.kill(pid, signal.SIGKILL)
    return this.end(pid)


def fill_disk(this: Round, moment: float) -> str:
    """From a random write on, the disk of run and cache is full; writes of the cache and of trials are as likely."""
    lose_entries(this)
    first = round(10 ** this.generator.uniform(0, 4))
    this.environment |= {"FULL_UNDER": f"{this.place}/", "FULL_FROM": str(first)}
    return this.end(this.start())


def lose_entries(this: Round) -> None:
    """Take a tenth of the front-end cache away, so that there is something to write."""
    entries = sorted(this.cache.rglob("*.npy"))
    for entry in this.generator.sample(entries, len(entries) // 10):
        entry.unlink()


def write_protect(this: Round, moment: float) -> str:
    """The cache may only be read, and lacks some of what is needed."""
    lose_entries(this)
    pid = this.start()
    time.sleep(moment / 2)
    mounted = os.geteuid() == 0
    if mounted:
        subprocess.run(["mount", "--bind", this.cache, this.cache], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", this.cache], check=True)
    else:
        subprocess.run(["chmod", "-R", "a-w", this.cache], check=True)
    ended = this.end(pid)
    subprocess.run(["umount", this.cache] if mounted else ["chmod", "-R", "u+w", this.cache], check=True)
    return ended


def hide_corpus(this: Round, moment: float) -> str:
    """A corpus, or the target, is gone; the cache lacks some of its clips."""
    lose_entries(this)
    path = this.place / this.generator.choice(["emodb", "emovo"])
    pid = this.start()
    wait(this, pid, moment)
    path.rename(path.with_suffix(".gone"))
    ended = this.end(pid)
    path.with_suffix(".gone").rename(path)
    return ended


def turn_clock(this: Round, moment: float) -> str:
    """The clock of the day jumps by days, and the sweep is killed some time after."""
    days = this.generator.choice([-400, -1, 1, 400])
    this.environment |= {"CLOCK_JUMP_AFTER": str(moment / 2), "CLOCK_JUMP_BY": str(days * 86400)}
    return kill(this, moment)


def kill_worker(this: Round, moment: float) -> str:
    """A worker is killed, as by the system when memory runs out."""
    this.workers = 2
    pid = this.start()
    wait(this, pid, moment)
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(pid).children(recursive=True)
        while not children and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
            children = psutil.Process(pid).children(recursive=True)
        this.then = this.count()
        if children:
            this.generator.choice(children).kill()
    ended = this.end(pid)
    this.workers = 1
    return ended


def tear_checkpoint(this: Round, moment: float) -> str:
    """The sweep is killed, and a file of a checkpoint, or of an unfinished one, is cut off somewhere."""
    ended = kill(this, moment)
    files = [path for path in sorted((this.out / "checkpoints").rglob("*.safetensors")) if path.stat().st_size]
    if files:
        path = this.generator.choice(files)
        os.truncate(path, this.generator.randrange(path.stat().st_size))
        said = this.end(this.start())
        if said != "well":  # it names the folder to remove
            shutil.rmtree(path.parent)
    return ended


DRILLS: dict[str, tuple[str, Drill]] = {
    "kill": ("kill -9", kill),
    "disk": ("a full disk", fill_disk),
    "cache": ("a read-only cache", write_protect),
    "corpus": ("a vanished corpus", hide_corpus),
    "clock": ("a clock that jumps by days", turn_clock),
    "worker": ("a worker killed, as when memory runs out", kill_worker),
    "checkpoint": ("a torn checkpoint", tear_checkpoint),
}
"""Name on the command line → what happens."""


def stored(out: Path) -> pd.DataFrame:
    """What must be the same however a sweep was run."""
    with RunDirectory(out).open_store() as store:
        return store.trials().drop(columns=_NOT_COMPARED).sort_values("key", ignore_index=True)


def differences(found: pd.DataFrame, expected: pd.DataFrame) -> Counter[str]:
    """Trials that are not there, there twice, failed, or there with other numbers."""
    cell = ["encoder", "start", "target", "task", "method", "speaker", "label", "k", "draw", "seed"]
    both = expected.merge(found, on="key", suffixes=("", " found"))
    pairs = [(both[name], both[f"{name} found"]) for name in expected.columns.drop("key")]
    same = [ours.eq(theirs) | (ours.isna() & theirs.isna()) for theirs, ours in pairs]
    return Counter(
        {
            "lost": len(set(expected["key"]) - set(found["key"])),
            "twice": int(found.duplicated(cell).sum()),
            "failed": int(found["error"].notna().sum()),
            "other numbers": int((~pd.concat(same, axis=1).all(axis=1)).sum()),
        }
    )


def make_place(root: Path, name: str, cache: Path | None) -> Path:
    """A folder with links to every clip, so that a corpus can vanish, and a copy of the cache by links."""
    place = root / name
    place.mkdir()
    for corpus in ("emodb", "emovo"):
        shutil.copytree(folder("VOICEFIT_DATA") / FOLDERS[corpus], place / corpus, copy_function=os.symlink)
    if cache is not None:
        shutil.copytree(cache, place / "cache", copy_function=os.link)
    return place


def measure(root: Path, kind: str, rounds: int, whole: Round, seconds: float) -> dict[str, Any]:
    """The row of one kind of drill."""
    expected, whole_batches = stored(whole.out), whole.batches()
    what, drill = DRILLS[kind]
    generator, ends, wrong, before = random.Random(kind), Counter[str](), Counter[str](), []
    for number in range(rounds):
        this = Round(make_place(root, f"{kind}-{number}", whole.cache), generator, len(expected))
        ends[drill(this, generator.uniform(0.05, 0.95) * seconds)] += 1
        before.append(this.count() if this.then is None else this.then)
        wrong["half batches"] += sum(count < whole_batches[name] for name, count in this.batches().items())
        resumed = this.end(this.start(disturbed=False))
        if resumed != "well":
            raise SystemExit(f"{what}, round {number}: {this.said.read_text()}")
        wrong.update(differences(stored(this.out), expected))
        shutil.rmtree(this.place)
    row = {
        "what happens": what,
        "rounds": rounds,
        "ended": ", ".join(f"{count} {end}" for end, count in ends.items()),
        "finished by then": f"{min(before)} to {max(before)}",
        "amid trials": sum(0 < count < len(expected) for count in before),
        **{name: wrong[name] for name in _WRONG},
    }
    print(row, before, file=sys.stderr, flush=True)  # before the kinds that follow
    return row


def with_shim(root: Path) -> None:
    """Start this script again with the library that makes disks and clocks misbehave where a process asks for it."""
    if "LD_PRELOAD" in os.environ:
        return
    library = root / "refusing_disk.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True)
    module = [sys.executable, "-m", "experiments.failure_drills", *sys.argv[1:]]
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
    raise SystemExit(subprocess.run(module, env=environment, check=False).returncode)


def main() -> None:
    """Print the table; exit code 1 where anything was lost, twice there, failed or changed."""
    import multiprocessing

    options = parse_options(__doc__, DRILLS)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with_shim(root)
        torch.set_num_threads(1)
        context = multiprocessing.get_context("fork")  # so that workers start at once
        multiprocessing.get_context = lambda method=None: context  # type: ignore[assignment]
        whole = Round(make_place(root, "whole", None), random.Random(0))
        whole.end(whole.start())  # fills the cache
        shutil.rmtree(whole.out)
        began = time.monotonic()
        if whole.end(whole.start()) != "well":
            raise SystemExit(whole.said.read_text())
        seconds = time.monotonic() - began
        count, batches = len(stored(whole.out)), whole.batches()
        rows = [measure(root, kind, ROUNDS[options.quick], whole, seconds) for kind in options.only or DRILLS]
    notes = [
        f"{count} trials on EMOVO, one-vs-rest, in batches of {max(batches.values())}: prototype and head with "
        f"and without pre-finetuning of heads on EmoDB ({_EPOCHS} epochs), prior and joint with it. Whisper tiny.en, "
        f"cut at layer 2. Undisturbed it takes {seconds:.1f} s with a full cache."
    ]
    publish(rows, options, notes)
    if any(row[name] for row in rows for name in _WRONG):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
