"""One run out of the shards of a sweep."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voicefit.checkpoints.record import read_record
from voicefit.errors import VoicefitError
from voicefit.sweep.record import with_key_sources
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.shard import Shard
from voicefit.system.files import new_directory, write_json
from voicefit.system.progress import Notify, silent

_UNFINISHED = shutil.ignore_patterns("*.part")
"""Files of a checkpoint that were being written when a process was killed. They are not copied."""


def merge_runs(runs: Sequence[Path], out: Path, notify: Notify = silent) -> int:
    """Put the trials and checkpoints of several runs of one plan together, in a new run directory.

    The merged run can be reported and continued like any other: the same plan with ``--out`` of it runs what is left.

    Args:
        runs: run directories, shards or whole, finished or not; they stay as they are.
        out: the new run directory.
        notify: called with a line about shards that are missing, and about versions that differ.

    Returns:
        how many trials the merged run holds.

    Raises:
        VoicefitError: a run is none, or of another plan or other clips than the first; two of them finished a trial
            with different scores, or made a starting point of different things; or ``out`` exists.
    """
    if not runs:
        raise VoicefitError("merge: name the run directories to put together")
    parts = [RunDirectory(run) for run in runs]
    records = [part.read_record() for part in parts]
    for part, record in zip(parts[1:], records[1:], strict=True):
        _check_same(parts[0], records[0], part, record)
    for warning in find_differences(parts, records):
        notify(warning)
    with new_directory(out) as folder:
        merged = RunDirectory(folder)
        with merged.open_store(read_only=False) as store:
            for part in parts:
                store.absorb(part.store_path)
            count = store.count()
        for part in parts:
            _copy_checkpoints(part.checkpoints, merged.checkpoints)
        for part in parts:
            if part.clips_path.is_file():
                shutil.copyfile(part.clips_path, merged.clips_path)
        write_json(merged.record_path, _merged_record(records))
    return count


def _check_same(first: RunDirectory, ours: dict[str, Any], run: RunDirectory, theirs: dict[str, Any]) -> None:
    plans = [with_key_sources(record) for record in (ours, theirs)]
    changed = sorted(name for name in {*plans[0], *plans[1]} if not _same(name, *plans))
    if changed:
        raise VoicefitError(f"{run}: is of another plan than {first}: they differ in {', '.join(changed)}")
    for name, corpus in ours["corpora"].items():
        both = (corpus, theirs["corpora"].get(name, {}))
        for field, what in (("digest", "usable clips"), ("audio", "audio")):  # a run of 0.1.0 has no digest of audio
            if len({record.get(field) for record in both} - {None}) > 1:
                raise VoicefitError(f"{run}: corpus {name} has other {what} there than in {first}")
    for name, encoder in ours.get("encoders", {}).items():
        if len({encoder.get("digest"), theirs.get("encoders", {}).get(name, {}).get("digest")} - {None}) > 1:
            raise VoicefitError(f"{run}: encoder {name} has other files there than in {first}")


def _same(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Return whether two plans agree; corpora and targets may lie elsewhere on another machine, by the same names."""
    if name in ("corpora", "targets"):
        return list(ours[name]) == list(theirs[name])
    return bool(ours.get(name) == theirs.get(name))


def find_differences(runs: Sequence[RunDirectory], records: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line about each shard that is missing, and about each run that was made otherwise than the first.

    Args:
        runs: the run directories.
        records: the contents of their `run.json`.
    """
    lines = []
    shards = [Shard.parse(record["shard"]) for record in records if record.get("shard")]
    for count in sorted({shard.count for shard in shards}):
        missing = set(range(1, count + 1)) - {shard.index for shard in shards if shard.count == count}
        if missing and len(shards) == len(records):
            lines.append(
                f"missing: shard {', '.join(f'{index}/{count}' for index in sorted(missing))}; the run is partial"
            )
    for run, record in zip(runs[1:], records[1:], strict=True):
        if record.get("versions") != records[0].get("versions"):
            lines.append(f"{run}: was made with other versions than {runs[0]}; see versions in their run.json")
        if {_has_bfloat16(record), _has_bfloat16(records[0])} == {True, False}:  # older records do not say
            lines.append(
                f"{run}: of it and {runs[0]} one machine has bfloat16; what asks for it is float32 on the other"
            )
    return lines


def _has_bfloat16(record: dict[str, Any]) -> bool | None:
    return record.get("machine", {}).get("bfloat16")


def _copy_checkpoints(source: Path, target: Path) -> None:
    for path in sorted(config.parent for config in source.glob("*/*/config.json")):
        copy = target / path.relative_to(source)
        if not copy.exists():
            shutil.copytree(path, copy, ignore=_UNFINISHED)
        elif read_record(copy).get("start_key") != read_record(path).get("start_key"):
            raise VoicefitError(f"{path}: was made of other things than the same starting point of another run")


def _merged_record(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first run's record, changed to one of all trials of the plan, begun when the first began."""
    merged = {name: value for name, value in records[0].items() if name not in ("shard", "planned_in_all")}
    return merged | {
        "planned_trials": max(record.get("planned_in_all") or record.get("planned_trials", 0) for record in records),
        "started_at": min(record.get("started_at", "") for record in records),
    }
