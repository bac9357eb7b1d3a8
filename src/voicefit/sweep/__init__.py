"""The grid of trials: plan, trial store, engine."""

from voicefit.sweep.merge import merge_runs
from voicefit.sweep.plan import Plan, TrialSpec, make_plan, read_plan, read_preset
from voicefit.sweep.reproduce import compare_with, recorded_plan
from voicefit.sweep.run import dry_run, run_sweep
from voicefit.sweep.shard import Shard
from voicefit.sweep.store import TrialStore

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
