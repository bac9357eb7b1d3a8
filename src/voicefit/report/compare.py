"""Comparison of two runs, trial by trial."""

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from voicefit.errors import VoicefitError
from voicefit.report.build import read_record, read_trials
from voicefit.report.formats import write_tables
from voicefit.report.page import flatten
from voicefit.report.statistics import ALPHA, PAIRED_BY, finished, gain_cells
from voicefit.report.style import start_label
from voicefit.report.tables import Cell, Table
from voicefit.report.text import count, interval, p_value, score, signed
from voicefit.system.files import new_directory

CELL = ["task", "encoder", "protocol", "target", "start", "method", "k"]
"""The columns that make a cell of the comparison."""

RECORDED = ("plan", "versions", "corpora", "machine", "voicefit", "command")
"""These entries of the records are compared."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of two runs.

    Attributes:
        cells: `statistics.gain_cells` by `CELL` over the trials that both runs finished; `base` is the first run.
        settings: name, first value and second value of each record entry that differs.
        only: start, method and the number of trials that only one run finished, `first` and `second`.
        other_clips: the number of paired trials with different support clips.
    """

    cells: pd.DataFrame
    settings: list[tuple[str, str, str]]
    only: pd.DataFrame
    other_clips: int


def compare_runs(first: Path, second: Path, out: Path | None = None, formats: Collection[str] = ()) -> list[Table]:
    """Tabulate what changed from one run to another.

    Args:
        first: the folder of a sweep.
        second: the folder of another.
        out: a new folder for `comparison.csv` and for the tables in `formats`; None writes nothing.
        formats: any of `formats.FORMATS`.

    Returns:
        The tables of `tables`.

    Raises:
        VoicefitError: as `compare`; or `out` exists.
    """
    comparison = compare(first, second)
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    shown = tables(comparison, *names)
    if out is not None:
        with new_directory(out) as folder:
            comparison.cells.to_csv(folder / "comparison.csv", index=False, float_format="%.6g")
            write_tables(shown, folder, formats)
    return shown


def compare(first: Path, second: Path) -> Comparison:
    """Pair the trials of two runs that have everything but the run in common.

    Args:
        first: the folder of a sweep.
        second: the folder of another.

    Raises:
        VoicefitError: either is not the folder of a sweep, or they share no finished trial.
    """
    records = [read_record(run) for run in (first, second)]
    sides = [_averaged(finished(read_trials(run))) for run in (first, second)]
    merged = sides[0].merge(sides[1], on=PAIRED_BY, how="outer", suffixes=("_first", "_second"), indicator="side")
    paired = merged[merged["side"] == "both"]
    if paired.empty:
        raise VoicefitError(f"{first} and {second} share no finished trial: nothing to compare")
    scores = paired.rename(columns={"macro_f1_first": "base", "macro_f1_second": "macro_f1"})
    scores = scores.assign(gain=scores["macro_f1"] - scores["base"])
    alone = merged[merged["side"] != "both"]
    alone = alone.assign(first=alone["side"] == "left_only", second=alone["side"] == "right_only")
    return Comparison(
        gain_cells(scores, CELL),
        _differing(*records),
        alone.groupby(["start", "method"], as_index=False)[["first", "second"]].sum(),
        int((paired["support_first"] != paired["support_second"]).sum()),
    )


def tables(comparison: Comparison, first: str, second: str) -> list[Table]:
    """Tabulate a comparison.

    Args:
        comparison: the result of `compare`.
        first: the name of the first run.
        second: the name of the second run.

    Returns:
        A table of differences for each task, encoder, protocol and target, then the trials that only one run has, then
        the differences of their records; tables without rows are left out.
    """
    note = (
        f"Macro F1 of {second} minus that of {first} on the trials that both finished, with 95 % intervals. p: t-test "
        "over speakers, after Holm's correction for all cells compared. Bold: below 0.05."
    )
    if comparison.other_clips:
        note += f" {count(comparison.other_clips, 'pair')} had different support clips: they differ by their clips too."
    shown = [
        _differences(part, f"{second} minus {first}: {', '.join(map(str, names))}", note)
        for names, part in comparison.cells.groupby(CELL[:4])
    ]
    only = [
        [Cell(start_label(start)), Cell(method), Cell(f"{one:,}"), Cell(f"{other:,}")]
        for start, method, one, other in comparison.only.itertuples(index=False)
    ]
    shown.append(Table("Trials that only one run finished", "", ["starting point", "method", first, second], 2, only))
    settings = [[Cell(name), Cell(before), Cell(after)] for name, before, after in comparison.settings]
    shown.append(Table("Records that differ", "", ["record", first, second], 3, settings))
    return [table for table in shown if table.rows]


def _averaged(trials: pd.DataFrame) -> pd.DataFrame:
    """Average repeats (other seeds): return one row a pairing."""
    return trials.groupby(PAIRED_BY, as_index=False).agg(macro_f1=("macro_f1", "mean"), support=("support", "first"))


def _differing(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = [dict(flatten({name: record.get(name) for name in RECORDED})) for record in (first, second)]
    names = dict.fromkeys([*rows[0], *rows[1]])
    values = [(name, rows[0].get(name, "–"), rows[1].get(name, "–")) for name in names]
    return [row for row in values if row[1] != row[2]]


def _differences(cells: pd.DataFrame, title: str, note: str) -> Table:
    ks = sorted(cells["k"].unique())
    rows = []
    groups: list[tuple[Any, pd.DataFrame]] = list(cells.groupby(["start", "method"]))
    for (start, method), part in groups:
        by_k = {row["k"]: _difference(row) for row in part.to_dict("records")}
        rows.append([Cell(start_label(start)), Cell(method), *(by_k.get(k, Cell("–")) for k in ks)])
    return Table(title, note, ["starting point", "method", *(f"k = {k}" for k in ks)], 2, rows)


def _difference(row: dict[Hashable, Any]) -> Cell:
    sides = f"{score(row['base'], 3)} → {score(row['macro_f1'], 3)}"
    small = interval(row["low"], row["high"], 3, sign=True), p_value(row["holm"]), sides
    return Cell(signed(row["gain"], 3), tuple(filter(None, small)), strong=bool(row["holm"] < ALPHA))
