"""A run once more."""

import shutil

import pytest
from typer.testing import CliRunner

from voicefit.cli.app import app
from voicefit.errors import VoicefitError
from voicefit.sweep import make_plan, recorded_plan, run_sweep
from voicefit.sweep.record import describe_git
from voicefit.sweep.run_directory import RunDirectory
from voicefit.system.files import write_json

pytestmark = pytest.mark.slow(4)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(raw_plan, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    grid = [raw_plan["grid"][0] | {"methods": ["head"], "draws": 1}]
    run_sweep(make_plan({**raw_plan, "grid": grid}, "plan"), out, cache_root=cache)
    return out


@pytest.fixture
def run(finished, cache, tmp_path, monkeypatch):
    """A copy to spoil."""
    monkeypatch.setenv("VOICEFIT_CACHE", str(cache))
    return shutil.copytree(finished, tmp_path / "run")


def reproduce(run, out):
    return CliRunner().invoke(app, ["sweep", "--reproduce", str(run), "--out", str(out)])


def test_a_run_comes_out_the_same(run, tmp_path):
    done = reproduce(run, tmp_path / "again")

    assert done.exit_code == 0, done.output
    with RunDirectory(run).open_store() as store:
        count = len(store.trials())
    assert f"{count} of {count} trials have the same score to the last digit" in done.stdout
    assert "→" not in done.stdout


def test_what_differs_is_told(run, tmp_path):
    with RunDirectory(run).open_store(read_only=False) as store:
        key = store.trials()["key"][0]
        store._connection.execute("UPDATE trials SET macro_f1 = 0.125 WHERE key = ?", [key])
        store._connection.commit()
    record = RunDirectory(run).read_record()
    write_json(RunDirectory(run).record_path, record | {"versions": record["versions"] | {"torch": "0.1"}})

    done = reproduce(run, tmp_path / "again")

    assert done.exit_code == 1
    assert "versions.torch: 0.1 → " in done.stdout.replace("\n", "")
    told = [line for line in done.stdout.splitlines() if "0.125 → " in line]
    assert len(told) == 1 and "k=" in told[0] and "draw 0" in told[0]


def test_the_recorded_plan_is_the_plan(run, raw_plan):
    assert recorded_plan(run).corpora == raw_plan["corpora"]


def test_a_run_records_code_corpora_and_command(run):
    record = RunDirectory(run).read_record()

    assert record["git"] == describe_git()
    assert all(corpus["digest"] and corpus["bytes"] > 0 for corpus in record["corpora"].values())
    assert record["command"] and record["plan"]["seed"] == 0


def test_git_of_a_folder_outside_a_repository_is_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert describe_git() is None


def test_a_shard_cannot_be_reproduced(run):
    record = RunDirectory(run).read_record()
    write_json(RunDirectory(run).record_path, record | {"shard": "1/2"})

    with pytest.raises(VoicefitError, match="merge the shards first"):
        recorded_plan(run)
