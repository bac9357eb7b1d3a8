import multiprocessing
import multiprocessing.forkserver
import os
import re
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import replace

import pytest

from support.deadly import Deadly, with_settings
from support.errands import Errands
from support.reporter import Reporter
from voicefit.adaptation import METHODS, ConfiguredMethod
from voicefit.encoders import Reading
from voicefit.errors import VoicefitError
from voicefit.sweep.episodes import SpeakerEpisodes
from voicefit.sweep.jobs import Batch, Lost
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.process_transport import ProcessTransport
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId
from voicefit.sweep.trial_jobs import StartingPoint, group_trials, run_trials


def test_two_workers_give_the_records_of_one(trials, trial_jobs, forked, results_of, errors_of):
    expected = results_of(run_trials(trials, trial_jobs, 1))
    assert set(expected) == set(trials)
    assert not errors_of(expected)
    assert results_of(run_trials(trials, trial_jobs, 2)) == expected


def test_a_worker_that_is_killed_is_replaced_and_its_trial_tried_again(
    trials, trial_jobs, forked, results_of, monkeypatch
):
    monkeypatch.setattr("voicefit.sweep.trial_jobs._MOST_TRIALS", 1)  # so that it has work left when it is killed
    expected = results_of(run_trials(trials, trial_jobs, 1))
    records, seen = [], set()
    for record in run_trials(trials, trial_jobs, 2):
        records.append(record)
        children = multiprocessing.active_children()
        seen |= {child.pid for child in children}
        if len(records) == 1:
            victim = next(child for child in children if record[0].worker.endswith(f":{child.pid}"))
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
    assert len(seen) == 3
    assert results_of(records) == expected


class FirstIsKilled(ProcessTransport):
    """Its first worker is killed before it can be given work."""

    def start(self, living):
        worker = super().start(living)
        started.append(worker)
        if len(started) == 1:
            worker.process.kill()
            worker.process.join()
        return worker


started = []


def test_a_worker_that_dies_before_it_is_given_work_is_replaced(trials, trial_jobs, forked, results_of):
    started.clear()
    records = Scheduler(group_trials(trials, trial_jobs.methods), FirstIsKilled(trial_jobs), 2).records()
    assert results_of(records) == results_of(run_trials(trials, trial_jobs, 1))
    assert len(started) == 3


def test_a_worker_that_dies_at_rest_is_not_held_against_the_task_that_it_would_have_had(forked, tmp_path):
    groups = deque([deque(["go"]), deque(["wait", "go on"])])
    records = Scheduler(groups, ProcessTransport(Errands(tmp_path)), 2).run()
    first = next(records)
    assert first.job == "go"
    (at_rest,) = (child for child in multiprocessing.active_children() if child.pid == first.result["process"])
    at_rest.kill()
    at_rest.join()
    (tmp_path / "gate").touch()
    assert next(records).job == "wait"
    groups.append(deque(["kill the first"]))
    ended = {event.job: event.error for event in records if not isinstance(event, Lost)}
    assert ended == {"go on": None, "kill the first": None}


def test_workers_are_spread_over_the_devices(trial_jobs, forked):
    shared = replace(trial_jobs, devices=("cpu", "cpu:0"))
    transport, workers = ProcessTransport(shared), []
    for _ in range(4):
        workers.append(transport.start(workers))
    for worker in workers:
        worker.kill()
    assert [worker.device for worker in workers] == ["cpu", "cpu:0", "cpu", "cpu:0"]


def test_a_trial_that_kills_three_workers_is_recorded_as_failed_and_the_others_run(
    trials, trial_jobs, forked, results_of, errors_of
):
    deadly = replace(trial_jobs, methods={**trial_jobs.methods, "head": with_settings(Deadly("kill"))})
    head, others = trials[0], [trial for trial in trials if trial.method == "prototype"]
    head = replace(head, method="head")
    outcomes = list(run_trials([*others[:2], head, *others[2:]], deadly, 2))
    lost = [outcome for outcome in outcomes if isinstance(outcome, Lost)]
    assert [(loss.job, loss.cause) for loss in lost] == [(head, "exit code -9")] * 2
    results = results_of(outcomes)
    (error,) = errors_of(results).values()
    assert re.fullmatch(r"the worker process died 3 times \((\S+: exit code -9; ){2}\S+: exit code -9\)", error)
    assert error.count(lost[0].worker) == error.count(lost[1].worker) == 1
    assert len(results) == len(others) + 1


@pytest.mark.slow(5)
def test_a_trial_that_hangs_is_stopped_and_recorded_as_failed_and_the_others_run(
    trials, trial_jobs, forked, results_of, errors_of
):
    hanging = replace(trial_jobs, methods={**trial_jobs.methods, "head": with_settings(Deadly("hang"))})
    head, others = replace(trials[0], method="head"), [trial for trial in trials if trial.method == "prototype"]
    results = results_of(run_trials([*others[:2], head, *others[2:]], hanging, 1, trial_timeout=4))
    assert errors_of(results) == {head: "took longer than the limit of 4 s and was stopped"}
    assert results == {**results_of(run_trials(others, trial_jobs, 1)), head: results[head]}
    assert not multiprocessing.active_children()


@pytest.mark.slow(5)
def test_a_record_that_waits_to_be_read_is_not_overdue(trials, forked):
    """As where whoever reads the records takes longer over one than a trial may take."""
    records = Scheduler(deque([deque(trials[:2])]), ProcessTransport(Reporter()), 1, trial_timeout=2.0).records()
    errors = []
    for record in records:
        errors.append(record.error)
        time.sleep(2.5)
    assert errors == [None, None]


def test_losses_of_earlier_calls_count(trials, trial_jobs, forked, results_of, errors_of):
    deadly = replace(trial_jobs, methods={**trial_jobs.methods, "head": with_settings(Deadly("kill"))})
    head = replace(trials[0], method="head")
    (record,) = run_trials([head], deadly, 2, losses={head: ["here:1: exit code -9", "there:2: exit code -11"]})
    assert record.error.startswith("the worker process died 3 times (here:1: exit code -9; there:2: exit code -11; ")


def test_workers_that_cannot_work_at_all_are_an_error(trials, trial_jobs, forked):
    leaving = replace(trial_jobs, methods={name: with_settings(Deadly("exit"), name) for name in METHODS})
    with pytest.raises(VoicefitError, match=r"exit code 3, .* below `if __name__ == \"__main__\":`"):
        list(run_trials(trials, leaving, 2))
    assert not multiprocessing.active_children()


def test_no_worker_is_left_when_the_caller_stops_early(trials, trial_jobs, forked):
    records = run_trials(trials, trial_jobs, 2)
    next(records)
    assert len(multiprocessing.active_children()) == 2
    records.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_starting_point_that_cannot_be_loaded_fails_its_trials_alone(
    trials, trial_jobs, forked, workers, results_of, errors_of
):
    damaged = StartingPoint(str(trial_jobs.cache_root / "nothing"), Reading())
    broken = replace(trial_jobs, starts={**trial_jobs.starts, StartId("tiny", "all"): damaged})
    astray = replace(trials[0], start="all")
    results = results_of(run_trials([astray, *trials], broken, workers))
    assert "VoicefitError" in results.pop(astray)[1]
    assert len(results) == len(trials)
    assert not errors_of(results)


def reports(transport):
    records = Scheduler(deque([deque([0, 1]), deque([2, 3])]), transport, 2).records()
    return [record.result for record in records]


@pytest.fixture
def fork_server(monkeypatch):
    """A fork server of this test's own: it imports nothing, and may be killed while other tests keep theirs."""
    server = multiprocessing.forkserver.ForkServer()
    server._preload_modules = []
    for name in ("connect_to_new_process", "ensure_running"):
        monkeypatch.setattr(multiprocessing.forkserver, name, getattr(server, name))
    monkeypatch.setattr(multiprocessing.forkserver, "set_forkserver_preload", lambda modules: None)
    yield
    server._stop()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forks on Linux alone")
def test_workers_are_forks_of_one_process_and_have_the_environment_of_now(fork_server, monkeypatch):
    parents = set()
    for word in ("one", "two"):
        monkeypatch.setenv("WORD", word)
        results = reports(ProcessTransport(Reporter(), "forkserver"))
        assert [result["word"] for result in results] == [word] * 4
        parents |= {result["parent"] for result in results}
    assert len(parents) == 1 and os.getpid() not in parents


class CannotFork(ProcessTransport):
    """A machine that has no fork server. Its workers are forks of this process, which start at once."""

    def begin_process(self, method, arguments):
        asked.append(method)
        if method == "forkserver":
            raise OSError("AF_UNIX path too long")
        return super().begin_process("fork", arguments)


asked = []


def test_workers_begin_anew_where_they_cannot_be_forked(monkeypatch):
    """As where the path of temporary files is too long for a socket, or on a GPU, whose driver does not survive it."""
    asked.clear()
    assert {result["parent"] for result in reports(CannotFork(Reporter(), "forkserver"))} == {os.getpid()}
    assert asked == ["forkserver", "spawn"] * 2
    asked.clear()
    monkeypatch.setattr(Reporter, "devices", ("cuda:0", "cuda:1"))
    reports(CannotFork(Reporter(), "forkserver"))
    assert asked == ["spawn"] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forks on Linux alone")
def test_a_worker_lost_together_with_what_had_forked_it_is_replaced(fork_server, tmp_path):
    jobs = Errands(tmp_path, driver=os.getpid())
    groups = deque([deque(["kill the first and its parent", "go"])])
    records = list(Scheduler(groups, ProcessTransport(jobs, "forkserver"), 1).records())
    assert [(record.job, record.error) for record in records] == [("kill the first and its parent", None), ("go", None)]
    assert (tmp_path / "killed").exists()


def with_one_that(end, trials, trial_jobs):
    """Batches of `prototype`, in one of which a trial ends its process, or holds it up; and that trial."""
    prototype, (bad, *_) = METHODS["prototype"], [trial for trial in trials if trial.method == "prototype"]

    def fit_many(encoder, shots, settings):
        if any((rows == bad_rows).all() for rows in shots.rows if len(rows) == len(bad_rows)):
            os.kill(os.getpid(), signal.SIGKILL) if end == "kill" else time.sleep(600)
        return prototype.fit_many(encoder, shots, settings)

    episodes = SpeakerEpisodes(trial_jobs.targets[bad.target], bad.speaker)
    bad_rows = episodes.support_rows(bad.task, bad.label, bad.k, bad.draw)
    planned = PlannedMethod(ConfiguredMethod(replace(prototype, fit_many=fit_many), prototype.settings_type()))
    alike = [trial for trial in trials if trial.method == "prototype" and trial.speaker == bad.speaker]
    assert any(isinstance(job, Batch) and bad in job.jobs for job in group_trials(alike, trial_jobs.methods)[0])
    return replace(trial_jobs, methods={**trial_jobs.methods, "prototype": planned}), alike, bad


@pytest.mark.slow(4)
def test_a_batch_that_is_lost_is_tried_again_trial_by_trial(trials, trial_jobs, forked, results_of, errors_of):
    deadly, alike, bad = with_one_that("kill", trials, trial_jobs)
    outcomes = list(run_trials(alike, deadly, 2))
    lost = Counter(outcome.job for outcome in outcomes if isinstance(outcome, Lost))
    assert lost.pop(bad) == 2
    assert set(lost) == {trial for trial in alike if trial.k == bad.k and trial != bad}  # once, with their batch
    assert set(lost.values()) == {1}
    results, expected = results_of(outcomes), results_of(run_trials(alike, trial_jobs, 1))
    assert "died 3 times" in errors_of(results)[bad]
    assert {**results, bad: None} == {**expected, bad: None}


@pytest.mark.slow(6)
def test_a_batch_over_the_limit_is_run_trial_by_trial(trials, trial_jobs, forked, results_of, errors_of):
    hanging, alike, bad = with_one_that("hang", trials, trial_jobs)
    results = results_of(run_trials(alike, hanging, 1, trial_timeout=3))
    assert errors_of(results) == {bad: "took longer than the limit of 3 s and was stopped"}
    assert {**results, bad: None} == {**results_of(run_trials(alike, trial_jobs, 1)), bad: None}


def test_trials_that_were_lost_before_come_by_themselves(trials, trial_jobs):
    lost = trials[2]
    jobs = [job for group in group_trials(trials, trial_jobs.methods, {lost}) for job in group]
    assert lost in jobs
    found = [trial for job in jobs for trial in (job.jobs if isinstance(job, Batch) else (job,))]
    assert sorted(found, key=str) == sorted(trials, key=str)
    assert all(len({(trial.method, trial.task, trial.k) for trial in job.jobs}) == 1 for job in jobs if job != lost)


def test_no_batch_holds_more_than_memory_allows(trials, trial_jobs):
    many = [replace(trials[0], k=64, draw=draw) for draw in range(600)]
    sizes = [len(job.jobs) for job in group_trials(many, trial_jobs.methods)[0]]
    assert sum(sizes) == 600 and max(sizes) == 256
    several = [replace(trial, task="multiclass", label="") for trial in many]
    assert max(len(job.jobs) for job in group_trials(several, trial_jobs.methods)[0]) == 2**22 // (8 * 128 * 64)
