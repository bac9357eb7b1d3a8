import contextlib
import json
import random
import sqlite3
from dataclasses import replace
from datetime import datetime

import pytest

from support.stored_trials import RESULT, SPEC
from voicefit.errors import VoicefitError
from voicefit.sweep.store import TrialStore

COLUMNS = [
    *(
        "key",
        "encoder",
        "start",
        "target",
        "protocol",
        "task",
        "method",
        "speaker",
        "label",
        "k",
        "draw",
        "seed",
    ),
    *("macro_f1", "accuracy", "balanced_accuracy", "floor_never", "floor_coin"),
    *("calibration", "confusion", "support", "test_clips", "seconds", "error", "finished_at"),
    *("attempts", "worker"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trials.sqlite"


def test_a_record_comes_back_as_it_was_written(path):
    with TrialStore(path) as store:
        store.add(SPEC, RESULT)
    with TrialStore(path, read_only=True) as store:
        table = store.trials()
    assert list(table) == COLUMNS
    row = table.iloc[0].to_dict()
    assert row["key"] == SPEC.key
    assert {name: row[name] for name in COLUMNS[1:12]} == {name: getattr(SPEC, name) for name in COLUMNS[1:12]}
    lists = {"calibration", "confusion", "support"}
    assert {name: json.loads(row[name]) for name in lists} == {name: RESULT[name] for name in lists}
    assert {name: row[name] for name in RESULT if name not in lists} == {
        name: value for name, value in RESULT.items() if name not in lists
    }
    assert row["error"] is None
    assert datetime.fromisoformat(row["finished_at"]).tzinfo is not None


def test_a_failed_trial_is_kept_with_its_error_and_is_not_finished(path):
    with TrialStore(path) as store:
        store.add(SPEC, {"error": "ValueError: no"})
        assert store.finished_keys() == set()
        row = store.trials().iloc[0]
        assert row["error"] == "ValueError: no"
        assert row[["macro_f1", "support", "seconds"]].isna().all()
        store.add(SPEC, RESULT)
        assert store.finished_keys() == {SPEC.key}
        assert list(store.trials()["macro_f1"]) == [0.1]


def test_a_trial_of_newer_code_takes_the_place_of_the_old_record(path):
    with TrialStore(path) as store:
        store.add(SPEC, RESULT)
        newer = replace(SPEC, method_key="m2")
        store.add(newer, {**RESULT, "macro_f1": 0.9})
        store.add(replace(SPEC, draw=1), RESULT)
        table = store.trials().set_index("draw")
    assert dict(table["macro_f1"]) == {0: 0.9, 1: 0.1}
    assert table.loc[0, "key"] == newer.key


def make_garbage(path):
    path.write_bytes(random.Random(0).randbytes(9000))


def make_text(path):
    path.write_text("hi")


def make_truncated(path):
    with TrialStore(path) as store:
        for draw in range(100):
            store.add(replace(SPEC, draw=draw), RESULT)
    path.write_bytes(path.read_bytes()[:10_000])


def make_overwritten(path):
    with TrialStore(path) as store:
        for draw in range(100):
            store.add(replace(SPEC, draw=draw), RESULT)
    content = bytearray(path.read_bytes())
    content[8192:12_288] = bytes(range(256)) * 16
    path.write_bytes(content)


def make_foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE trials (key TEXT)")
    connection.close()


def make_future(path):
    TrialStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


def make_folder(path):
    path.mkdir()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "make",
    [make_garbage, make_text, make_truncated, make_overwritten, make_foreign, make_future, make_folder],
)
def test_a_file_that_is_no_store_is_an_error_and_left_as_it_is(path, make, read_only):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(VoicefitError, match=r"trials\.sqlite: is .* left as it is"):
        TrialStore(path, read_only=read_only)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_an_empty_file_becomes_a_store(path):
    path.touch()  # what a kill while SQLite creates the file leaves
    with TrialStore(path) as store:
        store.add(SPEC, RESULT)
        assert store.finished_keys() == {SPEC.key}


def test_a_reader_in_the_middle_of_reading_does_not_hold_up_the_writer(path):
    with TrialStore(path) as writer:
        for draw in range(500):
            writer.add(replace(SPEC, draw=draw), RESULT)
        reader = sqlite3.connect(path)
        rows = reader.execute("SELECT * FROM trials")
        rows.fetchone()
        writer.add(replace(SPEC, draw=500), RESULT)
        assert len(rows.fetchall()) == 499
        reader.close()


def test_an_empty_file_has_no_trials_to_read(path):
    path.touch()
    with pytest.raises(VoicefitError, match="holds no trials yet"):
        TrialStore(path, read_only=True)


def test_no_store_to_read_is_an_error_and_makes_none(path):
    with pytest.raises(VoicefitError, match=r"trials\.sqlite: no trial store here"):
        TrialStore(path, read_only=True)
    assert not path.exists()


def test_a_store_opened_to_read_cannot_be_written(path):
    TrialStore(path).close()
    with TrialStore(path, read_only=True) as store, pytest.raises(VoicefitError, match="for reading alone"):
        store.add(SPEC, RESULT)


def test_a_reader_sees_each_record_while_the_writer_has_the_file_open(path):
    with TrialStore(path) as writer, TrialStore(path, read_only=True) as reader:
        for count in range(1, 4):
            writer.add(replace(SPEC, draw=count), RESULT)
            assert len(reader.trials()) == count
            with TrialStore(path, read_only=True) as another:
                assert len(another.finished_keys()) == count


def write_without_end(path, pipe):
    store = TrialStore(path)
    for draw in range(10**9):
        store.add(replace(SPEC, draw=draw), RESULT)
        pipe.send(draw)


@pytest.mark.slow(5)
def test_what_was_added_survives_kill_9(path, new_process):
    here, there = new_process.Pipe()
    writer = new_process.Process(target=write_without_end, args=(path, there))
    writer.start()
    there.close()
    told = [here.recv() for _ in range(50)]
    writer.kill()
    writer.join()
    with contextlib.suppress(EOFError):
        while True:
            told.append(here.recv())
    with TrialStore(path) as store:
        draws = sorted(store.trials()["draw"])
        assert draws[: len(told)] == told
        assert len(draws) - len(told) in (0, 1)  # at most the one in hand was written and not told
        store.add(replace(SPEC, draw=10**9), RESULT)
        assert len(store.finished_keys()) == len(draws) + 1


def test_a_schema_that_is_no_longer_text_is_a_damaged_store(tmp_path):
    path = tmp_path / "trials.sqlite"
    TrialStore(path).close()
    content = path.read_bytes()
    keyword = content.index(b"KEY", content.index(b"CREATE TABLE"))
    path.write_bytes(content[: keyword + 2] + b"\xff" + content[keyword + 3 :])
    with pytest.raises(VoicefitError, match="is damaged"):
        TrialStore(path, read_only=True)


def test_a_column_name_that_is_no_longer_text_is_a_damaged_store(tmp_path):
    path = tmp_path / "trials.sqlite"
    TrialStore(path).close()
    path.write_bytes(path.read_bytes().replace(b"balanced_accuracy", b"balanced\xa5accuracy"))
    with TrialStore(path, read_only=True) as store, pytest.raises(VoicefitError, match="is damaged"):
        store.trials()


@pytest.mark.parametrize("column", ["calibration", "confusion"])
def test_a_store_from_before_a_column_was_recorded_goes_on(column, path, tmp_path):
    with TrialStore(path) as store:
        store.add(SPEC, RESULT)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"ALTER TABLE trials DROP COLUMN {column}")
    with TrialStore(path, read_only=True) as store:
        assert column not in store.trials()
    with TrialStore(tmp_path / "merged.sqlite") as store:
        assert store.absorb(path) == 1
    with TrialStore(path) as store:
        store.add(replace(SPEC, draw=1), RESULT)
        assert store.trials().set_index("draw")[column].isna().to_dict() == {0: True, 1: False}


# What is kept of attempts.


def test_a_score_that_is_not_a_number_is_a_failed_trial(path):
    with TrialStore(path) as store:
        for draw, score in enumerate((float("nan"), None)):
            error = store.add(replace(SPEC, draw=draw), {**RESULT, "macro_f1": score})
            assert error == "the score is not a number"
        assert store.finished_keys() == set() and len(store.failed_keys()) == 2
        assert set(store.trials()["error"]) == {"the score is not a number"}


def test_what_ended_each_attempt_is_kept(path):
    with TrialStore(path) as store:
        store.add_lost(SPEC, "node1:7", "exit code -9")
        assert store.lost_attempts() == {SPEC.key: ["node1:7: exit code -9"]}
        assert store.finished_keys() == store.failed_keys() == set()
        store.add(SPEC, {"error": "ValueError: no", "worker": "node1:8"})
        assert store.lost_attempts() == {}  # it has ended, and begins at none when it is tried again
    with TrialStore(path) as store:
        store.add(SPEC, {**RESULT, "worker": "node2:9"})
        store.add(replace(SPEC, draw=1), RESULT)
        rows = store.trials().set_index("draw")
    assert dict(rows["attempts"]) == {0: 3, 1: 1} and rows.loc[0, "worker"] == "node2:9"
    with TrialStore(path, read_only=True) as store:
        history = store.attempts()
    assert [tuple(row)[:4] for row in history.itertuples(index=False)] == [
        (SPEC.key, 1, "node1:7", "exit code -9"),
        (SPEC.key, 2, "node1:8", "ValueError: no"),
    ]


def test_attempts_are_taken_over_with_the_records(path, tmp_path):
    with TrialStore(path) as store:
        store.add_lost(SPEC, "node1:7", "exit code -9")
        store.add(SPEC, RESULT)
    with TrialStore(tmp_path / "merged.sqlite") as merged:
        assert merged.absorb(path) == 1
        assert list(merged.attempts()["cause"]) == ["exit code -9"]
        assert list(merged.trials()["attempts"]) == [2]


def test_a_record_of_an_older_version_without_a_score_is_run_again(path):
    with TrialStore(path) as store:
        store.add(SPEC, RESULT)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE trials SET macro_f1 = NULL")  # what NaN became
        connection.commit()
    with TrialStore(path, read_only=True) as store:
        assert store.finished_keys() == set() and store.failed_keys() == {SPEC.key}


def test_a_store_of_a_newer_version_is_refused_in_words(path):
    make_future(path)
    for read_only in (True, False):
        with pytest.raises(VoicefitError, match=r"a newer version .* \(format 99, .* up to 1\); use that version"):
            TrialStore(path, read_only=read_only)


def test_a_store_with_a_column_of_another_version_is_taken_over(path, tmp_path):
    with TrialStore(path) as store:
        store.add(SPEC, RESULT)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE trials ADD COLUMN mood TEXT DEFAULT 'good'")
        connection.execute("ALTER TABLE trials DROP COLUMN worker")
        connection.commit()
    with TrialStore(tmp_path / "merged.sqlite") as merged, TrialStore(path, read_only=True) as store:
        assert merged.absorb(path) == merged.count() == 1
        ours, theirs = merged.trials(), store.trials()
        both = [name for name in theirs if name != "mood"]
        assert ours[both].equals(theirs[both]) and ours["worker"].isna().all()


def test_a_store_on_a_disk_without_shared_memory_is_taken_over(path, tmp_path, monkeypatch):
    with TrialStore(path) as store:
        store.add(SPEC, RESULT)

    def refuse(_):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_SHMOPEN"
        raise error

    monkeypatch.setattr("voicefit.sweep.store_reader._connect", refuse)
    with TrialStore(tmp_path / "merged.sqlite") as merged:
        assert merged.absorb(path) == 1
