"""Shards of a sweep, merged, against the sweep in one piece."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from voicefit.cli.app import app
from voicefit.errors import VoicefitError
from voicefit.sweep import Shard, TrialSpec, dry_run, make_plan, merge_runs, run_sweep
from voicefit.sweep.merge import find_differences
from voicefit.sweep.run_directory import RunDirectory
from voicefit.system.files import write_json

EXAMPLE = Path(__file__).parents[2] / "examples" / "slurm" / "submit.sh"


def plan_of(raw_plan, **changes):
    return make_plan({**raw_plan, **changes}, "plan")


def records(out):
    with RunDirectory(out).open_store() as store:
        table = store.trials()
    return table.drop(columns=["seconds", "finished_at"]).sort_values("key", ignore_index=True)


def change(out, **entries):
    run = RunDirectory(out)
    write_json(run.record_path, run.read_record() | entries)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(raw_plan, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    run_sweep(plan_of(raw_plan), out, cache_root=cache)
    return out


@pytest.fixture(scope="module")
def made(raw_plan, cache, tmp_path_factory):
    """The run directories of three shards."""
    root = tmp_path_factory.mktemp("shards")
    for index in (1, 2, 3):
        run_sweep(plan_of(raw_plan), root / str(index), shard=Shard(index, 3), cache_root=cache)
    return [root / str(index) for index in (1, 2, 3)]


@pytest.fixture
def shards(made, tmp_path):
    """Copies to spoil."""
    return [shutil.copytree(shard, tmp_path / "shards" / shard.name) for shard in made]


@pytest.mark.slow(10)
def test_merged_shards_are_the_sweep_in_one_piece(made, whole, tmp_path, raw_plan, cache):
    held = merge_runs(made, tmp_path / "merged")

    expected = records(whole)
    assert held == len(expected)
    pd.testing.assert_frame_equal(records(tmp_path / "merged"), expected)
    assert sum(len(records(shard)) for shard in made) == held
    again = run_sweep(plan_of(raw_plan), tmp_path / "merged", cache_root=cache)
    assert (again.skipped, again.finished, again.failed) == (held, 0, 0)


@pytest.mark.slow(2)
def test_what_is_missing_is_told_and_can_be_run_later(made, whole, tmp_path, raw_plan, cache):
    told = []

    merge_runs([made[0], made[2]], tmp_path / "merged", told.append)

    assert told == ["missing: shard 2/3; the run is partial"]
    record = RunDirectory(tmp_path / "merged").read_record()
    assert record["planned_trials"] == len(records(whole)) and "shard" not in record
    run_sweep(plan_of(raw_plan), tmp_path / "merged", cache_root=cache)
    pd.testing.assert_frame_equal(records(tmp_path / "merged"), records(whole))


def test_a_shard_pre_finetunes_only_what_its_trials_begin_at(made):
    starts = [{path.name for path in (shard / "checkpoints").glob("*/*")} for shard in made]

    assert starts == [set(records(shard)["start"]) - {"none"} for shard in made]
    assert set() in starts


def test_a_folder_keeps_its_shard(shards, raw_plan, cache):
    for shard in (Shard(2, 3), Shard(1, 4), None):
        with pytest.raises(VoicefitError, match=r"was begun as shard 1/3; each shard needs an --out of its own"):
            run_sweep(plan_of(raw_plan), shards[0], shard=shard, cache_root=cache)


def test_a_dry_run_counts_the_shards_own_trials(raw_plan):
    counts = [dry_run(plan_of(raw_plan), Shard(index, 3)).trials for index in (1, 2, 3)]

    assert sum(counts) == dry_run(plan_of(raw_plan)).trials
    assert max(counts) - min(counts) <= 1


@given(st.integers(0, 40), st.integers(1, 12))
def test_shards_share_out_every_trial_once(trials, count):
    specs = [
        TrialSpec("e", "none", "", "t", "clean", "one-vs-rest", "head", "", f"s{i % 3}", "anger", 2, i, 0)
        for i in range(trials)
    ]
    parts = [Shard(index, count).of(specs) for index in range(1, count + 1)]

    assert sorted((spec for part in parts for spec in part), key=lambda spec: spec.draw) == specs
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "-1/2", "1/2/3", "a/b", "٢/٣"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(VoicefitError, match="write I/N"):
        Shard.parse(text)


def test_another_plan_or_other_clips_are_refused(shards, tmp_path):
    record = RunDirectory(shards[1]).read_record()
    change(shards[1], plan=record["plan"] | {"seed": 7})
    with pytest.raises(VoicefitError, match=r"another plan than .*: they differ in seed"):
        merge_runs(shards, tmp_path / "merged")
    change(shards[1], plan=record["plan"], corpora={name: c | {"digest": "0"} for name, c in record["corpora"].items()})
    with pytest.raises(VoicefitError, match="corpus alpha has other usable clips there"):
        merge_runs(shards, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_other_scores_of_one_trial_are_refused(shards, whole, tmp_path):
    other = shutil.copytree(whole, tmp_path / "other")
    with RunDirectory(other).open_store(read_only=False) as store:
        store._connection.execute("UPDATE trials SET macro_f1 = macro_f1 / 2 WHERE macro_f1 > 0")
        store._connection.commit()

    with pytest.raises(VoicefitError, match="trials have other scores here than in another run"):
        merge_runs([shards[0], other], tmp_path / "merged")
    assert list(tmp_path.glob(".merged*")) == []


def test_runs_that_overlap_and_agree_are_merged(shards, whole, tmp_path):
    held = merge_runs([shards[0], whole, shards[0]], tmp_path / "merged")

    assert held == len(records(whole))


@pytest.mark.slow(1)
def test_a_run_that_was_stopped_goes_on_with_what_a_shard_beside_it_has_done(whole, shards, tmp_path, raw_plan, cache):
    def stop(what, done, total):
        if what == "trials" and done >= total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan_of(raw_plan), tmp_path / "run", cache_root=cache, progress=stop)
    count, told = len(records(tmp_path / "run")), []
    merged = merge_runs([tmp_path / "run", shards[2]], tmp_path / "both", told.append)
    assert max(count, len(records(shards[2]))) < merged < len(records(whole))
    assert told == []
    assert RunDirectory(tmp_path / "both").read_record()["planned_trials"] == len(records(whole))
    rest = run_sweep(plan_of(raw_plan), tmp_path / "both", cache_root=cache)
    assert (rest.skipped, rest.finished) == (merged, len(records(whole)) - merged)
    expected = records(whole).drop(columns="worker")
    pd.testing.assert_frame_equal(records(tmp_path / "both").drop(columns="worker"), expected)


def test_finished_trials_win_over_failed_ones(shards, tmp_path):
    failed = shutil.copytree(shards[0], tmp_path / "failed")
    with RunDirectory(failed).open_store(read_only=False) as store:
        store._connection.execute("UPDATE trials SET error = 'boom', macro_f1 = NULL")
        store._connection.commit()

    merge_runs([failed, shards[0]], tmp_path / "merged")

    pd.testing.assert_frame_equal(records(tmp_path / "merged"), records(shards[0]))


def test_other_versions_are_told(shards, tmp_path):
    change(shards[1], versions={"torch": "0.1"})
    told = []

    merge_runs(shards, tmp_path / "merged", told.append)

    assert told == [f"{shards[1]}: was made with other versions than {shards[0]}; see versions in their run.json"]


@pytest.mark.slow(20)
@pytest.mark.usefixtures("without_pdfs")
def test_the_slurm_example_runs_shards_then_merges_and_reports(
    raw_plan, write_plan, cache, whole, tmp_path, monkeypatch
):
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(
        '#!/usr/bin/env bash\nprintf "%s\\n" "$@" >> "$0.said"; echo end >> "$0.said"; echo "42;cluster"\n'
    )
    sbatch.chmod(0o755)
    plan = write_plan(raw_plan)
    environment = os.environ | {"PATH": f"{sbatch.parent}:{os.environ['PATH']}"}
    subprocess.run([EXAMPLE, plan, tmp_path / "run", "2", "--time=1:00"], check=True, env=environment)

    array, after = (tmp_path / "bin" / "sbatch.said").read_text().split("end\n")[:2]
    array, after = array.splitlines(), after.splitlines()
    assert array[:-1] == ["--parsable", "--array=1-2", "--time=1:00", "--wrap"]
    assert after[:-1] == ["--dependency=afterok:42", "--time=1:00", "--wrap"]
    monkeypatch.setenv("VOICEFIT_CACHE", str(cache))
    for index in ("1", "2"):
        invoke(array[-1].replace("$SLURM_ARRAY_TASK_ID", index))
    for command in after[-1].split("&&"):
        invoke(command)
    pd.testing.assert_frame_equal(records(tmp_path / "run"), records(whole))
    report = tmp_path / "run" / "report"
    assert "partial" not in (report / "index.html").read_text(encoding="utf-8")
    assert (report / "data" / "learning.csv").is_file()


def invoke(command):
    """Runs a line of shell that calls voicefit, in this process."""
    words = shlex.split(command)
    assert words[0] == "voicefit"
    spread = [str(path) for word in words[1:] for path in (sorted(Path("/").glob(word[1:])) if "*" in word else [word])]
    done = CliRunner().invoke(app, spread)
    assert done.exit_code == 0, done.output


def test_machines_that_differ_in_bfloat16_are_told_of_and_older_records_are_not():
    runs = [Path("a"), Path("b")]
    records = [{"machine": {"bfloat16": True}}, {"machine": {"bfloat16": False}}, {"machine": {}}]
    assert "bfloat16" in find_differences(runs, records[:2])[0]
    assert find_differences(runs, [records[0], records[2]]) == []
    assert find_differences(runs, [records[0], records[0]]) == []
