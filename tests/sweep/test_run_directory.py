"""The names of a run's files, and what is said of a folder that is none."""

import json

import pytest

from voicefit.errors import VoicefitError
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.specs import TRIAL_COLUMNS, StartId


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


def test_the_names_are_those_of_runs_that_are_there(run):
    files = (run.record_path, run.store_path, run.report, run.checkpoint(StartId("tiny", "a+b")))
    assert [path.relative_to(run.path).as_posix() for path in files] == [
        "run.json",
        "trials.sqlite",
        "report",
        "checkpoints/tiny/a+b",
    ]
    assert " ".join(TRIAL_COLUMNS) == "encoder start target protocol task method speaker label k draw seed"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not readable as JSON: "),
        ("[]", "it holds no table"),
        ('{"corpora": {}}', "it has no table 'plan'"),
        ('{"plan": {}, "corpora": [1]}', "it has no table 'corpora'"),
    ],
)
def test_a_damaged_record_is_refused_with_the_reason_and_what_to_do(run, content, reason):
    run.path.mkdir()
    run.record_path.write_text(content)
    with pytest.raises(
        VoicefitError, match=rf"run\.json: is damaged \({reason}.*\); restore it, or choose another run"
    ):
        run.read_record()


def test_a_folder_is_fresh_until_it_holds_something_that_no_sweep_leaves(run):
    assert run.is_fresh()
    run.path.mkdir()
    run.open_store(read_only=False).close()
    (run.path / ".run.json-0123.part").touch()
    assert run.is_fresh()
    (run.path / "thesis.txt").touch()
    assert not run.is_fresh()
    assert not RunDirectory(run.path / "thesis.txt").is_fresh()


def test_the_file_that_a_folder_lacks_is_named(run):
    run.path.mkdir()
    with pytest.raises(VoicefitError, match=r"run: is not a run directory, it has no run\.json"):
        run.read_record()
    run.record_path.write_text(json.dumps({"plan": {}, "corpora": {}}))
    assert run.read_record() == {"plan": {}, "corpora": {}}
    with pytest.raises(VoicefitError, match=r"run: is not a run directory, it has no trials\.sqlite"):
        run.require_files()
