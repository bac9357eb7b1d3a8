"""`run.json`: what a run was made of, and whether another call may continue it."""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voicefit.adaptation import METHODS
from voicefit.corpora import Corpus
from voicefit.corpora.same_audio import corpus_audio
from voicefit.errors import VoicefitError
from voicefit.sweep.cells import NotRun
from voicefit.sweep.clip_table import describe_change
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
    encoders: Mapping[str, dict[str, Any]],
    same_audio: Mapping[str, list[str]],
    not_run: Sequence[NotRun],
    planned: int,
    shard: Shard | None = None,
    planned_in_all: int | None = None,
) -> None:
    """Write `run.json`; a run that is continued keeps the time at which it began.

    Args:
        run: the run directory.
        plan: what is run.
        corpora: name → :func:`describe_corpus`.
        encoders: name → the source in the keys of its trials, and a digest of its files.
        same_audio: target → lines about clips that have the audio of another one.
        not_run: the cells of the plan that have no trial.
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
        "encoders": dict(encoders),
        "same_audio": {name: lines for name, lines in same_audio.items() if lines},
        "not_run": [group.to_json() for group in not_run],
        "plan": plan.model_dump(mode="json"),
    }
    if shard is not None:
        record |= {"shard": str(shard), "planned_in_all": planned_in_all}
    write_json(run.record_path, record)


@dataclass(frozen=True)
class EarlierCall:
    """What a run recorded of its last call; all is empty for a new run.

    Attributes:
        corpora: name → :func:`describe_corpus`.
        encoders: name → the source in the keys of its trials, and a digest of its files where it is known.
        same_audio: target → lines about clips that have the audio of another one; ``None`` where it was not recorded.
    """

    corpora: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    same_audio: Mapping[str, list[str]] | None = None

    @property
    def key_sources(self) -> dict[str, str]:
        """Encoder → the source in the keys of its trials."""
        return {name: encoder["source"] for name, encoder in self.encoders.items()}

    def has_compared(self, corpora: Iterable[str]) -> bool:
        """Return whether the audio of all these corpora was compared then."""
        return self.same_audio is not None and all(self.corpora.get(name, {}).get("audio") for name in corpora)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "EarlierCall":
        """Read the contents of a `run.json`, which may be older than some of its entries."""
        planned = {name: {"source": encoder["source"]} for name, encoder in record["plan"].get("encoders", {}).items()}
        return cls(record["corpora"], {**planned, **record.get("encoders", {})}, record.get("same_audio"))


def check_run_directory(plan: Plan, run: RunDirectory, shard: Shard | None) -> EarlierCall:
    """Refuse a folder that this plan may not run in.

    Corpora and encoders may lie elsewhere than before, where it was recorded what was in their files.

    Args:
        plan: what is to be run.
        run: the folder; it may be missing or empty.
        shard: which part of the plan; ``None`` is all of it.

    Returns:
        what the last call recorded; :func:`find_changes` tells what has changed since.

    Raises:
        VoicefitError: ``run`` is something else, or the run of another plan or of another shard of it.
    """
    if not run.record_path.exists():
        if not run.is_fresh():
            raise VoicefitError(
                f"{run}: is not a run directory, it has no {run.record_path.name}; choose another --out"
            )
        return EarlierCall()
    record = run.read_record()
    earlier = EarlierCall.of(record)
    before = _with_later_settings(record["plan"])
    now = _as_if_not_moved(plan.model_dump(mode="json"), before, earlier)
    changed = [name for name, value in now.items() if not _extends(name, before.get(name), value)]
    if changed:
        raise VoicefitError(
            f"{run}: was made with a plan that differs in {', '.join(changed)}. A plan may grow, by other grids and by "
            "more encoders, corpora, targets and methods, but what it had must stay. Choose another --out"
        )
    if record.get("shard") != (shard and str(shard)):
        was = f"shard {record['shard']}" if record.get("shard") else "the whole plan"
        raise VoicefitError(f"{run}: was begun as {was}; each shard needs an --out of its own")
    return earlier


def _as_if_not_moved(plan: dict[str, Any], before: Mapping[str, Any], earlier: EarlierCall) -> dict[str, Any]:
    """Put the old paths in a plan where the contents were recorded, so that these can be compared instead."""
    for table in ("corpora", "targets"):
        old = before.get(table) or {}
        for name in plan[table]:
            record = earlier.corpora.get(name, {})
            if name in old and (record.get("audio") or not record.get("digest")):  # a corpus without digest is unused
                plan[table][name] = old[name]
    old = before.get("encoders") or {}
    for name, encoder in plan["encoders"].items():
        if name in old and earlier.encoders.get(name, {}).get("digest"):
            encoder["source"] = old[name]["source"]
    return plan


def with_key_sources(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan of a `run.json`, each encoder with the source that stands in its trials' keys."""
    sources = EarlierCall.of(record).key_sources
    encoders = record["plan"].get("encoders", {})
    named = {name: {**encoder, "source": sources[name]} for name, encoder in encoders.items()}
    return {**record["plan"], **({"encoders": named} if encoders else {})}


def find_changes(
    run: RunDirectory, earlier: EarlierCall, corpora: Mapping[str, Corpus], encoders: Mapping[str, str | None]
) -> list[str]:
    """Return a line about each corpus and encoder that is not what it was when a run began.

    Args:
        run: the run directory.
        earlier: what its last call recorded.
        corpora: those that are needed now, with the clips that can be used.
        encoders: name → digest of its files, of those that are needed now.
    """
    lines = []
    for name, corpus in corpora.items():
        if _has_changed(earlier.corpora.get(name, {}), corpus):
            what = describe_change(run.clips_path, corpus)
            lines.append(f"corpus {name} had other usable clips than now" + (f" ({what})" if what else ""))
    for name, digest_now in encoders.items():
        before = earlier.encoders.get(name, {}).get("digest")
        if before and digest_now and before != digest_now:
            lines.append(f"encoder {name} had other weights or settings than now")
    return lines


def _has_changed(before: Mapping[str, Any], corpus: Corpus) -> bool:
    if before.get("digest") is None:  # it was not needed
        return False
    if before["digest"] != clips_digest(corpus):
        return True
    if before.get("audio"):
        return bool(before["audio"] != corpus_audio(corpus))
    return before.get("bytes") not in (None, _bytes(corpus))  # what a run of 0.1.0 knows of its audio


def describe_corpus(corpus: Corpus, left_out: Mapping[str, str], used: bool) -> dict[str, Any]:
    """Return what `run.json` records of a corpus.

    Args:
        corpus: its usable clips.
        left_out: clip id → why it cannot be used.
        used: whether the run needs it. Of one that it does not need, the broken clips are unknown: ``digest``,
            ``audio`` and ``bytes`` are then ``None``.
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
        "audio": corpus_audio(corpus) if used else None,
        "bytes": _bytes(corpus) if used else None,
    }


def _bytes(corpus: Corpus) -> int:
    return sum(path.stat().st_size for path in {clip.path for clip in corpus.clips})


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


def _extends(table: str, before: Any, now: Any) -> bool:
    """Return whether trials made with ``before`` are still those of the plan."""
    if table == "grid" or before == now:
        return True
    if not (isinstance(before, dict) and isinstance(now, dict)) or table == "prefinetune":
        return False
    # A method of the registry that was not named before had its default settings.
    added = {name for name in now if name not in before and not (table == "methods" and name in METHODS)}
    kept = {name: value for name, value in now.items() if name not in added}
    return list(kept.items()) == list(before.items())  # in the same order, which names the starting points
