"""Stores on disks that refuse what SQLite asks for: no shared memory, no locks, no space."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.stored_trials import RESULT, SPEC
from voicefit.errors import VoicefitError
from voicefit.sweep import store_disk, store_reader
from voicefit.sweep.store import TrialStore
from voicefit.sweep.store_disk import Journal, file_system, find_journal, store_fault

SHIM = Path(__file__).parents[1] / "support" / "refusing_disk.c"


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """A library that makes the disk of a process refuse."""
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("needs Linux and gcc")
    library = tmp_path_factory.mktemp("shim") / "refusing_disk.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True)
    return library


@pytest.fixture
def without_shared_memory(monkeypatch):
    """SQLite's own VFS without shared memory, in which locks are folders beside the file."""
    connect = sqlite3.connect

    def refusing(name, **how):
        return connect(f"{name}{'&' if '?' in name else '?'}vfs=unix-dotfile" if how.get("uri") else name, **how)

    monkeypatch.setattr(store_disk.sqlite3, "connect", refusing)


def fill(path, count, first=0):
    with TrialStore(path) as store:
        for draw in range(first, first + count):
            store.add(replace(SPEC, draw=draw), RESULT)
        return store.remark


def draws(path):
    with TrialStore(path, read_only=True) as store:
        return sorted(store.trials()["draw"])


def test_a_usual_disk_has_a_wal_and_nothing_is_left_of_the_probe(tmp_path):
    assert find_journal(tmp_path) == (Journal.WAL, "")
    assert not list(tmp_path.iterdir())
    assert fill(tmp_path / "trials.sqlite", 1) == ""


def test_a_network_file_system_gets_no_wal_though_one_machine_alone_could_have_it(tmp_path, monkeypatch):
    monkeypatch.setattr(store_disk, "file_system", lambda folder: "nfs4")
    assert find_journal(tmp_path) == (Journal.ROLLBACK, "nfs4 is a network file system")
    remark = fill(tmp_path / "trials.sqlite", 2)
    assert remark.endswith("without SQLite's write-ahead log, which is slower: nfs4 is a network file system")
    assert draws(tmp_path / "trials.sqlite") == [0, 1]


def test_the_file_system_of_a_folder_is_known(tmp_path):
    assert file_system(Path("/proc")) == "proc"
    assert file_system(tmp_path / "gone") == ""


def test_without_shared_memory_another_journal_is_taken(tmp_path, without_shared_memory):
    journal, reason = find_journal(tmp_path)
    assert journal is Journal.ROLLBACK and reason.startswith("it was tried, and SQLite says: ")
    fill(tmp_path / "trials.sqlite", 3)
    fill(tmp_path / "trials.sqlite", 2, first=3)
    assert draws(tmp_path / "trials.sqlite") == list(range(5))


def test_a_store_with_a_log_goes_on_where_none_can_be_had(tmp_path, monkeypatch):
    writer = TrialStore(tmp_path / "trials.sqlite")
    writer.add(SPEC, RESULT)
    away = tmp_path / "away"
    away.mkdir()
    for path in tmp_path.glob("trials.sqlite*"):  # with the log, as after a kill
        shutil.copy(path, away)
    writer.close()
    monkeypatch.setattr(store_disk, "file_system", lambda folder: "lustre")
    fill(away / "trials.sqlite", 1, first=1)
    assert draws(away / "trials.sqlite") == [0, 1]
    assert not (away / "trials.sqlite-wal").exists()


def test_a_reader_that_reads_for_long_does_not_hold_up_a_writer_without_a_log(tmp_path, monkeypatch):
    monkeypatch.setattr(store_disk, "file_system", lambda folder: "nfs")
    path = tmp_path / "trials.sqlite"
    with TrialStore(path) as writer:
        writer.add(SPEC, RESULT)
        with TrialStore(path, read_only=True) as reader, reader._reading() as connection:
            rows = connection.execute("SELECT * FROM trials")
            writer.add(replace(SPEC, draw=1), RESULT)
            assert len(rows.fetchall()) == 1
        assert draws(path) == [0, 1]


SCRIPT = """
import json, sys
from pathlib import Path
from dataclasses import replace
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.store import TrialStore
path, role, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
SPEC = TrialSpec("tiny", "a+b", "s", "t", "clean", "one-vs-rest", "head", "m", "anna", "anger", 2, 0, 0)
if role == "write":
    with TrialStore(path) as store:
        print(store.remark, flush=True)
        for draw in range(count):
            store.add(replace(SPEC, draw=draw), {"macro_f1": 0.5, "support": ["a"] * 30})
else:
    seen = [0]
    while seen[-1] < count:
        with TrialStore(path, read_only=True) as store:
            seen.append(len(store.trials()))
    assert seen == sorted(seen)
    print(len(seen), flush=True)
"""


@pytest.mark.slow(8)
@pytest.mark.parametrize(
    ("refusals", "remark"),
    [
        ({"NO_SHARED_MEMORY": "1"}, "it was tried, and SQLite says"),
        ({"NO_LOCKS": "1"}, "file locks do not work there"),
        ({"NO_LOCKS": "1", "NO_SHARED_MEMORY": "1"}, "file locks do not work there"),
    ],
)
def test_two_processes_at_once_on_a_disk_that_refuses(tmp_path, shim, refusals, remark):
    path, environment = tmp_path / "trials.sqlite", {**os.environ, **refusals, "LD_PRELOAD": str(shim)}
    TrialStore(path).close()
    how = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", SCRIPT, path, role, "60"], **how) for role in ("write", "read")]
    (written, write_errors), (_, read_errors) = (process.communicate(timeout=120) for process in both)
    assert [process.returncode for process in both] == [0, 0], write_errors + read_errors
    assert remark in written
    assert draws(path) == list(range(60))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SQLITE_FULL", "the disk is full; finished trials are kept"),
        ("SQLITE_BUSY_TIMEOUT", "is locked by another process"),
        ("SQLITE_PROTOCOL", "whose locks do not work"),
        ("SQLITE_IOERR_SHMMAP", "cannot be read or written on this disk"),
        ("SQLITE_READONLY", "may not be written to"),
        ("SQLITE_CANTOPEN", "cannot be opened"),
        ("SQLITE_CORRUPT", "is damaged"),
        ("SQLITE_NOTADB", "is damaged, or not a trial store"),
    ],
)
def test_damage_alone_is_called_damage(name, words):
    error = sqlite3.OperationalError("whatever")
    error.sqlite_errorname = name
    told = str(store_fault(Path("trials.sqlite"), error))
    assert words in told and ("damaged" in told) == ("damaged" in words)


def test_a_store_that_is_never_still_is_told_so(tmp_path, monkeypatch):
    fill(tmp_path / "trials.sqlite", 1)
    monkeypatch.setattr(store_reader, "_PAUSE_S", 0)
    reader = store_reader.StoreReader(tmp_path / "trials.sqlite")
    states = iter(range(10**6))
    monkeypatch.setattr(reader, "_state", lambda: (str(next(states)).encode(), 0, (0, 0)))
    with pytest.raises(VoicefitError, match="written to all the time on a disk without locks"):
        reader._copied()


def test_a_folder_that_may_not_be_written_to_is_told(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(VoicefitError, match="no trial store can be kept there"):
        find_journal(tmp_path)


FULL = """
import json, sys
from pathlib import Path
from voicefit.errors import VoicefitError
from voicefit.sweep import make_plan, run_sweep
raw, out, cache = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
try:
    result = run_sweep(make_plan(raw, "plan"), out, cache_root=cache)
except (VoicefitError, OSError) as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.slow(60)
def test_a_disk_that_is_full_at_any_write_is_told_and_the_sweep_goes_on_to_the_same_numbers(
    tmp_path, shim, raw_plan, stored
):
    grid = [{"starts": ["all"], "methods": ["prototype"], "k": [2], "draws": 1}]
    plan = json.dumps({**raw_plan, "grid": grid})

    def sweep(folder, **refusals):
        environment = {**os.environ, "LD_PRELOAD": str(shim), "FULL_UNDER": str(folder), **refusals}
        command = [sys.executable, "-c", FULL, plan, str(folder / "run"), str(folder / "cache")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    whole = tmp_path / "whole"
    whole.mkdir()
    done = sweep(whole, COUNT_TO=str(tmp_path / "count"))
    assert done.returncode == 0, done.stderr
    writes = int((tmp_path / "count").read_text())
    assert writes > 20
    for place in range(4):
        folder = tmp_path / str(place)
        folder.mkdir()
        full = sweep(folder, FULL_FROM=str(1 + (writes - 2) * place // 3))
        # The last writes tidy up: a sweep that cannot do that has ended well all the same.
        assert full.returncode == 2 or place == 3, full.stderr
        assert "Traceback" not in full.stderr and "damaged" not in full.stdout
        assert len(full.stdout.splitlines()) == (full.returncode == 2)
        again = sweep(folder)
        assert again.returncode == 0, again.stdout + again.stderr
        assert stored(folder / "run").equals(stored(whole / "run"))
