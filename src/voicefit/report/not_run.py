"""The cells of a grid that have no trial, as the run recorded them: a table, and a row for each."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

from voicefit.report.tables import Cell, Table
from voicefit.report.text import count

COLUMNS = ["target", "speaker", "task", "label", "k", "draws", "reason"]

MAX_LINES = 100
"""The page's table has so many lines; the file has all cells."""


def not_run_table(run: Mapping[str, Any]) -> Table | None:
    """Tabulate the cells that have no trial, those of one reason in a line.

    Args:
        run: the contents of `run.json`; older ones do not say.

    Returns:
        The table; None if every cell has trials.
    """
    groups = run.get("not_run") or []
    if not groups:
        return None
    cells = sum(len(group["speakers"]) * len(group["labels"]) * len(group["k"]) for group in groups)
    rows = [[Cell(text) for text in _words(group)] for group in groups[:MAX_LINES]]
    hidden = len(groups) - len(rows)
    note = f"{count(hidden, 'further line')} not shown; " if hidden else ""
    return Table(
        f"{count(cells, 'cell')} not run",
        f"A cell is a speaker, a label, a number of clips and a task. Where draws are named, its other draws were run. "
        f"{note}all are in data/not_run.csv.",
        ["target", "speakers", "task", "labels", "k", "draws", "reason"],
        len(_words(groups[0])),
        rows,
    )


def not_run_rows(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each cell that has no trial; columns `COLUMNS`.

    Args:
        run: the contents of `run.json`.
    """
    return pd.DataFrame([row for group in run.get("not_run") or [] for row in _rows(group)], columns=COLUMNS)


def _rows(group: Mapping[str, Any]) -> Iterator[list[Any]]:
    draws = _draws(group)
    for speaker, label, k in product(group["speakers"], group["labels"], group["k"]):
        yield [group["target"], speaker, group["task"], label, k, draws, group["reason"]]


def _words(group: Mapping[str, Any]) -> list[str]:
    lists = (_listed(group[name]) for name in ("speakers", "labels", "k"))
    speakers, labels, shots = lists
    return [group["target"], speakers, group["task"], labels or "–", shots, _draws(group), group["reason"]]


def _draws(group: Mapping[str, Any]) -> str:
    return _listed(group["draws"]) or "all"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))
