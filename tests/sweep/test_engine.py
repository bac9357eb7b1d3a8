import multiprocessing
import os
import signal
import sys
from collections import Counter, deque
from dataclasses import replace
from types import SimpleNamespace

import pytest

from support.deadly import Deadly, Errands
from support.reporter import Reporter
from voicefit.adaptation import METHODS, Method
from voicefit.encoders import FrontEnd
from voicefit.errors import VoicefitError
from voicefit.sweep import engine
from voicefit.sweep.engine import StartingPoint, run_trials


def results_of(records):
    found = list(records)
    results = {spec: {name: v for name, v in result.items() if name != "seconds"} for spec, result in found}
    assert len(results) == len(found)
    return results


def test_two_workers_give_the_records_of_one(trials, workplace, forked):
    expected = results_of(run_trials(trials, workplace, 1))
    assert set(expected) == set(trials)
    assert not any("error" in result for result in expected.values())
    assert results_of(run_trials(trials, workplace, 2)) == expected


def test_a_worker_that_is_killed_is_replaced_and_its_trial_tried_again(trials, workplace, forked):
    expected = results_of(run_trials(trials, workplace, 1))
    records, seen = [], set()
    for record in run_trials(trials, workplace, 2):
        records.append(record)
        children = multiprocessing.active_children()
        seen |= {child.pid for child in children}
        if len(records) == 1:
            os.kill(children[0].pid, signal.SIGKILL)
            children[0].join()
    assert len(seen) == 3
    assert results_of(records) == expected


def test_a_worker_that_dies_before_it_is_given_work_is_replaced(trials, workplace, forked, monkeypatch):
    hire, hired = engine._hire, []

    def hire_the_first_dead(workplace, crowding):
        worker = hire(workplace, crowding)
        hired.append(worker)
        if len(hired) == 1:
            worker.process.kill()
            worker.process.join()
        return worker

    monkeypatch.setattr(engine, "_hire", hire_the_first_dead)
    assert results_of(run_trials(trials, workplace, 2)) == results_of(run_trials(trials, workplace, 1))
    assert len(hired) == 3


def test_a_worker_that_dies_at_rest_is_not_held_against_the_task_that_it_would_have_had(forked, tmp_path):
    groups = deque([deque(["go"]), deque(["wait", "go on"])])
    records = engine.run_in_workers(groups, Errands(tmp_path), 2)
    task, said = next(records)
    assert task == "go"
    (at_rest,) = (child for child in multiprocessing.active_children() if child.pid == said["process"])
    at_rest.kill()
    at_rest.join()
    (tmp_path / "gate").touch()
    assert next(records)[0] == "wait"
    groups.append(deque(["kill the first"]))
    assert {task: "error" in said for task, said in records} == {"go on": False, "kill the first": False}


def test_workers_are_spread_over_the_devices(workplace, forked):
    shared = replace(workplace, devices=("cpu", "cpu:0"))
    workers = []
    for _ in range(4):
        workers.append(engine._hire(shared, Counter(worker.device for worker in workers)))
    for worker in workers:
        worker.process.kill()
        worker.process.join()
    assert [worker.device for worker in workers] == ["cpu", "cpu:0", "cpu", "cpu:0"]


def test_a_trial_that_kills_two_workers_is_recorded_as_failed_and_the_others_run(trials, workplace, forked):
    deadly = replace(workplace, methods={**workplace.methods, "head": Method("head", Deadly("kill"))})
    head, others = trials[0], [trial for trial in trials if trial.method == "prototype"]
    results = results_of(run_trials([*others[:2], replace(head, method="head"), *others[2:]], deadly, 2))
    failed = {spec: result["error"] for spec, result in results.items() if "error" in result}
    assert failed == {replace(head, method="head"): "the worker process died twice (exit code -9)"}
    assert len(results) == len(others) + 1


@pytest.mark.slow(5)
def test_a_trial_that_hangs_is_stopped_and_recorded_as_failed_and_the_others_run(trials, workplace, forked):
    hanging = replace(workplace, methods={**workplace.methods, "head": Method("head", Deadly("hang"))})
    head, others = replace(trials[0], method="head"), [trial for trial in trials if trial.method == "prototype"]
    results = results_of(run_trials([*others[:2], head, *others[2:]], hanging, 1, limit=4))
    failed = {spec: result["error"] for spec, result in results.items() if "error" in result}
    assert failed == {head: "took longer than the limit of 4 s and was stopped"}
    assert results == {**results_of(run_trials(others, workplace, 1)), head: results[head]}
    assert not multiprocessing.active_children()


def test_workers_that_cannot_work_at_all_are_an_error(trials, workplace, forked):
    leaving = replace(workplace, methods={name: Method(name, Deadly("exit")) for name in METHODS})
    with pytest.raises(VoicefitError, match=r"exit code 3, .* below `if __name__ == \"__main__\":`"):
        list(run_trials(trials, leaving, 2))
    assert not multiprocessing.active_children()


def test_no_worker_is_left_when_the_caller_stops_early(trials, workplace, forked):
    records = run_trials(trials, workplace, 2)
    next(records)
    assert len(multiprocessing.active_children()) == 2
    records.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_starting_point_that_cannot_be_loaded_fails_its_trials_alone(trials, workplace, forked, workers):
    damaged = StartingPoint(str(workplace.cache_root / "nothing"), None, 0, FrontEnd())
    broken = replace(workplace, starts={**workplace.starts, ("tiny", "all"): damaged})
    astray = replace(trials[0], start="all")
    results = results_of(run_trials([astray, *trials], broken, workers))
    assert "VoicefitError" in results.pop(astray)["error"]
    assert len(results) == len(trials)
    assert not any("error" in result for result in results.values())


def say(method, monkeypatch):
    monkeypatch.setattr(engine, "START_METHOD", method)
    return [said for _, said in engine.run_in_workers(deque([deque([0, 1]), deque([2, 3])]), Reporter(), 2)]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forks on Linux alone")
def test_workers_are_forks_of_one_process_and_have_the_environment_of_now(monkeypatch):
    parents = set()
    for word in ("one", "two"):
        monkeypatch.setenv("WORD", word)
        said = say("forkserver", monkeypatch)
        assert [words["word"] for words in said] == [word] * 4
        parents |= {words["parent"] for words in said}
    assert len(parents) == 1 and os.getpid() not in parents


def test_workers_begin_anew_where_they_cannot_be_forked(monkeypatch):
    """As where the path of temporary files is too long for a socket, or on a GPU, whose driver does not survive it."""
    begin, asked = engine._begin, []

    def refuse(method, arguments):
        asked.append(method)
        if method == "forkserver":
            raise OSError("AF_UNIX path too long")
        return begin("fork", arguments)

    monkeypatch.setattr(engine, "_begin", refuse)
    assert {words["parent"] for words in say("forkserver", monkeypatch)} == {os.getpid()}
    assert asked == ["forkserver", "spawn"] * 2
    asked.clear()
    monkeypatch.setattr(Reporter, "devices", ("cuda:0", "cuda:1"))
    say("forkserver", monkeypatch)
    assert asked == ["spawn"] * 2


def test_a_worker_lost_together_with_what_had_forked_it_is_replaced(trials):
    lost = SimpleNamespace(todo=deque(trials[:2]), process=SimpleNamespace(join=lambda: None, exitcode=255))
    groups = deque()
    assert list(engine._bury(lost, groups, Counter())) == []
    assert groups == deque([deque(trials[:2])])
