"""The trial store: one SQLite file, one transaction for a trial or a batch of them."""

import contextlib
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from voicefit.errors import VoicefitError
from voicefit.sweep.specs import TRIAL_COLUMNS, TrialSpec
from voicefit.sweep.store_disk import Journal, drop_log, find_journal, set_journal, store_fault
from voicefit.sweep.store_reader import StoreReader

if TYPE_CHECKING:
    import pandas as pd

_APPLICATION_ID = 0x56664974
"""The application id in the header of every store: "VfIt" in ASCII."""

_VERSION = 1
"""The version of the tables below. A store of a later one is refused; a column or a table more is none."""

_COLUMNS: dict[str, str] = {
    "key": "TEXT PRIMARY KEY",
    **{name: "INTEGER NOT NULL" if kind is int else "TEXT NOT NULL" for name, kind in TRIAL_COLUMNS.items()},
    "macro_f1": "REAL",
    "accuracy": "REAL",
    "balanced_accuracy": "REAL",
    "floor_never": "REAL",
    "floor_coin": "REAL",
    "calibration": "TEXT",
    "confusion": "TEXT",
    "support": "TEXT",
    "test_clips": "INTEGER",
    "seconds": "REAL",
    "error": "TEXT",
    "finished_at": "TEXT NOT NULL",
    "attempts": "INTEGER",
    "worker": "TEXT",
}
"""A trial's last attempt, and the number of all; null in stores from before that was recorded."""

_ATTEMPTS = (
    "CREATE TABLE IF NOT EXISTS attempts (key TEXT NOT NULL, number INTEGER NOT NULL, worker TEXT, "
    "cause TEXT NOT NULL, ended_at TEXT NOT NULL, PRIMARY KEY (key, number)) WITHOUT ROWID"
)
"""The attempts that ended without a score: those of trials that failed, and those that were lost with their worker."""

NOT_A_NUMBER = "the score is not a number"
"""The error of a trial whose score is NaN or missing."""

_encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make an encoder for each value

_INSERT = f"INSERT OR REPLACE INTO trials ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"

_INSERT_ATTEMPT = "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?)"

_JSON = {"calibration", "confusion", "support"}
"""The columns that hold JSON."""

_TRIAL = ", ".join(TRIAL_COLUMNS)
"""A trial run again because its method's code has changed has another key, and takes the place of the old one."""


class TrialStore:
    """Trial records by key. A record is either whole in the file or not there; writing one again replaces it.

    One process writes at a time, which the lock of the run sees to; any number may read meanwhile.

    Args:
        path: the file; created if it is not there.
        read_only: open for reading alone, while a sweep may be writing.

    Raises:
        VoicefitError: the file is damaged, or is not a trial store of this version. It is left untouched.
    """

    def __init__(self, path: Path, *, read_only: bool = False):
        self.path = path
        self.remark = ""
        """Why a store that is written is slower than it might be; empty where it is not."""
        self._reader, self._writer = StoreReader(path), None
        self._tried: Counter[str] = Counter()
        fresh = not path.exists()
        if fresh and read_only:
            raise VoicefitError(f"{path}: no trial store here; is this the --out folder of a sweep?")
        if path.is_dir():
            raise VoicefitError(f"{path}: is a folder, not a trial store; it was left as it is")
        with self._faults():
            if not fresh:
                self._check(read_only)
            if not read_only:
                self._reader.close()
                self._writer = self._open_writer()
                self._tried.update(self._count_attempts())

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Say in words what SQLite raises."""
        try:
            yield
        except sqlite3.Error as error:
            raise store_fault(self.path, error) from error
        except UnicodeDecodeError as error:  # the schema's text may be what is damaged
            raise store_fault(self.path, sqlite3.DatabaseError(str(error))) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self._writer is not None:
            yield self._writer
        else:
            with self._reader.reading() as connection:
                yield connection

    def _check(self, read_only: bool) -> None:
        with self._reading() as connection:
            identity = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            if identity == _APPLICATION_ID and version > _VERSION:
                raise VoicefitError(
                    f"{self.path}: is of a newer version of Voicefit (format {version}, and this one reads up to "
                    f"{_VERSION}); use that version; it was left as it is"
                )
            if (identity, version) != (_APPLICATION_ID, _VERSION) and not (empty and identity == 0):
                raise VoicefitError(f"{self.path}: is not a trial store of Voicefit; it was left as it is")
            if empty and read_only:
                raise VoicefitError(f"{self.path}: holds no trials yet")
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0].splitlines()[-1]
            if fault != "ok":
                raise VoicefitError(f"{self.path}: is damaged ({fault}); it was left as it is")

    def _open_writer(self) -> sqlite3.Connection:
        journal, reason = find_journal(self.path.resolve().parent)
        if reason:
            self.remark = f"{self.path}: is written without SQLite's write-ahead log, which is slower: {reason}"
        if journal is not Journal.WAL:
            drop_log(self.path.resolve())
        uri = f"{self.path.resolve().as_uri()}?mode=rwc{journal.query}"
        connection = sqlite3.connect(uri, uri=True, timeout=30)
        try:
            set_journal(connection, journal)
            self._create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        connection.executescript(  # one transaction: a table without an identity would be refused
            f"BEGIN IMMEDIATE; "
            f"CREATE TABLE IF NOT EXISTS trials ({columns}, UNIQUE ({_TRIAL})) WITHOUT ROWID; "
            f"{_ATTEMPTS}; "
            f"PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={_VERSION}; "
            f"COMMIT"
        )
        for name in [name for name in _COLUMNS if name not in _columns(connection)]:
            connection.execute(f"ALTER TABLE trials ADD COLUMN {name} {_COLUMNS[name]}")  # from before it was recorded

    @property
    def _connection(self) -> sqlite3.Connection:
        """The connection that writes."""
        if self._writer is None:
            raise VoicefitError(f"{self.path}: was opened for reading alone")
        return self._writer

    def _count_attempts(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT key, max(number) FROM attempts GROUP BY key"))

    def add(self, spec: TrialSpec, result: Mapping[str, Any]) -> str | None:
        """Write one record in a transaction of its own.

        Args:
            spec: the trial.
            result: scores, floors, ``calibration`` and ``support`` (lists), ``confusion`` (``labels``, and ``counts``
                with a row for each true label), ``test_clips``, ``seconds``, ``worker`` and ``error``; what is not
                there is stored as null.

        Returns:
            why the trial failed, ``None`` if it has a score: one whose score is not a number has failed.

        Raises:
            VoicefitError: the record cannot be written, as on a full disk.
        """
        return self.add_all([(spec, result)])[0]

    def add_all(self, results: Iterable[tuple[TrialSpec, Mapping[str, Any]]]) -> list[str | None]:
        """Write the records of a batch in one transaction, each as :meth:`add` does.

        Args:
            results: trials, each once, and what came of them.

        Returns:
            what :meth:`add` does, for each.

        Raises:
            VoicefitError: the records cannot be written, as on a full disk; none of them is.
        """
        ended_at, rows, failed, errors = _now(), [], [], []
        for spec, result in results:
            number = self._tried.get(spec.key, 0) + 1
            record = {**result, "attempts": number, "finished_at": ended_at, **vars(spec)}
            error = record.get("error")
            if error is None and not _is_number(record.get("macro_f1")):
                error = record["error"] = NOT_A_NUMBER
            for name in _JSON & record.keys():
                record[name] = _encode(record[name])
            rows.append([record.get(name) for name in _COLUMNS])
            errors.append(error)
            if error is not None:
                failed.append((spec.key, number, record.get("worker"), str(error), ended_at))
        try:
            with self._connection as connection:
                connection.executemany(_INSERT, rows)
                connection.executemany(_INSERT_ATTEMPT, failed)
        except sqlite3.Error as fault:
            raise store_fault(self.path, fault) from fault
        self._tried.update({key: number for key, number, *_ in failed})
        return errors

    def add_lost(self, spec: TrialSpec, worker: str, cause: str) -> None:
        """Write that an attempt at a trial was lost with its worker; the trial is still to be run.

        Args:
            spec: the trial.
            worker: its name.
            cause: what ended it.
        """
        key = spec.key
        number = self._tried.get(key, 0) + 1
        with self._faults(), self._connection as connection:
            connection.execute(_INSERT_ATTEMPT, (key, number, worker, cause, _now()))
        self._tried[key] = number

    def absorb(self, path: Path) -> int:
        """Take over the records of another store that this one has not finished, in one transaction.

        Args:
            path: the other store, which stays as it is.

        Returns:
            how many were taken.

        Raises:
            VoicefitError: it is damaged, or both finished a trial with different scores.
        """
        connection = self._connection
        with TrialStore(path, read_only=True) as other, self._faults():
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute("CREATE TEMP TABLE theirs AS SELECT * FROM main.trials WHERE 0")
            try:
                other._copy_trials(connection, "theirs")
                self._refuse_other_scores(path)
                with connection:
                    other._copy_attempts(connection)
                    return connection.execute(
                        "INSERT OR REPLACE INTO main.trials SELECT * FROM theirs "
                        f"WHERE ({_TRIAL}) NOT IN (SELECT {_TRIAL} FROM main.trials WHERE error IS NULL)"
                    ).rowcount
            finally:
                connection.execute("DROP TABLE theirs")

    def _copy_trials(self, target: sqlite3.Connection, table: str) -> None:
        """Copy every record; a column that this version does not know is not copied."""
        with self._faults(), self._reading() as connection:
            known = [name for name in _COLUMNS if name in _columns(connection)]
            rows = connection.execute(f"SELECT {', '.join(known)} FROM trials")
            target.executemany(f"INSERT INTO {table} ({', '.join(known)}) VALUES ({', '.join('?' * len(known))})", rows)
            target.commit()

    def _copy_attempts(self, target: sqlite3.Connection) -> None:
        with self._faults(), self._reading() as connection:
            if _has_attempts(connection):
                rows = connection.execute("SELECT key, number, worker, cause, ended_at FROM attempts")
                target.executemany("INSERT OR IGNORE INTO attempts VALUES (?, ?, ?, ?, ?)", rows)

    def _refuse_other_scores(self, path: Path) -> None:
        clash = self._connection.execute(
            f"SELECT count(*) FROM main.trials ours JOIN theirs USING ({_TRIAL}) "
            "WHERE ours.error IS NULL AND theirs.error IS NULL AND ours.macro_f1 IS NOT theirs.macro_f1"
        ).fetchone()[0]
        if clash:
            raise VoicefitError(f"{path}: {clash} trials have other scores here than in another run")

    def finished_keys(self) -> set[str]:
        """Keys of the trials that ended in a score."""
        return self._keys("error IS NULL AND macro_f1 IS NOT NULL")

    def failed_keys(self) -> set[str]:
        """Keys of the trials that ended without a score."""
        return self._keys("error IS NOT NULL OR macro_f1 IS NULL")

    def _keys(self, condition: str) -> set[str]:
        with self._faults(), self._reading() as connection:
            return {key for (key,) in connection.execute(f"SELECT key FROM trials WHERE {condition}")}

    def lost_attempts(self) -> dict[str, list[str]]:
        """Key of each trial that has not ended → what ended its attempts so far."""
        lost: dict[str, list[str]] = {}
        for row in self.attempts().to_dict("records"):
            lost.setdefault(row["key"], []).append(f"{row['worker']}: {row['cause']}")
        ended = self._keys("1")
        return {key: causes for key, causes in lost.items() if key not in ended}

    def attempts(self) -> "pd.DataFrame":
        """Every attempt that ended without a score, a row each: key, number, worker, cause, ended_at."""
        with self._faults(), self._reading() as connection:
            are_kept = _has_attempts(connection)
        if not are_kept:
            import pandas as pd

            return pd.DataFrame(columns=["key", "number", "worker", "cause", "ended_at"])
        return self._table("SELECT * FROM attempts ORDER BY key, number")

    def count(self) -> int:
        """How many trials have a record."""
        with self._faults(), self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM trials").fetchone()[0])

    def trials(self) -> "pd.DataFrame":
        """Every record, a row each, the columns as stored (``support``, ``calibration`` and ``confusion`` as JSON).

        Raises:
            VoicefitError: what is stored cannot be read.
        """
        return self._table("SELECT * FROM trials")

    def _table(self, query: str) -> "pd.DataFrame":
        import pandas as pd  # late: a dry run opens no store, and need not wait

        with self._faults(), self._reading() as connection:
            try:
                return pd.read_sql_query(query, connection)
            except pd.errors.DatabaseError as error:
                cause = error.__cause__
                raise cause if isinstance(cause, sqlite3.Error) else sqlite3.DatabaseError(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        """Close the file at the end of a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def _columns(connection: sqlite3.Connection) -> set[str]:
    return {row[1] for row in connection.execute("PRAGMA main.table_info(trials)")}


def _has_attempts(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT count(*) FROM main.sqlite_master WHERE name = 'attempts'").fetchone()[0]
    return bool(found)


def _is_number(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
