"""The grid of trials: plan, trial store, engine."""

from voicefit.sweep.plan import Plan, TrialSpec, make_plan, read_plan, read_preset
from voicefit.sweep.run import dry_run, run_sweep
from voicefit.sweep.store import TrialStore

__all__ = ["Plan", "TrialSpec", "TrialStore", "dry_run", "make_plan", "read_plan", "read_preset", "run_sweep"]
