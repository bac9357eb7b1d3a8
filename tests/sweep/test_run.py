import json
import multiprocessing
import os
import platform
import random
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from voicefit.adaptation import METHODS
from voicefit.errors import VoicefitError
from voicefit.sweep import dry_run, run_sweep
from voicefit.sweep.plan import make_plan
from voicefit.sweep.run import SweepResult
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.run_lock import RunLock

TRIALS = 2 * 2 * 3 * 2 * 2 * 2  # starts, speakers, labels, k, draws, methods


def plan_of(raw_plan, **changes):
    return make_plan({**raw_plan, **changes}, "plan")


def records(out: Path) -> pd.DataFrame:
    """What must be the same however a sweep was run."""
    with RunDirectory(out).open_store() as store:
        table = store.trials()
    return table.drop(columns=["seconds", "finished_at", "attempts", "worker"]).sort_values("key", ignore_index=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(raw_plan, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    result = run_sweep(plan_of(raw_plan), out, cache_root=cache)
    assert result == SweepResult(skipped=0, finished=TRIALS, failed=0)
    return out


@pytest.fixture
def copy(finished, tmp_path):
    """A finished run to spoil or to go on with."""
    return shutil.copytree(finished, tmp_path / "out")


@pytest.mark.slow(3)
def test_a_sweep_stores_every_trial_once_with_scores(finished):
    table = records(finished)
    assert len(table) == table["key"].nunique() == TRIALS
    assert table["error"].isna().all()
    assert table[["macro_f1", "accuracy", "balanced_accuracy"]].stack().between(0, 1).all()
    assert set(table["start"]) == {"none", "alpha+beta"}


def test_a_sweep_says_what_it_was_made_of(finished, raw_plan):
    record = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    assert record["plan"] == plan_of(raw_plan).model_dump(mode="json")
    assert record["planned_trials"] == TRIALS
    assert record["versions"]["torch"] == torch.__version__
    assert {name: corpus["clips"] for name, corpus in record["corpora"].items()} == {
        "alpha": 12,
        "beta": 12,
        "voices": 30,
    }


def test_calling_again_runs_nothing_and_leaves_checkpoints_alone(copy, raw_plan, cache, monkeypatch):
    def refuse(*args):
        raise AssertionError("nothing is left to fit")

    monkeypatch.setitem(METHODS, "prototype", replace(METHODS["prototype"], fit_many=refuse))
    before, written = records(copy), modified(copy)
    result = run_sweep(plan_of(raw_plan), copy, cache_root=cache)
    assert result == SweepResult(skipped=TRIALS, finished=0, failed=0)
    assert modified(copy) == written
    pd.testing.assert_frame_equal(records(copy), before)


def test_a_run_with_nothing_left_starts_no_worker(copy, raw_plan, cache, monkeypatch):
    def refuse(*args):
        raise AssertionError("nothing is left to run")

    monkeypatch.setattr("voicefit.sweep.run.prepare_workers", refuse)
    monkeypatch.setattr("voicefit.sweep.process_transport.ProcessTransport.start", refuse)
    assert run_sweep(plan_of(raw_plan), copy, cache_root=cache, workers=2).skipped == TRIALS


def modified(out):
    return {path: path.stat().st_mtime_ns for path in (out / "checkpoints").rglob("*") if path.is_file()}


@pytest.mark.slow(3)
def test_a_longer_grid_adds_its_trials_and_pre_finetunes_only_what_is_new(copy, raw_plan, cache):
    before, written = records(copy), modified(copy)
    more = {"starts": ["all", "beta"], "methods": ["head"], "k": [3], "draws": 1}
    result = run_sweep(plan_of(raw_plan, grid=[*raw_plan["grid"], more]), copy, cache_root=cache)
    assert result == SweepResult(skipped=TRIALS, finished=2 * 2 * 3, failed=0)
    after = records(copy)
    assert len(after) == TRIALS + 12
    pd.testing.assert_frame_equal(after[after["key"].isin(before["key"])].reset_index(drop=True), before)
    assert {path.name for path in (copy / "checkpoints" / "tiny").iterdir()} == {"alpha+beta", "beta"}
    now = modified(copy)
    assert {path: now.get(path) for path in written} == written


@pytest.mark.slow(2)
def test_a_plan_may_get_another_method_of_a_name_of_its_own(copy, raw_plan, cache):
    before = records(copy)
    more = {"starts": ["none"], "methods": ["weak"], "k": [2], "draws": 1}
    methods = {**raw_plan.get("methods", {}), "weak": {"method": "head", "l2": 100.0}}
    changes = {"methods": methods, "grid": [*raw_plan["grid"], more]}
    result = run_sweep(plan_of(raw_plan, **changes), copy, cache_root=cache)
    assert (result.skipped, result.failed) == (TRIALS, 0)
    assert set(records(copy)["method"]) == {*before["method"], "weak"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 1}, "seed"),
        ({"protocol": "paper"}, "protocol"),
        ({"prefinetune": {"max_epochs": 2}}, "prefinetune"),
        ({"methods": {"head": {"l2": 2.0}}}, "methods"),
        ({"corpora": {}, "grid": [{"starts": ["none"]}]}, "corpora"),
    ],
)
def test_a_plan_that_differs_in_what_it_had_is_refused(copy, raw_plan, cache, changes, field):
    before = records(copy)
    with pytest.raises(VoicefitError, match=rf"differs in {field}\. A plan may grow, by other grids and by more"):
        run_sweep(plan_of(raw_plan, **changes), copy, cache_root=cache)
    pd.testing.assert_frame_equal(records(copy), before)


def test_a_target_that_a_start_is_trained_on_is_an_error(raw_plan, tmp_path):
    same = {"targets": {"voices": raw_plan["corpora"]["alpha"]}}
    with pytest.raises(VoicefitError, match=r"targets\.voices holds clips of corpora\.alpha, .* would not be new"):
        run_sweep(plan_of(raw_plan, **same), tmp_path / "run")
    dry_run(plan_of(raw_plan, **same, grid=[{"starts": ["none", "beta"], "k": [2], "draws": 1}]))


def test_a_checkpoint_made_of_something_else_is_refused(copy, raw_plan, cache):
    record = copy / "checkpoints" / "tiny" / "alpha+beta" / "voicefit.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "start_key": "another"}))
    more = {"starts": ["all"], "methods": ["head"], "k": [3], "draws": 1}
    with pytest.raises(VoicefitError, match="was made of other clips, settings or another encoder"):
        run_sweep(plan_of(raw_plan, grid=[*raw_plan["grid"], more]), copy, cache_root=cache)


@pytest.mark.parametrize("corpus", ["beta", "voices"])
def test_a_corpus_that_has_other_clips_than_before_is_refused(copy, raw_plan, cache, corpus):
    gone = Path({**raw_plan["corpora"], **raw_plan["targets"]}[corpus]) / "anna" / "calm" / "0.wav"
    hidden = gone.with_suffix(".hidden")
    gone.rename(hidden)
    try:
        with pytest.raises(VoicefitError, match=f"was begun when corpus {corpus} had other usable clips"):
            run_sweep(plan_of(raw_plan), copy, cache_root=cache)
    finally:
        hidden.rename(gone)


@pytest.mark.slow(2)
def test_a_run_goes_on_that_began_before_a_setting_was_there(copy, raw_plan, cache):
    record = json.loads((copy / "run.json").read_text())
    for encoder in record["plan"]["encoders"].values():
        del encoder["weighted_layers"]
    (copy / "run.json").write_text(json.dumps(record))
    assert run_sweep(plan_of(raw_plan), copy, cache_root=cache).finished == 0


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"plan": 3, "corpora": {}}', '{"plan": {}, "corpora": [1]}'])
def test_a_damaged_record_of_the_run_is_an_error(copy, raw_plan, cache, content):
    (copy / "run.json").write_text(content)
    with pytest.raises(VoicefitError, match=r"run\.json: is damaged"):
        run_sweep(plan_of(raw_plan), copy, cache_root=cache)


def test_a_damaged_store_is_an_error_and_left_as_it_is(copy, raw_plan, cache):
    store = RunDirectory(copy).store_path
    store.write_bytes(b"not a database" * 100)
    with pytest.raises(VoicefitError, match="left as it is"):
        run_sweep(plan_of(raw_plan), copy, cache_root=cache)
    assert store.read_bytes() == b"not a database" * 100


def test_a_folder_or_file_of_somebody_else_is_refused_and_left_alone(tmp_path, raw_plan, cache):
    (tmp_path / "thesis.txt").write_text("years of work")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(VoicefitError, match="is not a run directory"):
            run_sweep(plan_of(raw_plan), out, cache_root=cache)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow(2)
def test_a_run_that_was_killed_before_its_record_was_written_goes_on(tmp_path, raw_plan, cache):
    RunDirectory(tmp_path).open_store(read_only=False).close()
    for name in ("trials.sqlite-wal", "trials.sqlite-shm", ".run.json-0123.part"):
        (tmp_path / name).touch()
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [2], "draws": 1}])
    assert run_sweep(plan, tmp_path, cache_root=cache).finished == 6


@pytest.mark.slow(5)
def test_a_trial_that_raises_is_recorded_and_tried_again_by_the_next_call(tmp_path, raw_plan, cache, monkeypatch):
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["head", "prototype"], "k": [2, 4], "draws": 2}])
    prototype = METHODS["prototype"]
    poison_four_shots(monkeypatch)
    assert run_sweep(plan, tmp_path / "out", cache_root=cache) == SweepResult(skipped=0, finished=36, failed=12)
    table = records(tmp_path / "out")
    failed = table[table["error"].notna()]
    assert set(zip(failed["method"], failed["k"], strict=True)) == {("prototype", 4)}
    assert set(table["error"].dropna()) == {"ArithmeticError: poison"}
    monkeypatch.setitem(METHODS, "prototype", prototype)
    assert run_sweep(plan, tmp_path / "out", cache_root=cache) == SweepResult(skipped=36, finished=12, failed=0)
    assert records(tmp_path / "out")["error"].isna().all()


def poison_four_shots(monkeypatch):
    prototype = METHODS["prototype"]

    def poisoned(encoder, shots, settings):
        if shots.rows.shape[1] == 4:
            raise ArithmeticError("poison")
        return prototype.fit_many(encoder, shots, settings)

    monkeypatch.setitem(METHODS, "prototype", replace(prototype, fit_many=poisoned))


@pytest.mark.slow(2)
def test_a_corpus_that_teaches_little_of_labels_is_told(tmp_path, raw_plan, cache):
    single = shutil.copytree(raw_plan["corpora"]["alpha"], tmp_path / "alpha")
    for folder in {path.parent for path in single.rglob("*.*")}:
        for clip in sorted(folder.iterdir())[1:]:
            clip.unlink()
    grid = [{"starts": ["alpha+beta"], "methods": ["prototype"], "k": [2], "draws": 1}]
    plan = plan_of(raw_plan, corpora={**raw_plan["corpora"], "alpha": str(single)}, grid=grid)
    told = []
    for _ in range(2):  # the second call pre-finetunes nothing
        run_sweep(plan, tmp_path / "out", cache_root=cache, notify=told.append)
    assert [words.partition(":")[0] for words in told if "two clips of one label" in words] == ["alpha"]


@pytest.mark.slow(2)
def test_failures_are_told_as_they_happen(tmp_path, raw_plan, cache, monkeypatch):
    poison_four_shots(monkeypatch)
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [4, 2], "draws": 1}])
    events = []
    run_sweep(
        plan,
        tmp_path / "out",
        cache_root=cache,
        progress=lambda what, done, total: events.append(done) if what == "trials" else None,
        notify=events.append,
    )
    told = [event for event in events if str(event).startswith("failed")]
    assert len(told) == 6
    assert told[0] == "failed trial 1: tiny/none, prototype, voices/anna, anger, k=4, draw 0: ArithmeticError: poison"
    assert events[events.index(told[0]) - 1] == 1  # right after its own step of the progress


@pytest.mark.slow(2)
def test_failed_trials_are_left_where_it_is_asked_for(tmp_path, raw_plan, cache, monkeypatch):
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [4, 2], "draws": 1}])
    with monkeypatch.context() as patched:
        poison_four_shots(patched)
        run_sweep(plan, tmp_path / "out", cache_root=cache)
    left = run_sweep(plan, tmp_path / "out", cache_root=cache, retry_failed=False)
    assert left == SweepResult(skipped=6, finished=0, failed=0, left_failed=6)
    again = run_sweep(plan, tmp_path / "out", cache_root=cache)
    assert again == SweepResult(skipped=6, finished=6, failed=0)
    with RunDirectory(tmp_path / "out").open_store() as store:
        table = store.trials().set_index("k")
        assert set(store.attempts()["cause"]) == {"ArithmeticError: poison"}
    assert set(table.loc[4, "attempts"]) == {2} and set(table.loc[2, "attempts"]) == {1}
    assert set(table["worker"]) == {f"{platform.node()}:{os.getpid()}"}


@pytest.mark.slow(1)
def test_answers_that_are_not_numbers_are_a_failed_trial(tmp_path, raw_plan, cache, monkeypatch):
    prototype = METHODS["prototype"]

    def spoilt(encoder, shots, settings):
        heads = prototype.fit_many(encoder, shots, settings)
        return replace(heads, biases=heads.biases * float("nan"))

    monkeypatch.setitem(METHODS, "prototype", replace(prototype, fit_many=spoilt))
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [2], "draws": 1}])
    assert run_sweep(plan, tmp_path / "out", cache_root=cache) == SweepResult(skipped=0, finished=0, failed=6)
    assert "are not numbers (NaN)" in records(tmp_path / "out")["error"][0]


def test_a_sweep_into_a_folder_where_another_is_at_work_is_refused(tmp_path, raw_plan, cache):
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [2], "draws": 1}])
    (tmp_path / "out").mkdir()
    with RunLock(tmp_path / "out").held(), pytest.raises(VoicefitError, match="another sweep is at work here: process"):
        run_sweep(plan, tmp_path / "out", cache_root=cache)
    assert not (tmp_path / "out" / "run.json").exists()
    assert run_sweep(plan, tmp_path / "out", cache_root=cache).finished == 6


def test_many_failures_with_one_error_are_named_ten_times(tmp_path, raw_plan, cache, monkeypatch):
    poison_four_shots(monkeypatch)
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [4], "draws": 4}])
    told = []
    result = run_sweep(plan, tmp_path / "out", cache_root=cache, notify=told.append)
    assert result.failed > 11
    assert sum(line.startswith("failed trial ") for line in told) == 10
    assert told[-1] == "further trials that fail in this way are counted, and stand in the report"


@pytest.mark.slow(3)
@pytest.mark.parametrize(("allowed", "failed"), [(0, 3), (3, 6)], ids=["one batch", "two"])
def test_a_sweep_ends_after_too_many_failures_and_can_go_on(tmp_path, raw_plan, cache, monkeypatch, allowed, failed):
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [4, 2], "draws": 1}])
    with monkeypatch.context() as patched:
        poison_four_shots(patched)
        with pytest.raises(VoicefitError, match=rf"stopped after {failed} failed trials, .* ArithmeticError: poison"):
            run_sweep(plan, tmp_path / "out", cache_root=cache, max_failures=allowed)
    assert records(tmp_path / "out")["error"].notna().sum() == failed
    result = run_sweep(plan, tmp_path / "out", cache_root=cache, max_failures=0)
    assert (result.skipped + result.finished, result.failed) == (12, 0)


def test_as_many_failures_as_are_allowed_do_not_end_a_sweep(tmp_path, raw_plan, cache, monkeypatch):
    poison_four_shots(monkeypatch)
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [4, 2], "draws": 1}])
    result = run_sweep(plan, tmp_path / "out", cache_root=cache, max_failures=6)
    assert result == SweepResult(skipped=0, finished=6, failed=6)


def test_broken_clips_are_left_out_and_told(tmp_path, raw_plan, cache):
    voices = shutil.copytree(raw_plan["targets"]["voices"], tmp_path / "voices")
    (voices / "anna" / "calm" / "0.wav").write_text("not audio")
    (voices / "ben" / "fear" / "4.wav").write_bytes(b"")
    grid = [{"starts": ["none"], "methods": ["prototype"], "k": [2, 4], "draws": 3}]
    told: list[str] = []
    plan = plan_of(raw_plan, targets={"voices": str(voices)}, grid=grid)
    result = run_sweep(plan, tmp_path / "out", cache_root=cache, notify=told.append)
    assert result.failed == 0
    told = [line for line in told if not line.startswith("front-end cache: ")]
    assert len(told) == 1
    assert told[0].startswith("voices: 2 clips are left out, the first is anna/calm/0.wav (unreadable: ")
    used = set().union(*map(json.loads, records(tmp_path / "out")["support"]))
    assert len(used) > 10
    assert not used & {"anna/calm/0.wav", "ben/fear/4.wav"}
    left_out = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["corpora"]["voices"]["left_out"]
    assert set(left_out) == {"anna/calm/0.wav", "ben/fear/4.wav"}


def test_a_dry_run_counts_what_the_run_does_and_writes_nothing(raw_plan, finished):
    found = dry_run(plan_of(raw_plan))
    assert found.trials == TRIALS
    assert found.prefinetunings == ["tiny/alpha+beta"]
    assert found.estimate.total > 0


def test_cells_without_a_trial_are_told_and_recorded(tmp_path, raw_plan, cache):
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [2, 200], "draws": 1}])
    words = [
        f"voices/anna, ben, one-vs-rest of {label}, k = 200: too few clips of {label}"
        for label in ("anger", "calm", "fear")
    ]
    assert [group.words() for group in dry_run(plan).not_run] == words
    result = run_sweep(plan, tmp_path / "out", cache_root=cache)
    assert [group.words() for group in result.not_run] == words
    recorded = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["not_run"]
    assert [group["reason"] for group in recorded] == [f"too few clips of {name}" for name in ("anger", "calm", "fear")]


def test_a_plan_without_a_trial_is_an_error_and_leaves_no_folder(tmp_path, raw_plan, cache):
    plan = plan_of(raw_plan, grid=[{"starts": ["none"], "methods": ["prototype"], "k": [200], "draws": 1}])
    with pytest.raises(VoicefitError, match=r"no trial: voices/anna, ben, one-vs-rest of anger, k = 200: too few"):
        run_sweep(plan, tmp_path / "out", cache_root=cache)
    assert not (tmp_path / "out").exists()
    assert not dry_run(plan).in_shards


@pytest.mark.slow(3)
def test_a_run_that_goes_on_keeps_the_time_at_which_it_began(tmp_path, raw_plan):
    record, began = tmp_path / "out" / "run.json", "2026-01-02T03:04:05+00:00"
    grid = [{"starts": ["none"], "methods": ["prototype"], "k": [2], "draws": 1}]
    run_sweep(plan_of(raw_plan, grid=grid), record.parent)
    record.write_text(json.dumps(json.loads(record.read_text()) | {"started_at": began}))
    run_sweep(plan_of(raw_plan, grid=[{**grid[0], "draws": 2}]), record.parent)
    assert json.loads(record.read_text())["started_at"] == began


@pytest.mark.slow(1)
def test_a_dry_run_says_what_the_run_will_store(tmp_path, raw_plan, monkeypatch):
    monkeypatch.setenv("VOICEFIT_CACHE", str(tmp_path / "cache"))
    grid = [{"starts": ["none"], "methods": ["prototype"], "k": [2], "draws": 1}]
    twins = raw_plan["encoders"] | {"twin": raw_plan["encoders"]["tiny"]}  # one front end, and so one cache
    plan = plan_of(raw_plan, encoders=twins, grid=grid)
    planned = dry_run(plan).cache
    told: list[str] = []
    run_sweep(plan, tmp_path / "out", notify=told.append)
    entries = list((tmp_path / "cache").rglob("*.npy"))
    assert (planned.clips, planned.bytes) == (len(entries), sum(entry.stat().st_size for entry in entries))
    assert [line.partition(" in ")[0] for line in told] == [planned.words().partition(" in ")[0]]
    assert dry_run(plan).cache.clips == 0


# Sweeps in processes of their own, killed.

LONGER = [{"starts": ["none", "all"], "methods": ["head", "prototype", "full"], "k": [2, 4], "draws": 5}]


def drive(raw, out, cache, workers, method, gate):
    """A sweep in a process group of its own, in a folder with a file that has the name of a module."""
    os.setsid()
    os.chdir(out.parent)
    Path("calendar.py").write_text("open('imported', 'w')")
    context = multiprocessing.get_context(method)
    multiprocessing.get_context = lambda _: context
    torch.set_num_threads(1)
    gate.send("ready")
    run_sweep(make_plan(raw, "plan"), out, workers=workers, cache_root=cache)


@pytest.fixture
def start(new_process, raw_plan, cache, tmp_path):
    """Start a sweep in the same folder each time."""
    started = []

    def begin(workers, method="fork"):  # forked workers need not import everything anew
        here, there = new_process.Pipe()
        raw = {**raw_plan, "grid": LONGER}
        arguments = (raw, tmp_path / "out", cache, workers, method, there)
        process = new_process.Process(target=drive, args=arguments)
        process.start()
        there.close()
        assert here.recv() == "ready"
        started.append(process)
        return process

    yield begin
    for process in started:
        for pid in group(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.join()


def group(leader: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == leader and state != "Z":
            found.append(int(status.parent.name))
    return found


def count(out: Path) -> int:
    try:
        with RunDirectory(out).open_store() as store:
            return len(store.finished_keys())
    except (VoicefitError, OSError):
        return 0


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(raw_plan, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted") / "out"
    began = time.monotonic()
    run_sweep(plan_of(raw_plan, grid=LONGER), out, cache_root=cache)
    return records(out), time.monotonic() - began


@pytest.mark.slow(18)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="process groups are read from /proc")
class TestKilledSweeps:
    def test_a_sweep_killed_at_any_moment_goes_on_to_the_same_numbers(
        self, start, uninterrupted, raw_plan, cache, tmp_path
    ):
        expected, seconds = uninterrupted
        moments, counts = random.Random(0), []
        for _ in range(7):
            process = start(workers=1)
            process.join(moments.uniform(0, 0.5 * seconds))
            if process.is_alive():
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
            counts.append(count(tmp_path / "out"))
        assert counts == sorted(counts)
        run_sweep(plan_of(raw_plan, grid=LONGER), tmp_path / "out", cache_root=cache)
        pd.testing.assert_frame_equal(records(tmp_path / "out"), expected)

    def test_two_workers_killed_with_their_driver_go_on_to_the_same_numbers(self, start, uninterrupted, tmp_path):
        out = tmp_path / "out"
        process = start(workers=2)
        wait_until(lambda: count(out) > 20)
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        assert 20 < count(out) < len(uninterrupted[0])
        process = start(workers=2)
        process.join(60)
        assert process.exitcode == 0
        pd.testing.assert_frame_equal(records(out), uninterrupted[0])

    def test_no_worker_outlives_a_driver_that_is_killed_alone(self, start, uninterrupted, raw_plan, cache, tmp_path):
        out = tmp_path / "out"
        process = start(workers=2, method="forkserver")  # as on Linux everywhere
        wait_until(lambda: count(out) > 20)
        assert len(group(process.pid)) >= 3
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        wait_until(lambda: group(process.pid) == [])
        assert not (tmp_path / "imported").exists()
        assert run_sweep(plan_of(raw_plan, grid=LONGER), out, cache_root=cache).skipped > 20
        pd.testing.assert_frame_equal(records(out), uninterrupted[0])
