"""Calibration: how well a method's confidence agrees with its accuracy."""

import json
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from voicefit.report.figures import CURVE_HEIGHT_IN, label_rows, method_panels
from voicefit.report.style import FAINT, graded_lines, legend_below
from voicefit.report.tables import Cell, Table
from voicefit.report.text import score

MIN_CLIPS_PER_BIN = 20
"""A reliability diagram shows a bin only with so many clips: the accuracy of fewer is too uncertain."""


def reliability_cells(trials: pd.DataFrame) -> pd.DataFrame:
    """Add up the bins of confidence of all trials of a method and k.

    Args:
        trials: the table of `statistics.finished`, of one starting point; `calibration` as `scores.reliability`
            returns it, in JSON. Trials without it are left out.

    Returns:
        A row per target, method, k, speaker and bin that has clips: these, `clips`, `confidence` (mean, 0 … 1) and
        `accuracy` (0 … 1); empty if no trial recorded its bins.
    """
    by = ["target", "method", "k", "speaker", "bin"]
    recorded = trials[trials["calibration"].notna()] if "calibration" in trials else trials.iloc[:0]
    if recorded.empty:
        return pd.DataFrame(columns=[*by, "clips", "confidence", "accuracy"])
    recorded = recorded.reset_index(drop=True)
    bins = np.array([json.loads(text) for text in recorded["calibration"]])
    rows = recorded.loc[recorded.index.repeat(bins.shape[2]), by[:-1]].assign(
        bin=np.tile(np.arange(bins.shape[2]), len(recorded)),
        clips=bins[:, 0].ravel(),
        confidence=bins[:, 1].ravel(),
        accuracy=bins[:, 2].ravel(),
    )
    cells = rows.groupby(by, as_index=False)[["clips", "confidence", "accuracy"]].sum()
    cells = cells[cells["clips"] > 0].reset_index(drop=True)
    cells[["confidence", "accuracy"]] = cells[["confidence", "accuracy"]].div(cells["clips"], axis=0)
    return cells


def calibration_errors(cells: pd.DataFrame) -> pd.DataFrame:
    """Compute the expected calibration error: the mean distance of confidence and accuracy over bins.

    Args:
        cells: the table of `reliability_cells`.

    Returns:
        A row per target, method and k: `error` (0 … 1; mean over speakers) and `overconfidence` (mean confidence minus
        accuracy; mean over speakers).
    """
    by = ["target", "method", "k"]
    signed = cells["clips"] * (cells["confidence"] - cells["accuracy"])
    weighted = cells.assign(error=signed.abs(), overconfidence=signed)
    sums = weighted.groupby([*by, "speaker"])[["error", "overconfidence", "clips"]].sum()
    shares = sums[["error", "overconfidence"]].div(sums["clips"], axis=0)
    return shares.groupby(by).mean().reset_index()


def pooled_bins(cells: pd.DataFrame) -> pd.DataFrame:
    """Add up the bins of the speakers; bins with fewer than 20 clips are left out.

    Args:
        cells: the table of `reliability_cells`.

    Returns:
        A row per target, method, k and bin: these, `clips`, `confidence` and `accuracy` (means, 0 … 1).
    """
    by = ["target", "method", "k", "bin"]
    sums = (
        cells.assign(confidence=cells["confidence"] * cells["clips"], accuracy=cells["accuracy"] * cells["clips"])
        .groupby(by, as_index=False)[["clips", "confidence", "accuracy"]]
        .sum()
    )
    pooled = sums[sums["clips"] >= MIN_CLIPS_PER_BIN].copy()
    pooled[["confidence", "accuracy"]] = pooled[["confidence", "accuracy"]].div(pooled["clips"], axis=0)
    return pooled


def reliability_curves(bins: pd.DataFrame) -> Figure:
    """Draw accuracy by confidence, a line per k, a panel per method and target, with the diagonal.

    Args:
        bins: the table of `pooled_bins`, not empty.
    """
    # With two classes, confidence is at least a half.
    lowest = bins[["confidence", "accuracy"]].to_numpy().min() - 0.03
    ks = sorted(bins["k"].unique())
    lines = dict(zip(ks, graded_lines(len(ks)), strict=True))
    figure, grid = method_panels(bins, CURVE_HEIGHT_IN)
    for axes, _, part, _ in grid:
        axes.axline((0, 0), slope=1, color=FAINT, linewidth=1)
        for k, line in lines.items():
            points = part[part["k"] == k]
            axes.plot(points["confidence"], points["accuracy"], **line)
        axes.set_xlabel("confidence")
        axes.set_xlim(lowest, 1.02)
        axes.set_ylim(lowest, 1.02)
    label_rows(figure, "accuracy")
    legend_below(figure, [Line2D([], [], **line) for line in lines.values()], [f"k = {k}" for k in ks])
    return figure


def calibration_table(errors: pd.DataFrame, title: str) -> Table:
    """Tabulate calibration error by k, a row per method.

    Args:
        errors: the table of `calibration_errors` of one target.
        title: the heading.
    """
    ks = sorted(errors["k"].unique())
    rows = []
    for method, part in errors.groupby("method"):
        by_k = {row["k"]: row for row in part.to_dict("records")}
        cells = [Cell(score(by_k[k]["error"], 3), (_leaning(by_k[k]),)) if k in by_k else Cell("–") for k in ks]
        rows.append([Cell(str(method)), *cells])
    note = (
        "Expected calibration error: mean distance of confidence and accuracy over ten bins of confidence, of each "
        "speaker, averaged over speakers. Below it, mean confidence minus accuracy."
    )
    return Table(title, note, ["method", *(f"k = {k}" for k in ks)], 1, rows)


def _leaning(row: dict[Hashable, Any]) -> str:
    return f"{row['overconfidence']:+.3f}".replace("-", "−")
