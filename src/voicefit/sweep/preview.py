"""What a plan would do: its trials, the cells that have none, and the time and disk that it would take."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from voicefit.encoders.cache_limit import CachePlan
from voicefit.errors import VoicefitError
from voicefit.sweep.both_sides import describe_shared, learnt_from
from voicefit.sweep.cells import NotRun
from voicefit.sweep.estimate import Estimate, estimate_time
from voicefit.sweep.loaded_plan import LoadedPlan
from voicefit.sweep.plan import Plan, prefinetuned_starts
from voicefit.sweep.shard import Shard
from voicefit.system.progress import Progress, silent


@dataclass(frozen=True)
class DryRun:
    """What a plan would do.

    Attributes:
        trials: number of trials that the targets have enough clips for, in this shard.
        prefinetunings: starting points that must be trained, ``encoder/start``.
        estimate: seconds by stage, or ``None`` when nothing could be measured.
        cache: what would be added to the front-end cache, or ``None`` when an encoder is not here.
        unknown: why there is no estimate; empty when there is one.
        not_run: the cells of the plan that have no trial.
        remarks: lines about audio that is twice in a target, or trained on as well.
        in_shards: whether the plan has trials, in this shard or in others.
    """

    trials: int
    prefinetunings: list[str]
    estimate: Estimate | None
    cache: CachePlan | None
    unknown: str = ""
    not_run: tuple[NotRun, ...] = ()
    remarks: tuple[str, ...] = ()
    in_shards: bool = True


def dry_run(plan: Plan, shard: Shard | None = None, progress: Progress = silent) -> DryRun:
    """Count a plan's trials, or those of one shard, and estimate their time by measuring a few steps on this machine.

    Args:
        plan: the plan.
        shard: the part of it that is meant; ``None`` is all of it.
        progress: called as clips are compared, and as methods are timed.

    Returns:
        what the plan would do. Of corpora that are not here, published numbers are counted, and each has a remark.

    Raises:
        VoicefitError: a corpus cannot be loaded, or a target has files that are pre-finetuned on; or one is not here,
            and nothing is published of it.
    """
    absent = {name: path for name, path in {**plan.corpora, **plan.targets}.items() if not os.path.exists(path)}
    if absent:
        return _count_alone(plan, shard, absent)
    loaded = LoadedPlan.load(plan)
    loaded.compare_audio(progress)
    remarks = [line for name, pairs in loaded.same_audio.items() for line in describe_shared(name, pairs)]
    all_trials, not_run = loaded.expand()
    trials = all_trials if shard is None else shard.of(all_trials)
    needed = [str(start_id) for start_id in prefinetuned_starts(trials)]
    unknown = "there are no trials" if not trials else ""
    estimate, cache = None, None
    try:
        if trials:
            plans = loaded.plan_cache()
            cache = _in_all(plans)
            uncached = {name: plan.clips for name, plan in plans.items()}
            estimate = estimate_time(plan, loaded.corpora, loaded.targets, trials, uncached, progress)
            loaded.learnt_from = {name: learnt_from(encoder.source) for name, encoder in plan.encoders.items()}
            remarks += loaded.describe_known()
            unknown = "" if estimate else "no clip could be read to measure on"
    except VoicefitError as error:  # an encoder that is not here yet need not keep trials from being counted
        estimate, unknown = None, str(error)
    return DryRun(len(trials), needed, estimate, cache, unknown, tuple(not_run), tuple(remarks), bool(all_trials))


def _in_all(plans: Mapping[str, CachePlan]) -> CachePlan | None:
    every = list(plans.values())
    if not every:
        return None
    return replace(every[0], clips=sum(plan.clips for plan in every), bytes=sum(plan.bytes for plan in every))


def _count_alone(plan: Plan, shard: Shard | None, absent: Mapping[str, str]) -> DryRun:
    """Count the trials of a plan some of whose corpora are not here."""
    loaded = LoadedPlan.load(plan, absent)
    remarks = []
    for name, path in absent.items():
        words = "it is pre-finetuned on, and no trial depends on its clips"
        if name in loaded.targets:
            if not loaded.targets[name].clips:
                raise VoicefitError(
                    f"targets.{name}: {path} is not here, and no counts are published to count trials by"
                )
            words = f"counted as published, {loaded.targets[name].info.expected_speakers} speakers"
        remarks.append(f"{name} is not here ({path}); {words}")
    all_trials, not_run = loaded.expand()
    trials = all_trials if shard is None else shard.of(all_trials)
    needed = [str(start_id) for start_id in prefinetuned_starts(trials)]
    unknown = f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not here"
    return DryRun(len(trials), needed, None, None, unknown, tuple(not_run), tuple(remarks), bool(all_trials))
