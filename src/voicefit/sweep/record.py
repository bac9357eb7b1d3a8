"""`run.json`: what a run was made of, and whether another call may continue it."""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voicefit.adaptation import METHODS
from voicefit.corpora import Corpus
from voicefit.errors import VoicefitError
from voicefit.sweep.plan import Plan
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.shard import Shard
from voicefit.sweep.specs import digest
from voicefit.system.files import write_json
from voicefit.system.machine import describe_machine, describe_versions


def write_record(
    run: RunDirectory,
    plan: Plan,
    corpora: Mapping[str, dict[str, Any]],
    *,
    planned: int,
    shard: Shard | None = None,
    planned_in_all: int | None = None,
) -> None:
    """Write `run.json`; a run that is continued keeps the time at which it began.

    Args:
        run: the run directory.
        plan: what is run.
        corpora: name → :func:`describe_corpus`.
        planned: number of trials of this run.
        shard: which part of the plan this run is; ``None`` is all of it.
        planned_in_all: number of trials of the whole plan, where this run is a part.
    """
    begun = run.read_record().get("started_at") if run.record_path.exists() else None
    record = {
        "voicefit": version("voicefit"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started_at": begun or datetime.now(UTC).isoformat(timespec="seconds"),
        "planned_trials": planned,
        "versions": describe_versions(),
        "machine": describe_machine(),
        "git": describe_git(),
        "corpora": dict(corpora),
        "plan": plan.model_dump(mode="json"),
    }
    if shard is not None:
        record |= {"shard": str(shard), "planned_in_all": planned_in_all}
    write_json(run.record_path, record)


def check_run_directory(plan: Plan, run: RunDirectory, shard: Shard | None) -> dict[str, str | None]:
    """Refuse a folder that this plan may not run in.

    Args:
        plan: what is to be run.
        run: the folder; it may be missing or empty.
        shard: which part of the plan; ``None`` is all of it.

    Returns:
        corpus → digest of its clips when the run began, ``None`` where the run did not need it; empty for a new run.

    Raises:
        VoicefitError: ``run`` is something else, or the run of another plan or of another shard of it.
    """
    if not run.record_path.exists():
        if not run.is_fresh():
            raise VoicefitError(
                f"{run}: is not a run directory, it has no {run.record_path.name}; choose another --out"
            )
        return {}
    record = run.read_record()
    before = _with_later_settings(record["plan"])
    changed = [
        name for name, value in plan.model_dump(mode="json").items() if not _extends(name, before.get(name), value)
    ]
    if changed:
        raise VoicefitError(
            f"{run}: was made with a plan that differs in {', '.join(changed)}; a plan may get other grids, and more "
            "encoders, corpora, targets and named methods, but what it had must stay. Choose another --out"
        )
    if record.get("shard") != (shard and str(shard)):
        was = f"shard {record['shard']}" if record.get("shard") else "the whole plan"
        raise VoicefitError(f"{run}: was begun as {was}; each shard needs an --out of its own")
    return {name: corpus.get("digest") for name, corpus in record["corpora"].items()}


def describe_corpus(corpus: Corpus, left_out: Mapping[str, str], used: bool) -> dict[str, Any]:
    """Return what `run.json` records of a corpus.

    Args:
        corpus: its usable clips.
        left_out: clip id → why it cannot be used.
        used: whether the run needs it. Of one that it does not need, the broken clips are unknown: ``digest`` and
            ``bytes`` are then ``None``.
    """
    info = corpus.info
    return {
        "title": info.title,
        "language": info.language,
        "licence": info.licence,
        "usage": info.usage,
        "homepage": info.homepage,
        "clips": len(corpus.clips),
        "speakers": len(corpus.speakers),
        "labels": corpus.labels,
        "left_out": dict(left_out),
        "digest": clips_digest(corpus) if used else None,
        "bytes": sum(path.stat().st_size for path in {clip.path for clip in corpus.clips}) if used else None,
    }


def clips_digest(corpus: Corpus) -> str:
    """Return a digest of the clips' ids, speakers, labels and splits."""
    return digest([(clip.id, clip.speaker, clip.label, clip.split) for clip in corpus.clips])


def describe_git() -> dict[str, Any] | None:
    """Return the ``commit`` of the repository in the working directory, and whether files are ``changed``.

    Returns:
        both, or ``None`` outside a repository.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def _with_later_settings(plan: dict[str, Any]) -> dict[str, Any]:
    """Fill in settings that an earlier version did not know: they were what is now their default."""
    try:
        return Plan.model_validate(plan).model_dump(mode="json")
    except ValidationError:  # it had one that is no more, and so differs
        return plan


def _extends(field: str, before: Any, now: Any) -> bool:
    """Return whether trials made with ``before`` are still those of the plan."""
    if field == "grid" or before == now:
        return True
    if not (isinstance(before, dict) and isinstance(now, dict)) or field == "prefinetune":
        return False
    # A method of the registry that was not named before had its default settings.
    added = {name for name in now if name not in before and not (field == "methods" and name in METHODS)}
    kept = {name: value for name, value in now.items() if name not in added}
    return list(kept.items()) == list(before.items())  # in the same order, which names the starting points
