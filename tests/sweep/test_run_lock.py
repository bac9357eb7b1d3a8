"""One sweep at a time in a run directory."""

import contextlib
import json
import os
import re
import signal
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from support.stored_trials import RESULT, SPEC
from voicefit.errors import VoicefitError
from voicefit.sweep import run_lock
from voicefit.sweep.run_lock import Holder, RunLock
from voicefit.sweep.store import TrialStore


@pytest.fixture
def quick(monkeypatch):
    """Beats and grace of fractions of a second."""
    monkeypatch.setattr(run_lock, "BEAT_S", 0.05)
    monkeypatch.setattr(run_lock, "GRACE_S", 0.4)


def hold_until_told(folder, pipe):
    with RunLock(folder).held():
        pipe.send(os.getpid())
        pipe.recv()


@pytest.fixture
def another(new_process, tmp_path):
    """Another process that holds the lock."""
    here, there = new_process.Pipe()
    process = new_process.Process(target=hold_until_told, args=(tmp_path, there))
    process.start()
    assert here.recv() == process.pid
    yield process
    process.kill()
    process.join()


def is_zombie(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it may be gone while its file is read
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def leave_lock(folder, **changes):
    holder = replace(Holder.this_process(), **{"machine": "elsewhere 1", "host": "node7", **changes})
    (folder / ".lock").write_text(json.dumps(asdict(holder)))
    return holder


@pytest.mark.slow(7)
def test_a_second_one_is_refused_with_who_since_when_and_where(another, tmp_path):
    words = (
        rf"another sweep is at work here: process {another.pid} of \S+ on \S+, since 20\S+ \(.*\); "
        "add --wait to go on after it, choose another --out, or share its work: run a --shard in another --out"
    )
    with pytest.raises(VoicefitError, match=words), RunLock(tmp_path).held():
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("changes", [{"pid": "7"}, {"pid": 2**40}, {"pid": -1}, {"token": "../outside"}, {"token": 7}])
def test_a_lock_that_no_sweep_wrote_is_freed_after_the_grace_period_and_names_no_file(changes, tmp_path, quick):
    leave_lock(tmp_path, machine=Holder.this_process().machine, **changes)
    with RunLock(tmp_path).held():
        pass
    assert not list(tmp_path.iterdir())


def test_it_is_given_back(tmp_path):
    for _ in range(2):
        with RunLock(tmp_path).held():
            assert (tmp_path / ".lock").exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow(2)
def test_that_of_a_killed_process_is_freed_at_once_though_nobody_has_waited_for_its_end(another, tmp_path):
    os.kill(another.pid, signal.SIGKILL)
    while Path(f"/proc/{another.pid}/stat").exists() and not is_zombie(another.pid):
        time.sleep(0.01)
    told = []
    with RunLock(tmp_path).held(notify=told.append):
        pass
    assert re.fullmatch(rf".*: freed the lock of a sweep that is no more: process {another.pid} of .*", told[0])
    assert not list(tmp_path.iterdir())


def test_that_of_an_earlier_process_of_the_same_number_is_freed(tmp_path):
    leave_lock(tmp_path, machine=Holder.this_process().machine, process_start="1")
    with RunLock(tmp_path).held():
        pass


def test_a_second_one_waits_where_it_is_asked_to(tmp_path, quick):
    order = []

    def second():
        with RunLock(tmp_path).held(wait=True, notify=order.append):
            order.append("second")

    with RunLock(tmp_path).held():
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join()
    assert ": waiting for process " in order[0] and order[1:] == ["first", "second"]


def test_that_of_another_machine_is_respected_while_it_is_touched_and_freed_after_a_grace_period(tmp_path, quick):
    leave_lock(tmp_path)
    stop = threading.Event()

    def beat():
        while not stop.wait(0.05):
            os.utime(tmp_path / ".lock", (0, time.monotonic()))  # a clock that is decades behind

    thread = threading.Thread(target=beat)
    thread.start()
    with pytest.raises(VoicefitError, match="on node7, since"), RunLock(tmp_path).held():
        pass
    stop.set()
    thread.join()
    began, told = time.monotonic(), []
    with RunLock(tmp_path).held(notify=told.append):
        assert time.monotonic() - began > 0.4
    assert "whether it is still at work" in told[0] and "freed the lock of a sweep that is no more" in told[1]


@pytest.mark.parametrize("text", ["", "{", '{"pid": 3}'])
def test_one_that_cannot_be_read_is_freed_after_a_grace_period(tmp_path, quick, text):
    (tmp_path / ".lock").write_text(text)
    with RunLock(tmp_path).held():
        pass


def test_a_claim_of_one_who_died_while_freeing_is_no_obstacle_for_ever(tmp_path, quick):
    holder = leave_lock(tmp_path)
    (tmp_path / f".lock-{holder.token}.dead").touch()
    with RunLock(tmp_path).held():
        pass
    assert not list(tmp_path.iterdir())


def test_whoever_has_lost_it_notices(tmp_path, quick):
    with RunLock(tmp_path).held() as lock:
        lock.check()
        leave_lock(tmp_path)
        time.sleep(0.3)
        with pytest.raises(VoicefitError, match=r"was taken over, as this sweep had stood still: .* on node7"):
            lock.check()
    assert (tmp_path / ".lock").exists()  # it is another one's
    (tmp_path / ".lock").unlink()
    with RunLock(tmp_path).held() as lock:
        (tmp_path / ".lock").unlink()
        time.sleep(0.3)
        with pytest.raises(VoicefitError, match="its lock was removed"):
            lock.check()


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    refused = pytest.raises(VoicefitError, match="another sweep is at work")
    with RunLock(tmp_path).held(), refused, RunLock(tmp_path).held():
        pass
    assert not list(tmp_path.iterdir())


def append(folder, number, count):
    for index in range(count):
        with RunLock(folder).held(wait=True):
            log = folder / "log.txt"
            before = log.read_text() if log.exists() else ""
            log.write_text(f"{before}{number} {index}\n")  # read and written again: two at once would lose a line
            with TrialStore(folder / "trials.sqlite") as store:
                store.add(replace(SPEC, draw=number * count + index), RESULT)


@pytest.mark.slow(10)
def test_nothing_is_lost_or_doubled_where_processes_fight_for_it(tmp_path, new_process):
    processes = [new_process.Process(target=append, args=(tmp_path, number, 8)) for number in range(5)]
    for process in processes:
        process.start()
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.join)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert sorted(lines) == sorted(f"{number} {index}" for number in range(5) for index in range(8))
    with TrialStore(tmp_path / "trials.sqlite", read_only=True) as store:
        assert sorted(store.trials()["draw"]) == list(range(40))
