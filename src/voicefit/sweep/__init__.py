"""The grid of trials: plan, trial store, scheduler."""

from typing import TYPE_CHECKING

from voicefit.system.lazy import lazy_names

if TYPE_CHECKING:
    from voicefit.sweep.merge import merge_runs
    from voicefit.sweep.plan import Plan, make_plan, read_plan, read_preset
    from voicefit.sweep.preview import dry_run
    from voicefit.sweep.reproduce import compare_with, recorded_plan
    from voicefit.sweep.run import run_sweep
    from voicefit.sweep.shard import Shard
    from voicefit.sweep.specs import TrialSpec
    from voicefit.sweep.store import TrialStore

_HOMES = {
    "Plan": "voicefit.sweep.plan",
    "Shard": "voicefit.sweep.shard",
    "TrialSpec": "voicefit.sweep.specs",
    "TrialStore": "voicefit.sweep.store",
    "compare_with": "voicefit.sweep.reproduce",
    "dry_run": "voicefit.sweep.preview",
    "make_plan": "voicefit.sweep.plan",
    "merge_runs": "voicefit.sweep.merge",
    "read_plan": "voicefit.sweep.plan",
    "read_preset": "voicefit.sweep.plan",
    "recorded_plan": "voicefit.sweep.reproduce",
    "run_sweep": "voicefit.sweep.run",
}

__all__ = [
    "Plan",
    "Shard",
    "TrialSpec",
    "TrialStore",
    "compare_with",
    "dry_run",
    "make_plan",
    "merge_runs",
    "read_plan",
    "read_preset",
    "recorded_plan",
    "run_sweep",
]

__getattr__ = lazy_names(__name__, _HOMES)
