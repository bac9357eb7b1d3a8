"""A run that grows while it is watched."""

import pytest
from typer.testing import CliRunner

from report.synthetic import RECORD, row
from report.test_compare import add_rows, write_run
from voicefit.cli import app
from voicefit.errors import VoicefitError
from voicefit.report.watch import EVERY_SECONDS, watch_report

REFRESH = f'<meta http-equiv="refresh" content="{EVERY_SECONDS}">'


def rows(*speakers, **changes):
    return [row(speaker=speaker, **changes) for speaker in speakers]


def test_the_report_follows_the_store_until_the_plan_is_done(tmp_path):
    run = write_run(tmp_path / "run", [], planned_trials=3)
    waits = iter([rows("a"), [], rows("b"), rows("c", error="boom", macro_f1=None)])
    told = []

    for page, left in watch_report(run, wait=lambda _: add_rows(run, next(waits))):
        text = page.read_text(encoding="utf-8") if page else ""
        told.append((left, REFRESH in text, "partial" in text))

    assert told == [
        ("partial: 0 of 3 trials", False, False),
        ("partial: 1 of 3 trials", True, True),
        ("partial: 2 of 3 trials", True, True),
        ("", False, False),
    ]
    assert next(waits, None) is None


def test_a_complete_run_is_reported_once(tmp_path):
    run = write_run(tmp_path / "run", rows("a", "b"), planned_trials=2)

    done = CliRunner().invoke(app, ["report", str(run), "--watch"])

    assert done.exit_code == 0
    assert done.stdout.count("report:") == 1 and "complete" in done.stdout


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match="not a run directory"):
        next(watch_report(tmp_path))


def test_two_runs_are_not_watched(tmp_path):
    run = write_run(tmp_path / "run", rows("a"), planned_trials=RECORD["planned_trials"])

    failed = CliRunner().invoke(app, ["report", str(run), str(run), "--watch"])

    assert isinstance(failed.exception, VoicefitError)
    assert "--watch is for one run" in str(failed.exception)
