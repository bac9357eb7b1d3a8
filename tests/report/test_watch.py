"""A report that follows a sweep, beside the real store."""

import itertools
import json
import signal
import subprocess
import sys
import time

import pytest

from report.synthetic import RECORD
from voicefit.errors import VoicefitError
from voicefit.report import watch_report
from voicefit.sweep.plan import TrialSpec
from voicefit.sweep.store import TrialStore

RELOAD = '<meta http-equiv="refresh"'
SPECS = [
    TrialSpec("tiny", start, "", "nemo", "clean", "one-vs-rest", "head", "m", speaker, "anger", 2, draw, 0)
    for draw, start, speaker in itertools.product(range(2), ("none", "a"), "xy")
]
RESULT = {"macro_f1": 0.6, "floor_never": 0.45, "floor_coin": 0.44, "seconds": 0.1, "support": [], "test_clips": 9}


def add(run, specs, **changes):
    with TrialStore(run / "trials.sqlite") as store:
        for spec in specs:
            store.add(spec, RESULT | changes)


@pytest.fixture
def run(tmp_path):
    """A sweep of eight trials, none of them done."""
    add(tmp_path, [])
    (tmp_path / "run.json").write_text(json.dumps(RECORD | {"planned_trials": len(SPECS)}))
    return tmp_path


def page_of(run):
    return (run / "report" / "index.html").read_text(encoding="utf-8")


def test_it_follows_a_sweep_to_its_end(run):
    states = watch_report(run, 1)
    assert next(states) == "waiting for the first score: 0 of 8 trials"
    add(run, SPECS[:4])
    assert next(states) == f"partial, 4 of 8 trials: {run / 'report' / 'index.html'}"
    assert "partial: 4 of 8 trials" in page_of(run)
    assert "every 1 second" in page_of(run)
    assert f'{RELOAD} content="1">' in page_of(run)
    add(run, SPECS[4:])

    assert list(states) == [f"complete, 8 of 8 trials: {run / 'report' / 'index.html'}"]
    assert "partial" not in page_of(run)
    assert RELOAD not in page_of(run)


def test_failed_trials_do_not_keep_it_waiting(run):
    add(run, SPECS[:-1])
    add(run, SPECS[-1:], macro_f1=None, error="boom")

    assert [state.partition(":")[0] for state in watch_report(run, 1)] == ["complete, 8 of 8 trials"]
    assert "partial: 7 of 8 trials" in page_of(run)
    assert RELOAD not in page_of(run)


def test_an_error_leaves_a_page_that_rests(run):
    add(run, SPECS[:4])
    states = watch_report(run, 1)
    next(states)
    (run / "run.json").write_text("{")

    with pytest.raises(VoicefitError, match="not readable as JSON"):
        next(states)
    assert "partial: 4 of 8 trials" in page_of(run)
    assert RELOAD not in page_of(run)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match="not a run directory"):
        next(watch_report(tmp_path, 1))


def test_ctrl_c_ends_the_command_and_the_reloading(run):
    add(run, SPECS[:4])
    command = [sys.executable, "-c", "from voicefit.cli import main; main()", "report", str(run), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as watching:
        assert watching.stdout.readline().startswith("partial, 4 of 8 trials")
        assert RELOAD in page_of(run)
        watching.send_signal(signal.SIGINT)
        rest, _ = watching.communicate(timeout=60)

    assert watching.returncode == 0
    assert rest.strip() == f"no longer watched: {run / 'report' / 'index.html'}"
    assert RELOAD not in page_of(run)
    assert "partial: 4 of 8 trials" in page_of(run)


def test_an_open_page_follows(run, browser):
    add(run, SPECS[:4])
    states = watch_report(run, 1)
    next(states)
    page = browser.new_page()
    page.goto((run / "report" / "index.html").as_uri())
    assert page.get_by_role("status").inner_text().startswith("partial: 4 of 8 trials.")
    add(run, SPECS[4:])
    list(states)

    end = time.monotonic() + 20
    while page.get_by_role("status").count() and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert page.get_by_role("status").count() == 0
    assert "8 finished trials" in page.inner_text("header")
    page.close()
