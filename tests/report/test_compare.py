"""Two runs on disk against each other."""

from dataclasses import fields

import pytest
from typer.testing import CliRunner

from support.synthetic_runs import RECORD, row
from voicefit.cli.app import app
from voicefit.errors import VoicefitError
from voicefit.report.compare import compare, compare_runs
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.store import TrialStore
from voicefit.system.files import write_json


def write_run(folder, rows, **changes):
    folder.mkdir()
    write_json(folder / "run.json", RECORD | changes)
    add_rows(folder, rows)
    return folder


def add_rows(folder, rows):
    with TrialStore(folder / "trials.sqlite") as store:
        for trial in rows:
            about = {field.name: trial.get(field.name, "") for field in fields(TrialSpec)}
            result = {name: trial[name] for name in ("macro_f1", "floor_never", "floor_coin", "seconds", "error")}
            store.add(TrialSpec(**about), result | {"support": trial["support"]})


@pytest.fixture
def runs(tmp_path):
    """The second run gains 0.1 with k = 2 and nothing with k = 4, lacks speaker c's k = 4 and has a method more."""
    first = [row(speaker=s, k=k, macro_f1=0.5 + 0.01 * i) for i, s in enumerate("abc") for k in (2, 4)]
    second = [
        trial | {"macro_f1": trial["macro_f1"] + (0.1 + 0.01 * i if trial["k"] == 2 else 0)}
        for i, trial in enumerate(first)
    ][:-1]
    second.append(row(speaker="a", method="prior"))
    plan = RECORD["plan"] | {"encoder": "base"}
    return write_run(tmp_path / "old", first), write_run(tmp_path / "new", second, plan=plan)


def test_differences_are_paired(runs):
    cells = compare(*runs).cells.set_index("k")

    assert cells.loc[2, "gain"] == pytest.approx((0.10 + 0.12 + 0.14) / 3)
    assert cells.loc[4, "gain"] == 0
    assert cells["trials"].tolist() == [3, 2]
    assert cells.loc[2, "base"] == pytest.approx(0.51)


def test_what_only_one_run_has_and_what_was_set_otherwise(runs):
    found = compare(*runs)

    assert found.only.to_dict("records") == [
        {"start": "none", "method": "head", "first": 1, "second": 0},
        {"start": "none", "method": "prior", "first": 0, "second": 1},
    ]
    assert found.settings == [("plan.encoder", "tiny", "base")]
    assert found.other_clips == 0


def test_other_support_clips_are_told(tmp_path):
    first = write_run(tmp_path / "old", [row(speaker=s) for s in "ab"])
    second = write_run(tmp_path / "new", [row(speaker=s, support=["x"]) for s in "ab"])

    assert compare(first, second).other_clips == 2
    assert "2 pairs had different support clips" in compare_runs(first, second)[0].note


def test_a_run_equals_itself(runs):
    tables = compare_runs(runs[0], runs[0])

    assert len(tables) == 1
    assert all(cell.text == "0.000" for row in tables[0].rows for cell in row[2:])


def test_runs_without_a_common_trial_are_refused(tmp_path):
    first = write_run(tmp_path / "old", [row()])
    second = write_run(tmp_path / "new", [row(k=8)])

    with pytest.raises(VoicefitError, match="share no finished trial"):
        compare(first, second)


def test_the_command_prints_and_writes(runs, tmp_path):
    done = CliRunner().invoke(
        app, ["report", str(runs[0]), str(runs[1]), "--out", str(tmp_path / "out"), "--format", "markdown"]
    )

    assert done.exit_code == 0
    assert "new minus old" in done.stdout and "plan.encoder" in done.stdout
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".csv", ".md"}
