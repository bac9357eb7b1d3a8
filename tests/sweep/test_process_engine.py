import multiprocessing
import time
from collections import deque
from dataclasses import replace

import pandas as pd
import pytest
import torch

from voicefit.adaptation import METHODS
from voicefit.corpora import load_corpus
from voicefit.errors import VoicefitError
from voicefit.sweep import run_sweep
from voicefit.sweep.jobs import Record
from voicefit.sweep.plan import make_plan
from voicefit.sweep.process_engine import run_jobs
from voicefit.sweep.process_transport import ProcessTransport
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId
from voicefit.sweep.start_jobs import StartJobs
from voicefit.system.progress import silent


@pytest.fixture
def two_starts(raw_plan):
    """A plan whose every trial begins at one of two pre-finetuned starting points."""
    grid = [{"starts": ["alpha", "beta"], "methods": ["prototype"], "k": [2], "draws": 1}]
    return make_plan({**raw_plan, "grid": grid}, "plan")


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """A file that beta's starting point is not begun without."""
    make, gate = StartJobs.make, tmp_path / "gate"

    def wait_and_make(start_jobs, start_id, *arguments):
        end = time.monotonic() + 60
        while start_id == ("tiny", "beta") and not gate.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        make(start_jobs, start_id, *arguments)

    monkeypatch.setattr(StartJobs, "make", wait_and_make)
    return gate


@pytest.mark.slow(8)
def test_trials_do_not_wait_for_starting_points_of_others(
    two_starts, tmp_path, forked, same_checkpoints, opened, stored
):
    def open_at_the_first_trial(what, done, total):
        if what == "trials":
            opened.touch()

    cache = tmp_path / "cache"
    result = run_sweep(two_starts, tmp_path / "two", workers=2, cache_root=cache, progress=open_at_the_first_trial)
    assert result.failed == 0
    run_sweep(two_starts, tmp_path / "one", cache_root=cache)
    same_checkpoints(tmp_path / "two", tmp_path / "one")
    pd.testing.assert_frame_equal(stored(tmp_path / "two"), stored(tmp_path / "one"))


@pytest.mark.slow(7)
def test_trials_are_kept_where_a_later_starting_point_cannot_be_made(
    two_starts, tmp_path, forked, opened, monkeypatch, stored
):
    make, out, cache = StartJobs.make, tmp_path / "out", tmp_path / "cache"

    def fail_at_beta(start_jobs, start_id, *arguments):
        make(start_jobs, start_id, *arguments)
        if start_id == ("tiny", "beta"):
            raise VoicefitError("no beta today")

    def open_after_alpha(what, done, total):
        if what == "trials" and done == total / 2:
            opened.touch()

    with monkeypatch.context() as patched:
        patched.setattr(StartJobs, "make", fail_at_beta)
        with pytest.raises(VoicefitError, match=r"^pre-finetuning of tiny/beta: no beta today"):
            run_sweep(two_starts, out, workers=2, cache_root=cache, progress=open_after_alpha)
    assert not multiprocessing.active_children()
    assert set(stored(out)["start"]) == {"alpha"}
    result = run_sweep(two_starts, out, workers=2, cache_root=cache)
    assert (result.skipped, result.finished, result.failed) == (6, 6, 0)


@pytest.mark.slow(9)
def test_a_trial_over_its_limit_is_stopped_and_the_starting_point_beside_it_is_made(
    two_starts, tmp_path, forked, opened, monkeypatch, stored
):
    fit_many, hung = METHODS["prototype"].fit_many, [tmp_path / "batch", tmp_path / "trial"]

    def hang_twice(*arguments):
        for place in hung:
            if not place.exists():
                place.touch()
                time.sleep(600)
        return fit_many(*arguments)

    def open_after_a_trial(what, done, total):
        if what == "trials" and done:
            opened.touch()

    monkeypatch.setitem(METHODS, "prototype", replace(METHODS["prototype"], fit_many=hang_twice))
    result = run_sweep(
        two_starts,
        tmp_path / "out",
        workers=2,
        cache_root=tmp_path / "cache",
        progress=open_after_a_trial,
        trial_timeout=4,
    )
    assert (result.finished, result.failed) == (11, 1)
    trials = stored(tmp_path / "out")
    failed = trials[trials["error"].notna()]
    assert failed["error"].tolist() == ["took longer than the limit of 4 s and was stopped"]
    assert failed["start"].tolist() == ["alpha"]
    assert trials["start"].value_counts().to_dict() == {"alpha": 6, "beta": 6}


@pytest.mark.slow(3)
@pytest.mark.parametrize(("starts", "workers", "threads"), [(2, 2, 3), (2, 3, 3), (3, 3, 2), (1, 3, 6)])
def test_starting_points_share_the_threads_among_as_many_as_are_made_at_once(
    subsets_plan, trial_jobs, tmp_path, forked, monkeypatch, starts, workers, threads
):
    def note_threads(start_jobs, start_id, device, progress):
        path = start_jobs.run.checkpoint(start_id)
        path.mkdir(parents=True)
        (path / "threads").write_text(str(torch.get_num_threads()))

    monkeypatch.setattr(StartJobs, "make", note_threads)
    plan = make_plan(subsets_plan, "plan")
    keys = {StartId("tiny", start): "key" for start in ("alpha", "beta", "alpha+beta")[:starts]}
    corpora = {name: load_corpus(name, path) for name, path in plan.corpora.items()}
    start_jobs = StartJobs(plan, keys, {}, corpora, RunDirectory(tmp_path / "out"), None, threads=6)
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        assert list(run_jobs([], start_jobs, trial_jobs, workers, None, silent)) == []
    finally:
        torch.set_num_threads(before)
    noted = [path.read_text() for path in (tmp_path / "out").rglob("threads")]
    assert noted == starts * [str(threads)]


class Slow:
    """Starting points that take their time."""

    devices = ("cpu",)

    def runner(self, device):
        return self

    def run(self, group):
        for job in group:
            time.sleep(0.3)
            yield Record(job)


def test_the_limit_is_that_of_trials_and_not_of_starting_points(forked):
    groups = deque([deque([StartId("tiny", "alpha")]), deque([StartId("tiny", "beta")])])
    records = list(Scheduler(groups, ProcessTransport(Slow()), 2, trial_timeout=0.01).records())
    assert sorted(record.job for record in records) == [("tiny", "alpha"), ("tiny", "beta")]
    assert all(record.error is None for record in records)
