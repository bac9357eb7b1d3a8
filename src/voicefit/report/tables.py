"""The report's tables, laid out from the cells of the statistics."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from voicefit.report.statistics import corpora_in, failed_rows, holm
from voicefit.report.style import start_label
from voicefit.report.text import bare_p, count, interval, p_value, score, seconds, signed

MAX_FAILURES = 50
"""The table of failures shows at most so many errors."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: its number or words.
        small: the lines below, in small print.
        strong: whether it is bold.
    """

    text: str
    small: tuple[str, ...] = ()
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table ready for the page.

    Attributes:
        title: the heading.
        note: a sentence below the heading, or empty.
        header: a word per column.
        heads: the number of leading columns with words; the others hold numbers.
        rows: the cells, row by row.
    """

    title: str
    note: str
    header: list[str]
    heads: int
    rows: list[list[Cell]]


def score_table(cells: pd.DataFrame, title: str, value: str = "macro_f1") -> Table:
    """Tabulate a score by k, a row per method and starting point.

    Args:
        cells: `cell_means` by start, method, target and k.
        title: the heading.
        value: the column of the score.

    Returns:
        A table with the speakers and trials of each row in its last columns.
    """
    note = "Mean over speakers, with its 95 % interval."
    return _by_k(cells, ["method", "start"], title, note, partial(_score_cell, value=value))


def gain_table(cells: pd.DataFrame, title: str) -> Table:
    """Tabulate paired gain by k, a row per method and starting point; bold if the interval leaves out zero.

    Args:
        cells: `gain_cells` by start, method, target and k.
        title: the heading.
    """
    note = (
        "Difference from the trial with the same clips and no pre-finetuning, with its 95 % interval. p: the exact "
        "sign-flip test over speakers, not corrected for the number of cells. Bold: the interval leaves out zero."
    )
    return _by_k(cells, ["method", "start"], title, note, _gain_cell)


def label_table(cells: pd.DataFrame, title: str, gains: bool, quantity: str = "Macro F1") -> Table:
    """Tabulate per-label numbers by k, a row per method and label, of one starting point.

    Args:
        cells: `gain_cells` (with `gains`) or `cell_means` by target, method, label and k.
        title: the heading.
        gains: whether the cells hold gains.
        quantity: the name of the score.
    """
    if not gains:
        return _by_k(cells, ["method", "label"], title, f"{quantity} with its 95 % interval.", _score_cell)
    note = f"{quantity}, the paired gain below it with its 95 % interval. Bold: the interval leaves out zero."
    return _by_k(cells, ["method", "label"], title, note, _score_and_gain_cell)


def f1_recall_table(cells: pd.DataFrame, title: str) -> Table:
    """Tabulate F1 and recall by k, a row per method and label, of one starting point.

    Args:
        cells: by method, label and k: `f1`, `low`, `high`, `recall`, `recall_low`, `recall_high`, `speakers`, `trials`.
        title: the heading.
    """
    note = "F1 of each label with its 95 % interval; below it, recall with its own."
    return _by_k(cells, ["method", "label"], title, note, _f1_recall_cell)


def with_shots(table: Table, shots: Mapping[int, str]) -> Table:
    """Return a table that says beside k how many clips that is of each label.

    Args:
        table: with columns "k = …", or a column "k".
        shots: the table of `confusion.shots_each`; a k that it lacks stays as it is.
    """
    names = {f"k = {k}": f"k = {k} ({each} each)" for k, each in shots.items()}
    column = table.header.index("k") if "k" in table.header else None
    if not shots or (column is None and names.keys().isdisjoint(table.header)):
        return table
    rows = [
        [_with_shots(cell, shots) if index == column else cell for index, cell in enumerate(row)] for row in table.rows
    ]
    note = f"{table.note} Beside k: clips of each label.".lstrip()
    return replace(table, note=note, header=[names.get(word, word) for word in table.header], rows=rows)


def corpora_table(cells: pd.DataFrame, title: str) -> Table:
    """Tabulate macro F1 by k, a row per method and number of pre-finetuning corpora.

    Args:
        cells: `cell_means` by corpora, method, target and k.
        title: the heading.
    """
    note = "Mean over speakers and over the starting points with that many corpora, with its 95 % interval."
    return _by_k(cells, ["method", "corpora"], title, note, _score_cell)


def glance_table(gains: pd.DataFrame, start: str) -> Table:
    """Return the fewest and the most support clips, with and without pre-finetuning, a row per target and method.

    Args:
        gains: `gain_cells` by start, method, target and k.
        start: the starting point to show.
    """
    shown = gains[gains["start"] == start]
    ends = shown[shown["k"].isin([shown["k"].min(), shown["k"].max()])]
    rows = [
        [
            Cell(row["target"]),
            Cell(row["method"]),
            Cell(str(row["k"])),
            Cell(score(row["base"], 3), (interval(row["base_low"], row["base_high"]),)),
            Cell(score(row["macro_f1"], 3), (interval(row["macro_f1_low"], row["macro_f1_high"]),)),
            _gain_cell(row, with_p=False),
            Cell(signed(row["effect"], 1)),
            Cell(f"{row['wins']}/{row['ties']}/{row['losses']}"),
            Cell(bare_p(row["p"])),
            Cell(bare_p(row["holm"])),
            Cell(str(row["speakers"])),
            Cell(f"{row['trials']:,}"),
        ]
        for row in ends.assign(holm=holm(ends["p_t"])).sort_values(["target", "k", "method"]).to_dict("records")
    ]
    header = [
        "target",
        "method",
        "k",
        "no pre-finetuning",
        "pre-finetuned",
        "gain",
        "d_z",
        "won/tied/lost",
        "p, exact",
        "p, Holm",
        "speakers",
        "trials",
    ]
    note = (
        "Intervals: 95 %, over speakers, labels and draws. d_z: the gain divided by its standard deviation over "
        "speakers. Won, tied, lost: over speakers and labels. p, exact: sign-flip test over speakers, never below "
        "2 / 2^speakers. p, Holm: t-test over speakers, corrected for the rows of this table."
    )
    return Table(f"At a glance: {start_label(start)}", note, header, 2, rows)


def seconds_cells(trials: pd.DataFrame) -> pd.DataFrame:
    """Summarise how long trials took: `median`, `p95`, `hours` (total) and `trials` per method and k.

    Args:
        trials: the table of `statistics.finished`.

    Returns:
        One row per method and k; seconds except for `hours`.
    """
    grouped = trials.groupby(["method", "k"])["seconds"]
    cells = grouped.agg(median="median", hours="sum", trials="size")
    cells["hours"] /= 3600
    cells.insert(1, "p95", grouped.quantile(0.95))
    return cells.reset_index()


def seconds_table(cells: pd.DataFrame) -> Table:
    """Tabulate seconds per trial by k, a row per method.

    Args:
        cells: the table of `seconds_cells`.
    """
    ks = sorted(cells["k"].unique())
    rows = []
    for method, part in cells.groupby("method"):
        by_k = {row["k"]: row for row in part.to_dict("records")}
        numbers = [
            Cell(seconds(by_k[k]["median"]), (f"95 %: {seconds(by_k[k]['p95'])}",)) if k in by_k else Cell("–")
            for k in ks
        ]
        rows.append([Cell(str(method)), *numbers, Cell(f"{part['hours'].sum():.2f}")])
    note = "Median, and below it the time that 95 % of the trials stay under; the last column sums all trials."
    return Table("Seconds per trial", note, ["method", *(f"k = {k}" for k in ks), "hours in all"], 1, rows)


def failure_table(trials: pd.DataFrame) -> Table | None:
    """Tabulate the trials without a score, grouped by their error.

    Args:
        trials: one row a trial.

    Returns:
        The most frequent errors first; None if no trial failed.
    """
    failed = trials[failed_rows(trials)]
    if failed.empty:
        return None
    error = failed["error"].fillna("").astype(str).replace("", "no score")
    groups = failed.assign(error=error).groupby("error", sort=False)
    sizes = groups.size().sort_values(ascending=False, kind="stable")
    first = {row["error"]: row for row in groups.head(1).to_dict("records")}
    rows = [
        [Cell(str(reason)), Cell(_spec(first[reason])), Cell(f"{size:,}")]
        for reason, size in sizes.head(MAX_FAILURES).items()
    ]
    rarer = len(sizes) - len(rows)
    note = f"{count(rarer, 'rarer error')} not shown; all are in data/failures.csv." if rarer else ""
    return Table(count(len(failed), "failed trial"), note, ["error", "for instance", "trials"], 2, rows)


def _spec(row: dict[Hashable, Any]) -> str:
    named = ["start", "target", "method", "speaker", "label"]
    return ", ".join([*(str(row[name]) for name in named if row[name]), f"k = {row['k']}", f"draw {row['draw']}"])


def _by_k(
    cells: pd.DataFrame, heads: list[str], title: str, note: str, render: Callable[[dict[Hashable, Any]], Cell]
) -> Table:
    """Tabulate a row for each combination of `heads` and a column for each k."""
    ks = sorted(cells["k"].unique())
    rows = []
    groups: list[tuple[Any, pd.DataFrame]] = list(cells.groupby(heads))
    for names, part in sorted(groups, key=lambda item: (item[0][0], *_order(heads[1], item[0][1]))):
        by_k = {row["k"]: render(row) for row in part.to_dict("records")}
        words = [Cell(start_label(n) if head == "start" else str(n)) for head, n in zip(heads, names, strict=True)]
        speakers = _range(part["speakers"])
        rows.append([*words, *(by_k.get(k, Cell("–")) for k in ks), Cell(speakers), Cell(f"{part['trials'].sum():,}")])
    header = ["starting point" if head == "start" else head for head in heads]
    return Table(title, note, [*header, *(f"k = {k}" for k in ks), "speakers", "trials"], len(heads), rows)


def _order(head: str, name: str) -> tuple[int, str]:
    if head == "corpora":
        return int(name), ""
    return (corpora_in(name) if head == "start" else 0), name


def _range(numbers: pd.Series) -> str:
    low, high = numbers.min(), numbers.max()
    return str(low) if low == high else f"{low}–{high}"


def _score_cell(row: dict[Hashable, Any], value: str = "macro_f1") -> Cell:
    return Cell(score(row[value], 3), (interval(row["low"], row["high"]),))


def _f1_recall_cell(row: dict[Hashable, Any]) -> Cell:
    recall = f"recall {score(row['recall'], 3)} {interval(row['recall_low'], row['recall_high'])}".rstrip()
    return Cell(score(row["f1"], 3), (interval(row["low"], row["high"]), recall))


def _with_shots(cell: Cell, shots: Mapping[int, str]) -> Cell:
    each = shots.get(int(cell.text))
    return replace(cell, small=(f"{each} each",)) if each else cell


def _gain_cell(row: dict[Hashable, Any], with_p: bool = True) -> Cell:
    small = [interval(row["low"], row["high"], 3, sign=True), p_value(row["p"]) if with_p else ""]
    return Cell(signed(row["gain"], 3), tuple(filter(None, small)), strong=_certain(row))


def _score_and_gain_cell(row: dict[Hashable, Any]) -> Cell:
    small = signed(row["gain"], 3), interval(row["low"], row["high"], 3, sign=True)
    return Cell(score(row["macro_f1"], 3), small, strong=_certain(row))


def _certain(row: dict[Hashable, Any]) -> bool:
    return bool(row["low"] > 0 or row["high"] < 0)
