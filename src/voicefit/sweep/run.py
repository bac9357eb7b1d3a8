"""A sweep from plan to full store: check, pre-finetune what is needed, run the trials not finished yet."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from voicefit.corpora import Corpus, load_corpus
from voicefit.encoders import FrontCache
from voicefit.encoders.cache_limit import CachePlan
from voicefit.errors import VoicefitError
from voicefit.prefinetuning.prefinetune import cache_corpora
from voicefit.sweep import ray_cluster
from voicefit.sweep.engine import Record, StartingPoint, Workplace
from voicefit.sweep.estimate import Estimate, estimate_time
from voicefit.sweep.plan import NONE, Plan, TrialSpec, digest, expand_trials, shots_without_trials
from voicefit.sweep.record import STORE, check_run_directory, clips_digest, describe_corpus, write_record
from voicefit.sweep.shard import Shard
from voicefit.sweep.starts import Workshop, checkpoint_path, is_made
from voicefit.sweep.store import TrialStore
from voicefit.sweep.this_machine import run_here
from voicefit.system.heap import give_back_freed_memory
from voicefit.system.machine import devices
from voicefit.system.progress import Notify, Progress, silent

_TOLD_OF_AN_ERROR = 10
"""Trials that are named as they fail; a start that lacks a label fails thousands with one error."""

Engine = Literal["process", "ray"]


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended: trials finished before, finished now, and failed now."""

    skipped: int
    finished: int
    failed: int


@dataclass(frozen=True)
class DryRun:
    """What a plan would do.

    Attributes:
        trials: number of trials that the targets have enough clips for.
        prefinetunings: starting points that must be trained, ``encoder/start``.
        estimate: seconds by stage, or ``None`` when nothing could be measured.
        cache: what would be added to the front-end cache, or ``None`` when an encoder is not here.
        unknown: why there is no estimate; empty when there is one.
        shots_without_trials: of which k there are no trials, and why; empty when of none.
    """

    trials: int
    prefinetunings: list[str]
    estimate: Estimate | None
    cache: CachePlan | None
    unknown: str = ""
    shots_without_trials: str = ""


@dataclass
class _Materials:
    """A plan's corpora, and what identifies each starting point."""

    plan: Plan
    corpora: dict[str, Corpus]
    targets: dict[str, Corpus]
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, plan: Plan) -> "_Materials":
        def read(paths: Mapping[str, str]) -> dict[str, Corpus]:
            return {name: load_corpus(name, path) for name, path in paths.items()}

        materials = cls(plan, read(plan.corpora), read(plan.targets))
        materials._check_targets_are_new()
        return materials

    def _check_targets_are_new(self) -> None:
        """Refuse a target with clips that a starting point is trained on: its speakers would not be new."""
        used = {name for _, start in self.plan.places for name in start.split("+")} & set(self.corpora)
        files = {name: {os.path.abspath(clip.path) for clip in self.corpora[name].clips} for name in used}
        for target in self.targets.values():
            heard = {os.path.abspath(clip.path) for clip in target.clips}
            for name in sorted(used):
                if not heard.isdisjoint(files[name]):
                    raise VoicefitError(
                        f"targets.{target.name} holds clips of corpora.{name}, which is pre-finetuned on: "
                        "its speakers would not be new. Leave it out of one of the two"
                    )

    def used(self, encoder: str | None = None) -> dict[str, Corpus]:
        """The corpora that the grids need, by name: those of one encoder, or of all."""
        starts = [start for name, start in self.plan.places if encoder in (None, name)]
        names = {name for start in starts for name in start.split("+")}
        targets = self.targets if starts else {}
        return {name: self.corpora[name] for name in self.corpora if name in names} | targets

    def start_key(self, encoder: str, start: str) -> str:
        """Digest of everything that a starting point is made of."""
        place = self.plan.encoders[encoder].model_dump(exclude={"prefinetune"})
        weighted = ["weighted layers"] if place.pop("weighted_layers") else []  # none is as before there were any
        if start == NONE:
            return digest(
                [place[name] for name in ("source", "frozen_layers", "front_end")] + [place["depth"]] + weighted
            )
        clips = [[name, [(clip.id, clip.label) for clip in self.corpora[name].clips]] for name in start.split("+")]
        settings = self.plan.prefinetune_settings(encoder).model_dump()
        place["none_depth"] = None  # an option that is no more: without it no start made before would be found again
        return digest([place, settings, self.plan.protocol, self.plan.seed, clips, *weighted])

    def describe(self) -> dict[str, dict[str, Any]]:
        """What `run.json` says of each corpus."""
        used = self.used()
        return {
            name: describe_corpus(corpus, self.left_out.get(name, {}), name in used)
            for name, corpus in {**self.corpora, **self.targets}.items()
        }

    def trials(self) -> list[TrialSpec]:
        keys = {place: self.start_key(*place) for place in self.plan.places}
        return expand_trials(self.plan, list(self.targets.values()), keys)


def dry_run(plan: Plan, shard: Shard | None = None) -> DryRun:
    """Count a plan's trials, or those of one shard, and estimate their time by measuring a few steps on this machine.

    Raises:
        VoicefitError: a corpus cannot be loaded.
    """
    materials = _Materials.load(plan)
    everything = materials.trials()
    trials, without = _part(everything, shard), shots_without_trials(plan, everything)
    needed = [f"{encoder}/{start}" for encoder, start in _starts_of(trials)]
    try:
        estimate = estimate_time(plan, materials.corpora, materials.targets, trials)
        cache = _plan_cache(materials)
    except VoicefitError as error:  # an encoder that is not here yet need not keep trials from being counted
        return DryRun(len(trials), needed, None, None, str(error), without)
    unknown = "" if estimate else "no clip could be read to measure on"
    return DryRun(len(trials), needed, estimate, cache, unknown, without)


def run_sweep(
    plan: Plan,
    out: str | Path,
    *,
    shard: Shard | None = None,
    engine: Engine = "process",
    address: str | None = None,
    workers: int | None = None,
    cache_root: Path | None = None,
    max_failures: int | None = None,
    trial_timeout: float | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> SweepResult:
    """Run a plan, or what is left of it, in the run directory ``out``.

    Every finished trial is in ``out/trials.sqlite`` at once, so that stopping at any moment loses the trials
    in hand alone, and of a starting point in hand what came after its last epoch or half hour; calling again
    continues. Pre-finetuned starting points are in
    ``out/checkpoints/ENCODER/START``.

    Args:
        plan: what to run.
        out: new, or the directory of an earlier call with the same plan, whose ``grid`` may have changed.
        shard: run this part of the plan's trials alone; ``None`` runs all.
        engine: ``process`` pre-finetunes and runs trials in this process or in worker processes, ``ray`` on a Ray
            cluster, whose nodes must see ``out``. Everything else is done here.
        address: of the cluster, see :func:`voicefit.sweep.ray_cluster.connected`.
        workers: how many pre-finetune, of which no two share a GPU, and run trials. Left out, it is this process
            alone, or as many as the cluster has room for.
        cache_root: the front-end cache; ``None`` is the user's cache folder.
        max_failures: end when more trials than this have failed in this call; ``None`` never does.
        trial_timeout: seconds after which a trial is stopped and has failed, see :func:`run_trials`; ``None`` is never.
        progress: told of every step.
        notify: told in words of what the front-end cache will take, of clips that are left out, and of trials that
            fail: of the first ten with the same error.

    Raises:
        VoicefitError: ``out`` belongs to another plan, shard or other clips, or holds something else; its store is
            damaged; a corpus or encoder cannot be loaded; a starting point cannot be made; the disk has no room for the
            front-end cache; more than ``max_failures`` trials have failed; or the cluster cannot be reached, or has a
            node that cannot run the trials.
    """
    out = Path(out)
    digests_before = check_run_directory(plan, out, shard)
    materials = _Materials.load(plan)
    with _started(engine, address, workers, trial_timeout) as run, TrialStore(_made(out) / STORE) as store:
        _cache_everything(materials, cache_root, progress, notify)
        give_back_freed_memory()  # to workers
        for name, broken in materials.left_out.items():
            if broken:
                first = next(iter(broken.items()))
                notify(f"{name}: {len(broken)} clips are left out, the first is {first[0]} ({first[1]})")
        _check_clips(materials, digests_before, out)
        everything = materials.trials()
        if without := shots_without_trials(plan, everything):
            notify(without)
        trials = _part(everything, shard)
        finished = store.finished_keys()
        todo = [trial for trial in trials if trial.key not in finished]
        corpora = materials.describe()
        write_record(out, plan, corpora, planned=len(trials), shard=shard, planned_in_all=len(everything))
        errors: Counter[str] = Counter()
        workshop = _workshop(materials, todo, out, cache_root)
        workplace = _workplace(materials, out, cache_root, workers or 1)
        with contextlib.closing(run(todo, workshop, workplace, progress)) as records:
            for count, (trial, result) in enumerate(records, 1):
                store.add(trial, result)
                progress("trials", len(trials) - len(todo) + count, len(trials))
                if "error" in result:
                    errors[result["error"]] += 1
                    _tell_failure(trial, result["error"], errors, notify)
                    if max_failures is not None and errors.total() > max_failures:
                        raise VoicefitError(
                            f"{out}: stopped after {errors.total()} failed trials, the last with {result['error']}; "
                            "finished trials are kept, and the same command goes on and tries the failed ones again"
                        )
    return SweepResult(len(trials) - len(todo), len(todo) - errors.total(), errors.total())


def _tell_failure(trial: TrialSpec, error: str, errors: Counter[str], notify: Notify) -> None:
    if errors[error] <= _TOLD_OF_AN_ERROR:
        notify(f"failed trial {errors.total()}: {_name(trial)}: {error}")
    if errors[error] == _TOLD_OF_AN_ERROR:
        notify("further trials that fail in this way are counted, and stand in the report")


_Run = Callable[[Sequence[TrialSpec], Workshop, Workplace, Progress], Generator[Record]]
"""Makes missing starting points, and runs trials."""


@contextlib.contextmanager
def _started(name: Engine, address: str | None, workers: int | None, limit: float | None) -> Iterator[_Run]:
    """The engine, for as long as the block lasts."""
    if name == "process":
        if address is not None:
            raise VoicefitError("an address is that of a Ray cluster; add --engine ray, or leave it out")
        yield lambda trials, shop, place, progress: run_here(trials, shop, place, workers or 1, limit, progress)
        return
    with ray_cluster.connected(address):
        from voicefit.sweep import ray_engine

        def run(trials: Sequence[TrialSpec], shop: Workshop, place: Workplace, progress: Progress) -> Generator[Record]:
            ray_engine.make_starts(shop, progress, workers)
            yield from ray_engine.run_trials(trials, place, workers, limit)

        yield run


def _part(trials: list[TrialSpec], shard: Shard | None) -> list[TrialSpec]:
    return trials if shard is None else shard.of(trials)


def _name(trial: TrialSpec) -> str:
    place = f"{trial.encoder}/{trial.start}, {trial.method}, {trial.target}/{trial.speaker}"
    return f"{place}, {trial.label or trial.task}, k={trial.k}, draw {trial.draw}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _check_clips(materials: _Materials, before: Mapping[str, str | None], out: Path) -> None:
    """Refuse to go on with other clips: checkpoints, draws and test sets would not be those of before."""
    for name, corpus in materials.used().items():
        if before.get(name) not in (None, clips_digest(corpus)):
            raise VoicefitError(
                f"{out}: was begun when corpus {name} had other usable clips than now; choose another --out"
            )


def _plan_cache(materials: _Materials) -> CachePlan | None:
    """What :func:`_cache_everything` would add; encoders with one front end, and so with one cache, count once."""
    plans: dict[tuple[Path, str], CachePlan] = {}
    for name, place in materials.plan.encoders.items():
        used = materials.used(name)
        if not used:
            continue
        cache = FrontCache(place.load())
        for corpus in used.values():
            if (cache.folder, corpus.name) not in plans:
                plans[cache.folder, corpus.name] = cache.plan(clip for clip in corpus.clips if clip.label is not None)
    found = list(plans.values())
    if not found:
        return None
    return replace(found[0], clips=sum(plan.clips for plan in found), bytes=sum(plan.bytes for plan in found))


def _cache_everything(materials: _Materials, cache_root: Path | None, progress: Progress, notify: Notify) -> None:
    """Run every front end over every clip it will be asked for, and leave broken clips out."""
    for name, place in materials.plan.encoders.items():
        used = materials.used(name)
        if not used:
            continue
        cache = FrontCache(place.load().to(devices()[0]), cache_root)
        found = [
            (group, corpus)
            for group in (materials.corpora, materials.targets)
            for corpus in group.values()
            if corpus.name in used
        ]
        usable, left_out = cache_corpora(cache, [corpus for _, corpus in found], progress, notify)
        for (group, _), corpus in zip(found, usable, strict=True):
            group[corpus.name] = corpus
        for corpus_name, broken in left_out.items():
            materials.left_out.setdefault(corpus_name, {}).update(broken)


def _starts_of(trials: Sequence[TrialSpec]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((trial.encoder, trial.start) for trial in trials if trial.start != NONE))


def _workshop(materials: _Materials, trials: Sequence[TrialSpec], out: Path, cache_root: Path | None) -> Workshop:
    """For the starting points that the trials need and the run lacks."""
    keys = {place: materials.start_key(*place) for place in _starts_of(trials)}
    return Workshop(
        plan=materials.plan,
        keys={place: key for place, key in keys.items() if not is_made(checkpoint_path(out, *place), key)},
        sources={name: encoder.source for name, encoder in materials.plan.encoders.items()},
        corpora=materials.corpora,
        out=out,
        cache_root=cache_root,
        threads=torch.get_num_threads(),
        devices=devices(),
    )


def _workplace(materials: _Materials, out: Path, cache_root: Path | None, workers: int) -> Workplace:
    places = {}
    for encoder, start in materials.plan.places:
        place = materials.plan.encoders[encoder]
        source = place.source if start == NONE else str(checkpoint_path(out, encoder, start))
        depth = place.depth if start == NONE else None
        frozen = min(place.frozen_layers, depth or place.frozen_layers)
        reading = place.reading.model_copy(update={"depth": depth, "frozen_layers": frozen})
        places[encoder, start] = StartingPoint(source, reading)
    methods = {name for grid in materials.plan.grid for name in grid.methods}
    return Workplace(
        starts=places,
        targets=materials.targets,
        methods={name: materials.plan.method(name) for name in methods},
        cache_root=cache_root,
        workers=workers,
        threads=max(1, torch.get_num_threads() // workers),  # what the user left to this process, shared out
        devices=devices(),
    )
