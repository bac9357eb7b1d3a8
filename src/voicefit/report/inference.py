"""The report's tables of tests: claims, the mixed model, methods against the best of them."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from voicefit.report.statistics import ALPHA
from voicefit.report.style import start_label
from voicefit.report.tables import Cell, Table
from voicefit.report.text import bare_p, interval, p_value, signed


def claims_table(verdicts: pd.DataFrame) -> Table:
    """Tabulate the publication's claims and the evidence of the trials.

    Args:
        verdicts: the table of `claims.claims`.

    Returns:
        A row per target, method and claim.
    """
    rows = [
        [
            Cell(row["claim"]),
            Cell(row["target"]),
            Cell(row["method"]),
            Cell(row["verdict"], strong=row["verdict"] in ("supported", "contradicted")),
            _estimate(row),
            Cell(signed(row["effect"], 1)),
            Cell(bare_p(row["p"])),
            Cell(bare_p(row["holm"])),
        ]
        for row in verdicts.to_dict("records")
    ]
    note = (
        "The claims of the publication (Chen & Yu 2023), as differences in macro F1, positive if a claim holds, "
        "with 95 % intervals. Verdict: by the t-test over speakers at 0.05, after Holm's correction for the claims of "
        "one method. d_z: the estimate divided by its standard deviation over speakers."
    )
    header = ["claim", "target", "method", "verdict", "estimate", "d_z", "p, exact", "p, Holm"]
    return Table("The publication's claims", note, header, 4, rows)


def effects_table(terms: pd.DataFrame, target: str) -> Table:
    """Tabulate the mixed model's terms, a column per method.

    Args:
        terms: the rows of `effects.effects` of one target.
        target: the name of the target.
    """
    methods = sorted(terms["method"].unique())
    cells = {(row["term"], row["method"]): _effect(row) for row in terms.to_dict("records")}
    rows = [
        [Cell(term), *(cells.get((term, method), Cell("–")) for method in methods)] for term in terms["term"].unique()
    ]
    notes = [f"{method}: {note}." for method, note in terms.groupby("method")["note"].first().items() if note]
    note = (
        "Macro F1 explained by corpora, doublings of k, label and their products at once. Each speaker has a level, "
        "a level in each label and an effect of corpora. A label's rows are its deviations from the mean of all. "
        "Bold: Wald's p, not corrected, is below 0.05."
    )
    return Table(f"What macro F1 depends on, {target}", " ".join([note, *notes]), ["term", *methods], 1, rows)


def best_method(trials: pd.DataFrame) -> str:
    """Return the method with the highest macro F1, on the clips that all methods have, or else on all trials.

    Args:
        trials: the table of `statistics.finished` of one target and starting point.

    Returns:
        The name of the method.
    """
    methods = trials["method"].nunique()
    common = trials.groupby(["speaker", "label", "k", "draw"])["method"].transform("nunique") == methods
    chosen = trials[common] if common.any() else trials
    return str(chosen.groupby("method")["macro_f1"].mean().idxmax())


def methods_table(cells: pd.DataFrame, best: str, target: str, start: str) -> Table:
    """Tabulate methods against the best of them, a column per k.

    Args:
        cells: `gain_cells` by method and k of trials paired with the best method's.
        best: the best method.
        target: the target's name.
        start: the starting point.
    """
    ks = sorted(cells["k"].unique())
    by_cell = {(row["method"], row["k"]): row for row in cells.to_dict("records")}
    rows = [
        [Cell(method), *(_difference(by_cell[method, k]) if (method, k) in by_cell else Cell("–") for k in ks)]
        for method in cells.groupby("method")["gain"].mean().sort_values(ascending=False).index
    ]
    note = (
        f"Macro F1 minus that of {best} on the same clips, {start_label(start)}, with 95 % intervals. p: t-test over "
        "speakers, after Holm's correction for the cells of this table. Bold: below 0.05. "
        f"{best} was chosen for its mean on these trials, which flatters it a little."
    )
    return Table(f"Methods against {best}, {target}", note, ["method", *(f"k = {k}" for k in ks)], 1, rows)


def _estimate(row: dict[Hashable, Any]) -> Cell:
    return Cell(signed(row["estimate"], 3), tuple(filter(None, [interval(row["low"], row["high"], 3, sign=True)])))


def _effect(row: dict[Hashable, Any]) -> Cell:
    if pd.isna(row["estimate"]):
        return Cell("–")
    small = interval(row["low"], row["high"], 3, sign=True), p_value(row["p"])
    return Cell(signed(row["estimate"], 3), small, strong=bool(row["p"] < ALPHA))


def _difference(row: dict[Hashable, Any]) -> Cell:
    small = interval(row["low"], row["high"], 3, sign=True), p_value(row["holm"])
    return Cell(signed(row["gain"], 3), tuple(filter(None, small)), strong=bool(row["holm"] < ALPHA))
