"""``kill -9`` while the records of a batch are written: all of them are lost, and nothing else."""

import os
import signal

import pandas as pd
import pytest

from voicefit.sweep import run_sweep
from voicefit.sweep.plan import make_plan
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.store import TrialStore

BATCH = 3 * 4  # labels, draws; of each speaker, method and k
BATCHES = 2 * 2 * 2  # speakers, methods, numbers of shots


@pytest.fixture(scope="module")
def raw(raw_plan):
    grid = [{"starts": ["none"], "methods": ["head", "prototype"], "k": [2, 4], "draws": 4}]
    return {**raw_plan, "grid": grid}


@pytest.fixture(scope="module")
def undisturbed(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run_sweep(make_plan(raw, "plan"), folder / "run", cache_root=folder / "cache").finished == BATCHES * BATCH
    return folder


def kill_itself(raw, folder, cache, inserts):
    """A sweep that ends by ``kill -9`` after so many records have gone to SQLite, before the next one does."""
    open_writer, seen = TrialStore._open_writer, []

    def watch(statement):
        if statement.startswith("INSERT OR REPLACE INTO trials"):
            seen.append(statement)
        if len(seen) > inserts:
            os.kill(os.getpid(), signal.SIGKILL)

    def open_watched(store):
        connection = open_writer(store)
        connection.set_trace_callback(watch)
        return connection

    TrialStore._open_writer = open_watched
    run_sweep(make_plan(raw, "plan"), folder, cache_root=cache)


@pytest.mark.slow(6)
@pytest.mark.parametrize("inserts", [1, 3 * BATCH + 5, 6 * BATCH, BATCHES * BATCH - 1])
def test_a_sweep_killed_amid_a_batch_loses_that_batch_alone(inserts, raw, undisturbed, tmp_path, new_process, stored):
    out, cache, expected = tmp_path / "run", undisturbed / "cache", stored(undisturbed / "run")
    process = new_process.Process(target=kill_itself, args=(raw, out, cache, inserts))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with RunDirectory(out).open_store() as store:
        left = store.trials()
    sizes = left.groupby(["speaker", "method", "k"]).size()
    assert sizes.eq(BATCH).all()
    assert len(sizes) == inserts // BATCH
    again = run_sweep(make_plan(raw, "plan"), out, cache_root=cache)
    assert (again.skipped, again.finished) == (len(left), len(expected) - len(left))
    pd.testing.assert_frame_equal(stored(out), expected)
