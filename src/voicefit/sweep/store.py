"""The trial store: one SQLite file, one transaction per trial."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd

from voicefit.errors import VoicefitError
from voicefit.sweep.specs import TRIAL_COLUMNS, TrialSpec

_APPLICATION_ID = 0x56664974
"""The application id in the header of every store: "VfIt" in ASCII."""

_VERSION = 1
"""The version of the table below. A store of another version is refused; a column more is none."""

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
}

_JSON = {"calibration", "confusion", "support"}
"""The columns that hold JSON."""

_TRIAL = ", ".join(TRIAL_COLUMNS)
"""A trial run again because its method's code has changed has another key, and takes the place of the old one."""


class TrialStore:
    """Trial records by key. A record is either whole in the file or not there; writing one again replaces it.

    Args:
        path: the file; created if it is not there.
        read_only: open for reading alone, while a sweep may be writing.

    Raises:
        VoicefitError: the file is damaged, or is not a trial store of this version. It is left untouched.
    """

    def __init__(self, path: Path, *, read_only: bool = False):
        self.path = path
        fresh = not path.exists()
        if fresh and read_only:
            raise VoicefitError(f"{path}: no trial store here; is this the --out folder of a sweep?")
        try:
            if not fresh:
                self._check(read_only)
            self._connection = self._open("ro" if read_only else "rwc")
            if not read_only:
                self._create()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the schema's text may be what is damaged
            raise VoicefitError(f"{path}: is damaged, or not a trial store ({error}); it was left as it is") from error

    def _open(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)

    def _check(self, read_only: bool) -> None:
        connection = self._open("ro")
        try:
            identity = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            if (identity, version) != (_APPLICATION_ID, _VERSION) and not (empty and identity == 0):
                raise VoicefitError(
                    f"{self.path}: is not a trial store of this version of Voicefit; it was left as it is"
                )
            if empty and read_only:
                raise VoicefitError(f"{self.path}: holds no trials yet")
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0].splitlines()[-1]
            if fault != "ok":
                raise VoicefitError(f"{self.path}: is damaged ({fault}); it was left as it is")
        finally:
            connection.close()

    def _create(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        self._connection.executescript(  # one transaction: a table without an identity would be refused
            f"BEGIN IMMEDIATE; "
            f"CREATE TABLE IF NOT EXISTS trials ({columns}, UNIQUE ({_TRIAL})) WITHOUT ROWID; "
            f"PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={_VERSION}; "
            f"COMMIT"
        )
        for name in set(_COLUMNS) - self._columns("main"):  # a store from before trials recorded this
            self._connection.execute(f"ALTER TABLE trials ADD COLUMN {name} {_COLUMNS[name]}")

    def _columns(self, schema: str) -> set[str]:
        return {row[1] for row in self._connection.execute(f"PRAGMA {schema}.table_info(trials)")}

    def add(self, spec: TrialSpec, result: Mapping[str, Any]) -> None:
        """Write one record in a transaction of its own.

        Args:
            spec: the trial.
            result: scores, floors, ``calibration`` and ``support`` (lists), ``confusion`` (``labels``, and ``counts``
                with a row for each true label), ``test_clips``, ``seconds`` and ``error``; what is not there is stored
                as null.
        """
        record = {**vars(spec), "key": spec.key, **result}
        for name in _JSON & set(record):
            record[name] = json.dumps(record[name], ensure_ascii=False)
        record["finished_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        names = list(_COLUMNS)
        with self._connection:
            self._connection.execute(
                f"INSERT OR REPLACE INTO trials ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                [record.get(name) for name in names],
            )

    def absorb(self, path: Path) -> int:
        """Take over the records of another store that this one has not finished, in one transaction.

        Args:
            path: the other store, which stays as it is.

        Returns:
            how many were taken.

        Raises:
            VoicefitError: it is damaged, or both finished a trial with different scores.
        """
        TrialStore(path, read_only=True).close()
        self._connection.execute("ATTACH DATABASE ? AS other", (f"{path.resolve().as_uri()}?mode=ro",))
        try:
            finished = "ours.error IS NULL AND theirs.error IS NULL"
            clash = self._connection.execute(
                f"SELECT count(*) FROM main.trials ours JOIN other.trials theirs USING ({_TRIAL}) "
                f"WHERE {finished} AND ours.macro_f1 IS NOT theirs.macro_f1"
            ).fetchone()[0]
            if clash:
                raise VoicefitError(f"{path}: {clash} trials have other scores here than in another run")
            names = ", ".join(sorted(self._columns("other")))
            with self._connection:
                return self._connection.execute(
                    f"INSERT OR REPLACE INTO main.trials ({names}) SELECT {names} FROM other.trials "
                    f"WHERE ({_TRIAL}) NOT IN (SELECT {_TRIAL} FROM main.trials WHERE error IS NULL)"
                ).rowcount
        finally:
            self._connection.execute("DETACH DATABASE other")

    def finished_keys(self) -> set[str]:
        """Keys of the trials that ended without an error."""
        return {key for (key,) in self._connection.execute("SELECT key FROM trials WHERE error IS NULL")}

    def trials(self) -> pd.DataFrame:
        """Every record, a row each, the columns as stored (``support``, ``calibration`` and ``confusion`` as JSON).

        Raises:
            VoicefitError: what is stored cannot be read.
        """
        try:
            return pd.read_sql_query("SELECT * FROM trials", self._connection)
        except (pd.errors.DatabaseError, UnicodeDecodeError) as error:
            raise VoicefitError(f"{self.path}: is damaged ({error})") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Close the file at the end of a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()
