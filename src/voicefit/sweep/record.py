"""`run.json`: what a run was made of, and whether another call may go on with it."""

import json
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
from voicefit.sweep.plan import Plan, digest
from voicefit.sweep.shard import Shard
from voicefit.system.files import write_json
from voicefit.system.machine import describe_machine, describe_versions

NAME = "run.json"
STORE = "trials.sqlite"


def write_record(
    out: Path,
    plan: Plan,
    corpora: Mapping[str, dict[str, Any]],
    *,
    planned: int,
    shard: Shard | None = None,
    planned_in_all: int | None = None,
) -> None:
    """Write `run.json`; a run that goes on keeps the time at which it began.

    Args:
        out: the run directory.
        plan: what is run.
        corpora: name → :func:`describe_corpus`.
        planned: number of trials of this run.
        shard: which part of the plan this run is; ``None`` is all of it.
        planned_in_all: number of trials of the whole plan, where this run is a part.
    """
    begun = read_record(out).get("started_at") if (out / NAME).exists() else None
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
    write_json(out / NAME, record)


def read_record(out: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        VoicefitError: there is none, it is damaged, or its plan uses an option that is no more.
    """
    path = out / NAME
    if not path.is_file():
        raise VoicefitError(f"{out}: is not a run directory (it has no {NAME})")
    try:
        record = dict(json.loads(path.read_text(encoding="utf-8")))
        record["plan"] = _without_none_depth(dict(record["plan"]), path)
        dict(record["corpora"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VoicefitError(f"{path}: is damaged ({error!r}); choose another --out") from error
    return record


def _without_none_depth(plan: dict[str, Any], path: Path) -> dict[str, Any]:
    """A recorded plan without ``none_depth``, which encoders had before and which was ``null`` when left out."""
    encoders = {}
    for name, encoder in dict(plan.get("encoders", {})).items():
        encoders[name] = {key: value for key, value in dict(encoder).items() if key != "none_depth"}
        if encoder.get("none_depth") is not None:
            raise VoicefitError(
                f"{path}: encoders.{name} has none_depth = {encoder['none_depth']}, an option that is no more; "
                "use the version of Voicefit that made the run, or choose another --out"
            )
    return {**plan, "encoders": encoders} if encoders else plan


def check_run_directory(plan: Plan, out: Path, shard: Shard | None) -> dict[str, str | None]:
    """Refuse a folder that this plan may not go on in; the digests of the clips that it was begun with.

    Raises:
        VoicefitError: ``out`` is something else, or the run of another plan or of another shard of it.
    """
    if not (out / NAME).exists():
        # A sweep killed before its run.json leaves the store, and SQLite's files beside it.
        ours = (STORE, f".{NAME}-")
        foreign = out.is_dir() and any(not path.name.startswith(ours) for path in out.iterdir())
        if foreign or (out.exists() and not out.is_dir()):
            raise VoicefitError(f"{out}: is not a run directory (it has no {NAME}); choose another --out")
        return {}
    record = read_record(out)
    before = _with_later_settings(record["plan"])
    changed = [
        name for name, value in plan.model_dump(mode="json").items() if not _extends(name, before.get(name), value)
    ]
    if changed:
        raise VoicefitError(
            f"{out}: was made with a plan that differs in {', '.join(changed)}; a plan may get other grids, and more "
            "encoders, corpora, targets and named methods, but what it had must stay. Choose another --out"
        )
    if record.get("shard") != (shard and str(shard)):
        was = f"shard {record['shard']}" if record.get("shard") else "the whole plan"
        raise VoicefitError(f"{out}: was begun as {was}; each shard needs an --out of its own")
    return {name: corpus.get("digest") for name, corpus in record["corpora"].items()}


def describe_corpus(corpus: Corpus, left_out: Mapping[str, str], used: bool) -> dict[str, Any]:
    """What `run.json` says of a corpus.

    Args:
        corpus: its usable clips.
        left_out: clip id → why it cannot be used.
        used: whether the run needs it; of one that is not used nobody knows what is broken, so its ``digest`` and
            ``bytes`` are ``None``.
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
    """Digest of the clips' ids, speakers, labels and splits."""
    return digest([(clip.id, clip.speaker, clip.label, clip.split) for clip in corpus.clips])


def describe_git() -> dict[str, Any] | None:
    """``commit`` of the repository that the command was called in, and whether files are ``changed``; or ``None``."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def _with_later_settings(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan of an earlier version, which knew fewer settings: they were what is now their default."""
    try:
        return Plan.model_validate(plan).model_dump(mode="json")
    except ValidationError:  # it had one that is no more, and so differs
        return plan


def _extends(field: str, before: Any, now: Any) -> bool:
    """Whether trials made with ``before`` are still those of the plan."""
    if field == "grid" or before == now:
        return True
    if not (isinstance(before, dict) and isinstance(now, dict)) or field == "prefinetune":
        return False
    # A method of the registry that was not named before had its default settings.
    added = {name for name in now if name not in before and not (field == "methods" and name in METHODS)}
    kept = {name: value for name, value in now.items() if name not in added}
    return list(kept.items()) == list(before.items())  # in the same order, which names the starting points
