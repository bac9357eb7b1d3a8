import contextlib
import json
import multiprocessing
import threading
import time
from collections import deque
from dataclasses import replace

import pandas as pd
import psutil
import pytest

from voicefit.corpora import load_corpus
from voicefit.errors import VoicefitError
from voicefit.sweep import run_sweep
from voicefit.sweep.jobs import Record
from voicefit.sweep.plan import make_plan
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId
from voicefit.sweep.start_jobs import StartJobs, follow_starts, make_starts
from voicefit.system.files import read_metadata

pytestmark = pytest.mark.usefixtures("without_curves")

STARTS = ("alpha", "beta", "alpha+beta")


@pytest.fixture
def start_jobs(subsets_plan, tmp_path):
    """For all subsets, with nothing made yet."""
    plan = make_plan(subsets_plan, "plan")
    return StartJobs(
        plan=plan,
        keys={StartId("tiny", start): f"key of {start}" for start in STARTS},
        sources={"tiny": plan.encoders["tiny"].source},
        corpora={name: load_corpus(name, path) for name, path in plan.corpora.items()},
        run=RunDirectory(tmp_path / "out"),
        cache_root=tmp_path / "cache",
        threads=1,
    )


def silent(*step):
    pass


@contextlib.contextmanager
def workers_killed(condition, times=1):
    """Kill all worker processes once there are two and ``condition`` holds; and so often those that come after."""

    def kill():
        killed = set()
        for _ in range(times):
            end = time.monotonic() + 60
            while len(found := workers() - killed) < 2 or not condition():
                assert time.monotonic() < end
                time.sleep(0.01)
            for worker in found:
                worker.kill()
            killed |= found

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join()


def workers():
    """Living forks of this process, which alone may wait for their end; it may have started others."""
    here, found = psutil.Process(), set()
    for child in here.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # or a zombie
            if child.cmdline() == here.cmdline():
                found.add(child)
    return found


@pytest.mark.slow(20)
def test_workers_make_what_one_process_makes(subsets_plan, tmp_path, forked, same_checkpoints, stored):
    plan, told = make_plan(subsets_plan, "plan"), []
    run_sweep(plan, tmp_path / "one", cache_root=tmp_path / "cache")

    run_sweep(
        plan, tmp_path / "two", workers=2, cache_root=tmp_path / "cache", progress=lambda *step: told.append(step)
    )

    same_checkpoints(tmp_path / "one", tmp_path / "two")
    pd.testing.assert_frame_equal(stored(tmp_path / "one"), stored(tmp_path / "two"))
    longest = "tiny/alpha+beta: epoch 40/40"
    assert {what.partition(":")[0] for what, _, _ in told} >= {f"tiny/{start}" for start in STARTS}
    assert [step for step in told if step[0] == longest][-1][1:] == (3, 3)


@pytest.mark.slow(8)
def test_what_killed_workers_were_at_goes_on_from_where_it_was_saved(start_jobs, tmp_path, forked, same_checkpoints):
    states = [tmp_path / "out" / "checkpoints" / "tiny" / f"{start}.unfinished" for start in STARTS[:2]]
    states = {state: state / "state.safetensors" for state in states}
    begun = {}

    def two_at_work():
        if not all(state.exists() for state in states.values()):
            return False
        begun.update({folder: json.loads(read_metadata(state)["history"]) for folder, state in states.items()})
        return all(begun.values())

    both = {start_id: key for start_id, key in start_jobs.keys.items() if "+" not in start_id.start}
    two = replace(start_jobs, keys=both)
    with workers_killed(two_at_work):
        make_starts(two, silent, 2)

    make_starts(replace(two, run=RunDirectory(tmp_path / "alone")), silent, 1)
    same_checkpoints(tmp_path / "out", tmp_path / "alone")
    for folder, rows in begun.items():
        seconds = pd.read_csv(folder.with_suffix("") / "history.csv")["seconds"]
        assert 0 < len(rows) < 40
        assert list(seconds[: len(rows)]) == [row["seconds"] for row in rows]  # these epochs were not made again


def test_one_that_kills_three_workers_ends_the_sweep_with_its_name(start_jobs, forked):
    died = r"^pre-finetuning of tiny/.*: the worker process died 3 times \(.*: exit code -9"
    with workers_killed(lambda: True, times=3), pytest.raises(VoicefitError, match=died):
        make_starts(start_jobs, silent, 2)
    assert not multiprocessing.active_children()


@pytest.mark.slow(4)
def test_one_that_cannot_be_made_ends_the_sweep_with_its_name_and_the_next_call_goes_on(start_jobs, forked, tmp_path):
    lonely = start_jobs.corpora["beta"].select(lambda clip: clip.label == "anger")
    broken = replace(start_jobs, corpora={**start_jobs.corpora, "beta": lonely})
    with pytest.raises(VoicefitError, match=r"^pre-finetuning of tiny/(alpha\+)?beta: .*beta"):
        make_starts(broken, silent, 2)
    assert not multiprocessing.active_children()
    left = replace(start_jobs, keys={StartId("tiny", "alpha"): "key of alpha"})
    make_starts(left, silent, 2)
    assert (tmp_path / "out" / "checkpoints" / "tiny" / "alpha" / "model.safetensors").exists()


def test_a_checkpoint_that_is_not_seen_here_is_an_error(start_jobs):
    records = (Record(start_id) for start_id in start_jobs.keys)
    with pytest.raises(VoicefitError, match=r"tiny/alpha: .* cannot be seen here; every node must mount the run dir"):
        follow_starts(start_jobs, records, silent)


def test_no_two_share_a_gpu(start_jobs, monkeypatch):
    counts = []

    class Noted(Scheduler):
        """Notes what it is given, and runs nothing."""

        def __init__(self, groups, transport, workers):
            super().__init__(deque(), transport, workers)
            counts.append((workers, transport.source.threads, transport.source.workers))

    monkeypatch.setattr("voicefit.sweep.start_jobs.Scheduler", Noted)
    for devices, workers in ((("cuda:0", "cuda:1"), 8), (("cpu",), 8), (("cpu",), 2)):
        make_starts(replace(start_jobs, devices=devices, threads=6), silent, workers)
    assert counts == [(2, 3, 2), (3, 2, 3), (2, 3, 2)]
