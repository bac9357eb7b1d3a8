"""A plan with its corpora loaded: what identifies its starting points, and its trials."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicefit.corpora import Corpus, load_corpus
from voicefit.corpora.published import published_corpus
from voicefit.encoders import FrontCache
from voicefit.encoders.cache_limit import CachePlan
from voicefit.errors import VoicefitError
from voicefit.sweep.both_sides import describe_known, find_shared_audio, learnt_from
from voicefit.sweep.cells import NotRun
from voicefit.sweep.plan import NONE, Plan, expand_trials, plan_cells
from voicefit.sweep.record import EarlierCall, describe_corpus
from voicefit.sweep.specs import StartId, TrialSpec, digest
from voicefit.system.digests import combined_digest, file_digest
from voicefit.system.hub import locate
from voicefit.system.machine import devices
from voicefit.system.progress import Notify, Progress, silent

_ENCODER_FILES = ("*.safetensors", "config.json", "preprocessor_config.json")
"""What an encoder is loaded from."""


@dataclass
class LoadedPlan:
    """A plan and its corpora.

    Attributes:
        plan: the plan.
        corpora: name → pre-finetuning corpus, with the clips that can be used as far as is known.
        targets: name → target corpus, likewise.
        left_out: corpus → clip id → why the clip cannot be used.
        earlier: what the run's last call recorded. What this call does not look at keeps its record.
        encoder_digests: encoder → digest of its files, of those that have been loaded.
        learnt_from: encoder → titles of the corpora that it was pre-finetuned on, of those that are loaded.
        same_audio: target → lines about clips that have the audio of another one, as far as has been looked for.
    """

    plan: Plan
    corpora: dict[str, Corpus]
    targets: dict[str, Corpus]
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)
    earlier: EarlierCall = field(default_factory=EarlierCall)
    encoder_digests: dict[str, str | None] = field(default_factory=dict)
    learnt_from: dict[str, list[str]] = field(default_factory=dict)
    same_audio: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Remember the targets as they are before clips are left out."""
        self._whole_targets = dict(self.targets)

    @classmethod
    def load(cls, plan: Plan, absent: Collection[str] = ()) -> "LoadedPlan":
        """Load a plan's corpora.

        Args:
            plan: the plan.
            absent: corpora and targets that are not here. What is published of them takes their place, to count trials.

        Raises:
            VoicefitError: a corpus cannot be loaded, or nothing is published of it; or a target holds clips that are
                pre-finetuned on.
        """

        def read(paths: Mapping[str, str]) -> dict[str, Corpus]:
            return {
                name: published_corpus(name, path) if name in absent else load_corpus(name, path)
                for name, path in paths.items()
            }

        loaded = cls(plan, read(plan.corpora), read(plan.targets))
        if not absent:
            loaded._check_targets_are_new()
        return loaded

    def _check_targets_are_new(self) -> None:
        """Refuse a target with clips that a starting point is trained on: its speakers would not be new."""
        files = {name: _real_paths(corpus) for name, corpus in self._trained_on().items()}
        for target in self.targets.values():
            target_files = _real_paths(target)
            for name in sorted(files):
                if not target_files.isdisjoint(files[name]):
                    raise VoicefitError(
                        f"targets.{target.name} holds clips of corpora.{name}, which is pre-finetuned on: "
                        "its speakers would not be new. Leave it out of one of the two"
                    )

    def _trained_on(self) -> dict[str, Corpus]:
        names = {name for _, start in self.plan.start_ids for name in start.split("+")}
        return {name: corpus for name, corpus in self.corpora.items() if name in names}

    def compare_audio(self, progress: Progress = silent) -> None:
        """Look for the same audio in targets and in what is pre-finetuned on, and twice in a target.

        Args:
            progress: called after every clip.
        """
        for name, target in self.targets.items():
            self.same_audio[name] = find_shared_audio(target, self._trained_on(), progress)

    def used(self, encoder: str | None = None) -> dict[str, Corpus]:
        """Return the corpora that the grids need, by name: those of one encoder, or of all."""
        starts = [start for name, start in self.plan.start_ids if encoder in (None, name)]
        names = {name for start in starts for name in start.split("+")}
        targets = self.targets if starts else {}
        return {name: self.corpora[name] for name in self.corpora if name in names} | targets

    def start_key(self, start_id: StartId) -> str:
        """Return a digest of everything that a starting point is made of."""
        settings = self.plan.encoders[start_id.encoder].model_dump(exclude={"prefinetune"})
        settings["source"] = self._key_source(start_id.encoder)
        # Nothing stands for plain layers, as before weights could be learnt.
        weighted = ["weighted layers"] if settings.pop("weighted_layers") else []
        if start_id.start == NONE:
            return digest(
                [settings[name] for name in ("source", "frozen_layers", "front_end")] + [settings["depth"]] + weighted
            )
        settings["none_depth"] = None  # an option that is no more: without it no start of 0.1.0 would be found again
        names = start_id.start.split("+")
        clips = [[name, [(clip.id, clip.label) for clip in self.corpora[name].clips]] for name in names]
        training = self.plan.prefinetune_settings(start_id.encoder).model_dump()
        return digest([settings, training, self.plan.protocol, self.plan.seed, clips, *weighted])

    def expand(self) -> tuple[list[TrialSpec], list[NotRun]]:
        """Return every trial of the plan, and the cells of its grids that have none."""
        keys = {start_id: self.start_key(start_id) for start_id in self.plan.start_ids}
        targets = list(self.targets.values())
        cells = plan_cells(self.plan, targets, [self._whole_targets[corpus.name] for corpus in targets])
        not_run = dict.fromkeys(group for found in cells for group in found.not_run)
        return expand_trials(self.plan, targets, keys, cells), list(not_run)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return what `run.json` records of each corpus; of one that is not used, what an earlier call recorded."""
        used = self.used()
        return {
            name: dict(self.earlier.corpora[name])
            if name not in used and self.earlier.corpora.get(name, {}).get("digest")
            else describe_corpus(corpus, self.left_out.get(name, {}), name in used)
            for name, corpus in {**self.corpora, **self.targets}.items()
        }

    def describe_known(self) -> list[str]:
        """Say which targets are of a corpus that a loaded encoder has learnt from already."""
        return describe_known(self.learnt_from, {name: vars(target.info) for name, target in self.targets.items()})

    def describe_same_audio(self) -> dict[str, list[str]]:
        """Return what `run.json` records of the same audio: the lines of this call, and of those before it."""
        before = self.earlier.same_audio or {}
        names = dict.fromkeys([*before, *self.same_audio])
        return {name: list(dict.fromkeys([*before.get(name, []), *self.same_audio.get(name, [])])) for name in names}

    def _key_source(self, encoder: str) -> str:
        """Return the source in the keys of an encoder's trials: that of the first call, as encoders may be moved."""
        return self.earlier.key_sources.get(encoder, self.plan.encoders[encoder].source)

    def describe_encoders(self) -> dict[str, dict[str, Any]]:
        """Return what `run.json` records of each encoder: the source in its trials' keys, and what is known of it."""
        return {
            name: {
                "source": self._key_source(name),
                "digest": self.encoder_digests.get(name) or self.earlier.encoders.get(name, {}).get("digest"),
                "learnt_from": self.learnt_from.get(name) or self.earlier.encoders.get(name, {}).get("learnt_from", []),
            }
            for name in self.plan.encoders
        }

    def fill_cache(self, cache_root: Path | None, progress: Progress, notify: Notify, workers: int = 1) -> None:
        """Run every front end over every clip that it will be asked for, and leave broken clips out.

        Args:
            cache_root: the front-end cache; ``None`` is the user's cache folder.
            progress: called at every clip.
            notify: called with a line about what the cache will take.
            workers: how many the sweep has; at least so many clips are read at once.

        Raises:
            VoicefitError: an encoder cannot be loaded, or the disk has no room.
        """
        from voicefit.prefinetuning.prefinetune import cache_corpora  # a dry run need not wait for pandas

        for name, encoder_plan in self.plan.encoders.items():
            used = self.used(name)
            if not used:
                continue
            cache = FrontCache(encoder_plan.load().to(devices()[0]), cache_root)
            self.encoder_digests[name] = _files_digest(encoder_plan.source)  # weights of the hub are here by now
            self.learnt_from[name] = learnt_from(encoder_plan.source)
            needed = [
                (group, corpus)
                for group in (self.corpora, self.targets)
                for corpus in group.values()
                if corpus.name in used
            ]
            usable, left_out = cache_corpora(cache, [corpus for _, corpus in needed], progress, notify, at_once=workers)
            for (group, _), corpus in zip(needed, usable, strict=True):
                group[corpus.name] = corpus
            for corpus_name, broken in left_out.items():
                self.left_out.setdefault(corpus_name, {}).update(broken)

    def plan_cache(self) -> dict[str, CachePlan]:
        """Return encoder → what :meth:`fill_cache` would add; clips of one front end count for its first encoder."""
        plans: dict[str, CachePlan] = {}
        seen: set[tuple[Path, str]] = set()
        for name, encoder_plan in self.plan.encoders.items():
            used = self.used(name)
            if not used:
                continue
            cache = FrontCache(encoder_plan.load())
            new = [corpus for corpus in used.values() if (cache.folder, corpus.name) not in seen]
            seen.update((cache.folder, corpus.name) for corpus in new)
            plans[name] = cache.plan(clip for corpus in new for clip in corpus.clips if clip.label is not None)
        return plans


def _real_paths(corpus: Corpus) -> set[str]:
    return {os.path.realpath(path) for path in {clip.path for clip in corpus.clips}}


def _files_digest(source: str) -> str | None:
    """Return a digest of an encoder's files; ``None`` where there is no folder of them."""
    folder = locate(source).folder
    if folder is None:
        return None
    paths = [path for pattern in _ENCODER_FILES for path in sorted(folder.glob(pattern))]
    return combined_digest(part for path in paths for part in (path.name.encode(), file_digest(path)))
