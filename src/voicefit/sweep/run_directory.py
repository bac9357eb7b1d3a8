"""The files of a run directory: their names, and how they are read."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voicefit.errors import VoicefitError
from voicefit.sweep.run_lock import LOCK
from voicefit.sweep.specs import StartId
from voicefit.sweep.store import TrialStore

_RECORD = "run.json"
_CLIPS = "clips.csv"
_STORE = "trials.sqlite"
_STORE_SIDES = ("-journal", "-wal", "-shm")
_EARLIER = "earlier"


@dataclass(frozen=True)
class RunDirectory:
    """A sweep's folder.

    Attributes:
        path: the folder, which need not exist yet.
    """

    path: Path

    def __str__(self) -> str:
        """The path, as messages name the run."""
        return str(self.path)

    @property
    def record_path(self) -> Path:
        """`run.json`: what the run is made of."""
        return self.path / _RECORD

    @property
    def clips_path(self) -> Path:
        """`clips.csv`: the audio of every clip."""
        return self.path / _CLIPS

    @property
    def store_path(self) -> Path:
        """`trials.sqlite`: the trials' records."""
        return self.path / _STORE

    @property
    def checkpoints(self) -> Path:
        """The folder of the pre-finetuned starting points."""
        return self.path / "checkpoints"

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.path / "report"

    def checkpoint(self, start_id: StartId) -> Path:
        """Return the path of a pre-finetuned starting point."""
        return self.checkpoints / start_id.encoder / start_id.start

    def is_fresh(self) -> bool:
        """Return whether a run may begin here: the folder is missing, or holds nothing of anybody else.

        A sweep that was killed before its `run.json` was whole leaves a part of it, the store and SQLite's files.
        """
        ours = (_STORE, _CLIPS, f".{_RECORD}-", f".{_CLIPS}-", _EARLIER, LOCK, ".probe-")
        return not self.path.exists() or (
            self.path.is_dir() and all(path.name.startswith(ours) for path in self.path.iterdir())
        )

    def set_aside(self) -> Path:
        """Move what the run has made into a new folder of its own in `earlier`, and return that folder.

        The record is moved last: a run that still has it can be set aside again.
        """
        place = self.path / _EARLIER / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
        place.mkdir(parents=True)
        names = [*(f"{_STORE}{end}" for end in ("", *_STORE_SIDES)), "checkpoints", "report", _CLIPS, _RECORD]
        for name in names:
            if (self.path / name).exists():
                (self.path / name).rename(place / name)
        return place

    def require_files(self) -> None:
        """Refuse a folder without a record or without a store.

        Raises:
            VoicefitError: one of the two is missing.
        """
        for path in (self.record_path, self.store_path):
            if not path.is_file():
                raise VoicefitError(f"{self}: is not a run directory, it has no {path.name}")

    def read_record(self) -> dict[str, Any]:
        """Read `run.json`.

        Returns:
            Its contents, of which ``plan`` and ``corpora`` are certain to be tables.

        Raises:
            VoicefitError: there is none, it is damaged, or its plan has an option that is no more.
        """
        path = self.record_path
        if not path.is_file():
            raise VoicefitError(f"{self}: is not a run directory, it has no {path.name}")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _damaged(path, f"not readable as JSON: {error}") from error
        if not isinstance(record, dict):
            raise _damaged(path, "it holds no table")
        for name in ("plan", "corpora"):
            if not isinstance(record.get(name), dict):
                raise _damaged(path, f"it has no table {name!r}")
        return {**record, "plan": _without_none_depth(record["plan"], path)}

    def open_store(self, *, read_only: bool = True) -> TrialStore:
        """Open the store.

        Args:
            read_only: whether to open it for reading alone; otherwise it is created where there is none.

        Raises:
            VoicefitError: see :class:`voicefit.sweep.store.TrialStore`.
        """
        return TrialStore(self.store_path, read_only=read_only)


def _without_none_depth(plan: dict[str, Any], path: Path) -> dict[str, Any]:
    """A recorded plan without ``none_depth``, an option of encoders in 0.1.0; it was ``null`` where left out."""
    encoders = {}
    for name, encoder in dict(plan.get("encoders", {})).items():
        if encoder.get("none_depth") is not None:
            raise VoicefitError(
                f"{path}: encoders.{name} has none_depth = {encoder['none_depth']}, an option that is no more; "
                "use the version of Voicefit that made the run, or choose another --out"
            )
        encoders[name] = {key: value for key, value in encoder.items() if key != "none_depth"}
    return {**plan, "encoders": encoders} if encoders else plan


def _damaged(path: Path, reason: str) -> VoicefitError:
    return VoicefitError(f"{path}: is damaged ({reason}); restore it, or choose another run directory")
