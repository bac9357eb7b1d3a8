"""The grid of trials: plan, trial store, engine."""

from voicefit.sweep.plan import Plan, TrialSpec, read_plan
from voicefit.sweep.run import dry_run, run_sweep
from voicefit.sweep.store import TrialStore

__all__ = ["Plan", "TrialSpec", "TrialStore", "dry_run", "read_plan", "run_sweep"]
