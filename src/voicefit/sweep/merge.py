"""One run out of the shards of a sweep."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voicefit.checkpoints import checkpoint
from voicefit.errors import VoicefitError
from voicefit.sweep.record import NAME, STORE, read_record
from voicefit.sweep.shard import Shard
from voicefit.sweep.store import TrialStore
from voicefit.system.files import new_directory, write_json
from voicefit.system.progress import Notify, silent

_NOT_NEEDED = shutil.ignore_patterns("*.part")


def merge_runs(runs: Sequence[Path], out: Path, notify: Notify = silent) -> int:
    """Put the trials and checkpoints of several runs of one plan together, in a new run directory.

    The merged run can be reported, and goes on like any other: the same plan with ``--out`` of it runs what is left.

    Args:
        runs: run directories, shards or whole, finished or not; they stay as they are.
        out: the new run directory.
        notify: told in words of shards that are missing, and of versions that differ.

    Returns:
        how many trials the merged run holds.

    Raises:
        VoicefitError: a run is none, or of another plan or other clips than the first; two of them finished a trial
            with different scores, or made a starting point of different things; or ``out`` exists.
    """
    if not runs:
        raise VoicefitError("merge: name the run directories to put together")
    records = [read_record(run) for run in runs]
    for run, record in zip(runs[1:], records[1:], strict=True):
        _check_same(runs[0], records[0], run, record)
    for message in _remarks(runs, records):
        notify(message)
    with new_directory(out) as folder:
        with TrialStore(folder / STORE) as store:
            for run in runs:
                store.absorb(run / STORE)
            held = len(store.trials())
        for run in runs:
            _take_checkpoints(run / "checkpoints", folder / "checkpoints")
        write_json(folder / NAME, _merged_record(records))
    return held


def _check_same(first: Path, ours: dict[str, Any], run: Path, theirs: dict[str, Any]) -> None:
    changed = sorted(name for name in {*ours["plan"], *theirs["plan"]} if not _same(name, ours["plan"], theirs["plan"]))
    if changed:
        raise VoicefitError(f"{run}: is of another plan than {first}: they differ in {', '.join(changed)}")
    for name, corpus in ours["corpora"].items():
        digests = {found.get("digest") for found in (corpus, theirs["corpora"].get(name, {}))} - {None}
        if len(digests) > 1:
            raise VoicefitError(f"{run}: corpus {name} has other usable clips there than in {first}")


def _same(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether two plans agree; corpora and targets may lie elsewhere on another machine, under the same names."""
    if name in ("corpora", "targets"):
        return list(ours[name]) == list(theirs[name])
    return bool(ours.get(name) == theirs.get(name))


def _remarks(runs: Sequence[Path], records: Sequence[dict[str, Any]]) -> list[str]:
    found = []
    shards = [Shard.parse(record["shard"]) for record in records if record.get("shard")]
    for count in sorted({shard.count for shard in shards}):
        missing = set(range(1, count + 1)) - {shard.index for shard in shards if shard.count == count}
        if missing and len(shards) == len(records):
            found.append(
                f"missing: shard {', '.join(f'{index}/{count}' for index in sorted(missing))}; the run is partial"
            )
    for run, record in zip(runs[1:], records[1:], strict=True):
        if record.get("versions") != records[0].get("versions"):
            found.append(f"{run}: was made with other versions than {runs[0]}; see versions in their {NAME}")
        if {_has_bfloat16(record), _has_bfloat16(records[0])} == {True, False}:  # older records do not say
            found.append(
                f"{run}: of it and {runs[0]} one machine has bfloat16; what asks for it is float32 on the other"
            )
    return found


def _has_bfloat16(record: dict[str, Any]) -> bool | None:
    return record.get("machine", {}).get("bfloat16")


def _take_checkpoints(source: Path, target: Path) -> None:
    for path in sorted(found.parent for found in source.glob("*/*/config.json")):
        place = target / path.relative_to(source)
        if not place.exists():
            shutil.copytree(path, place, ignore=_NOT_NEEDED)
        elif checkpoint.read_record(place).get("start_key") != checkpoint.read_record(path).get("start_key"):
            raise VoicefitError(f"{path}: was made of other things than the same starting point of another run")


def _merged_record(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first run's, of all trials of the plan, begun when the first began."""
    merged = {name: value for name, value in records[0].items() if name not in ("shard", "planned_in_all")}
    return merged | {
        "planned_trials": max(record.get("planned_in_all") or record.get("planned_trials", 0) for record in records),
        "started_at": min(record.get("started_at", "") for record in records),
    }
