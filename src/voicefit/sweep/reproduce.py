"""A run once more, and whether it comes out the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from voicefit.errors import VoicefitError
from voicefit.sweep.plan import Plan, make_plan
from voicefit.sweep.plan_paths import Paths
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.specs import TRIAL_COLUMNS

_TRIAL = list(TRIAL_COLUMNS)

_MADE_OF = ("voicefit", "versions", "machine", "git", "corpora")
"""The entries of `run.json` that may change a score."""


@dataclass(frozen=True)
class Reproduction:
    """A run beside its repetition.

    Attributes:
        made_of: record entry, what it was, what it is; those alone that differ.
        trials: one row for each trial of either run, the largest difference first. Its columns are those of
            `TRIAL_COLUMNS`, `before` and `after` (macro F1, NaN where failed or missing) and `difference` (absolute;
            infinite where one is missing).
    """

    made_of: list[tuple[str, str, str]]
    trials: pd.DataFrame

    @property
    def equal(self) -> bool:
        """Whether every trial has the score it had, to the last digit."""
        return bool((self.trials["difference"] == 0).all())


def recorded_plan(run: Path, encoders: Paths | None = None, corpora: Paths | None = None) -> Plan:
    """Return the plan that a run was made with, paths included.

    Args:
        run: the run directory.
        encoders: as in :func:`voicefit.sweep.plan.read_plan`.
        corpora: as in :func:`voicefit.sweep.plan.read_plan`.

    Raises:
        VoicefitError: ``run`` is not a run directory, or only a shard of one; or the plan has no such name.
    """
    directory = RunDirectory(run)
    record = directory.read_record()
    if record.get("shard"):
        raise VoicefitError(f"{run}: is shard {record['shard']} of a plan; merge the shards first")
    return make_plan(record["plan"], str(directory.record_path), encoders, corpora)


def compare_with(run: Path, again: Path) -> Reproduction:
    """Compare a run with its repetition, trial by trial.

    Args:
        run: the first run.
        again: the folder of the second.

    Raises:
        VoicefitError: either is not a run directory.
    """
    first, second = RunDirectory(run), RunDirectory(again)
    before, after = ({name: each.read_record().get(name) for name in _MADE_OF} for each in (first, second))
    made_of = list(_changes(before, after))
    both = _scores(first).merge(
        _scores(second), on=_TRIAL, how="outer", suffixes=("_before", "_after"), indicator="side"
    )
    both = both.rename(columns={"macro_f1_before": "before", "macro_f1_after": "after"})
    difference = (both["before"] - both["after"]).abs().fillna(float("inf"))
    # A trial that failed in both runs came out the same.
    alike = (both["side"] == "both") & both["before"].isna() & both["after"].isna()
    both["difference"] = difference.mask(alike, 0.0)
    ordered = both.sort_values("difference", ascending=False, kind="stable", ignore_index=True)
    return Reproduction(made_of, ordered[[*_TRIAL, "before", "after", "difference"]])


def _scores(run: RunDirectory) -> pd.DataFrame:
    with run.open_store() as store:
        return store.trials()[[*_TRIAL, "macro_f1"]]


def _changes(before: Any, after: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the entries that differ, however deep: dotted name, before, after."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _changes(before.get(key), after.get(key), f"{name}.{key}" if name else str(key))
    elif before != after:
        yield name, str(before), str(after)
