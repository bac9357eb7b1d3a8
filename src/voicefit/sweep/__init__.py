"""The grid of trials: plan, trial store, engine."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicefit.sweep.plan import Plan, TrialSpec, make_plan, read_plan, read_preset
    from voicefit.sweep.run import dry_run, run_sweep
    from voicefit.sweep.store import TrialStore

_HOMES = {
    "Plan": "voicefit.sweep.plan",
    "TrialSpec": "voicefit.sweep.plan",
    "TrialStore": "voicefit.sweep.store",
    "dry_run": "voicefit.sweep.run",
    "make_plan": "voicefit.sweep.plan",
    "read_plan": "voicefit.sweep.plan",
    "read_preset": "voicefit.sweep.plan",
    "run_sweep": "voicefit.sweep.run",
}

__all__ = ["Plan", "TrialSpec", "TrialStore", "dry_run", "make_plan", "read_plan", "read_preset", "run_sweep"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: a report needs the store, and not the torch of the rest."""
    if name not in _HOMES:
        raise AttributeError(f"module 'voicefit.sweep' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
