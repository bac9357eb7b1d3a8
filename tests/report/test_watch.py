"""A report that follows a sweep, beside the real store."""

import itertools
import json
import signal

import pytest

from support.new_process import Started
from support.synthetic_runs import RECORD
from voicefit.errors import VoicefitError
from voicefit.report import watch_report
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.store import TrialStore

pytestmark = pytest.mark.usefixtures("without_pdfs")

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


@pytest.mark.slow(5)
def test_it_follows_a_sweep_to_its_end(run):
    told, pages = [], []

    def sweep_on(words):
        told.append(words.partition(":")[0])
        pages.append(page_of(run) if (run / "report").exists() else "")
        add(run, SPECS[: 4 * len(told)])

    watch_report(run, 1, sweep_on)

    assert told == ["waiting for the first score", "partial, 4 of 8 trials", "complete, 8 of 8 trials"]
    assert "partial: 4 of 8 trials" in pages[1]
    assert "every 1 second" in pages[1]
    assert f'{RELOAD} content="1">' in pages[1]
    assert "partial" not in pages[2]
    assert RELOAD not in pages[2]


@pytest.mark.slow(1)
def test_failed_trials_do_not_keep_it_waiting(run):
    add(run, SPECS[:-1])
    add(run, SPECS[-1:], macro_f1=None, error="boom")
    told = []
    watch_report(run, 1, told.append)

    assert told == [f"complete, 8 of 8 trials: {run / 'report' / 'index.html'}"]
    assert "partial" not in page_of(run)
    assert "1 failed trial" in page_of(run)
    assert RELOAD not in page_of(run)


@pytest.mark.slow(2)
def test_an_error_leaves_a_page_that_rests(run):
    add(run, SPECS[:4])
    with pytest.raises(VoicefitError, match="not readable as JSON"):
        watch_report(run, 1, lambda _: (run / "run.json").write_text("{"))

    assert "partial: 4 of 8 trials" in page_of(run)
    assert RELOAD not in page_of(run)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match="not a run directory"):
        watch_report(tmp_path, 1, print)


@pytest.mark.slow(7)
def test_ctrl_c_ends_the_command_and_the_reloading(run, tmp_path):
    add(run, SPECS[:4])
    watching = Started(["report", run, "--watch"], tmp_path / "printed")
    try:
        assert watching.first_line().startswith("partial, 4 of 8 trials")
        assert RELOAD in page_of(run)
        watching.signal(signal.SIGINT)
        code, printed, _ = watching.end(60)
    finally:
        watching.process.kill()  # or a failure would wait for it without end

    assert code == 0
    assert printed.splitlines()[-1] == f"no longer watched: {run / 'report' / 'index.html'}"
    assert RELOAD not in page_of(run)
    assert "partial: 4 of 8 trials" in page_of(run)


@pytest.mark.slow(9)
def test_an_open_page_follows(run, browser):
    add(run, SPECS[:4])
    page = browser.new_page()

    def look(words):
        if words.startswith("partial"):
            page.goto((run / "report" / "index.html").as_uri())
            assert page.get_by_role("status").inner_text().startswith("partial: 4 of 8 trials.")
            add(run, SPECS[4:])

    watch_report(run, 1, look)

    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page.locator("header")).to_contain_text("8 finished trials", timeout=20_000)
    assert page.get_by_role("status").count() == 0
    page.close()
