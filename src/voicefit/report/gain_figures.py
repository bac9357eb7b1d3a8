"""Figures of the gains of pre-finetuning: by number of corpora, by set of corpora and label, speaker by speaker."""

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from voicefit.report.figures import gain_scale, gain_ticks, heat, label_rows, method_panels
from voicefit.report.method_figures import spread
from voicefit.report.statistics import NO_START, corpora_in, ordered_starts
from voicefit.report.style import COLOURS, FAINT, INK, K_LABEL, graded_lines, k_axis, legend_below, panels, start_label

WIDTH_IN = 12.5
"""The figure of subsets is so many inches wide."""

LABELS_PER_ROW = 3
"""A row of the figure of subsets shows so many labels."""

MAX_NAMED_SPEAKERS = 14
"""Speakers are named beside their lines if there are at most so many."""

RISES: dict[str, Any] = {"color": COLOURS[0], "linestyle": "-", "marker": "o"}
"""The line of a speaker whose score rises."""

FALLS: dict[str, Any] = {"color": COLOURS[1], "linestyle": (0, (4, 1.5)), "marker": "s"}
"""The line of a speaker whose score does not rise."""

MEAN: dict[str, Any] = {"color": INK, "linestyle": "-", "marker": "D", "linewidth": 3.2}
"""The line of the mean over speakers."""


def corpora_gains(cells: pd.DataFrame) -> Figure:
    """Draw paired gain over no pre-finetuning by k, a line per number of corpora, a panel per method and target.

    Args:
        cells: `gain_cells` by corpora, method, target and k.
    """
    numbers = sorted(cells["corpora"].unique())
    lines = dict(zip(numbers, graded_lines(len(numbers)), strict=True))
    figure, grid = method_panels(cells, 3.6)
    for axes, _, part, _ in grid:
        axes.axhline(0, color=INK, linewidth=1)
        for number, line in lines.items():
            points = part[part["corpora"] == number]
            axes.fill_between(points["k"], points["low"], points["high"], color=line["color"], alpha=0.08, linewidth=0)
            axes.plot(points["k"], points["gain"], **line)
        k_axis(axes, sorted(cells["k"].unique()))
        axes.set_xlabel(K_LABEL)
    gain_ticks(figure)
    label_rows(figure, "gain in macro F1")
    words = ["1 corpus" if number == 1 else f"{number} corpora" for number in numbers]
    legend_below(figure, [Line2D([], [], **line) for line in lines.values()], words)
    return figure


def subset_map(cells: pd.DataFrame) -> Figure:
    """Draw gains of every starting point as heat maps: a row per set of corpora, a column per k, a panel per label.

    Dots on the left show the corpora of a row (as in UpSet plots; Lex et al. 2014).

    Args:
        cells: `gain_cells` by start, label and k, of one target and method.
    """
    starts, labels = ordered_starts(cells["start"]), sorted(cells["label"].unique())
    corpora = list(dict.fromkeys(corpus for start in starts for corpus in start.split("+")))
    columns = min(LABELS_PER_ROW, len(labels))
    rows = math.ceil(len(labels) / columns)
    sets = 0.28 * len(corpora) + 0.2
    widths = [sets, *[(WIDTH_IN - sets) / LABELS_PER_ROW] * columns]
    height = 0.24 * len(starts) + 1.15
    figure, axes = panels(sum(widths), height, rows, columns + 1, width_ratios=widths)
    scale = gain_scale(cells["gain"])
    for row in axes:
        _membership(row[0], starts, corpora)
    for index, panel in enumerate(axes[:, 1:].flat):
        panel.set_visible(index < len(labels))
        if index < len(labels):
            _gains_of_label(panel, cells[cells["label"] == labels[index]], starts, scale)
            panel.set_title(labels[index])
    return figure


def speaker_slopes(cells: pd.DataFrame, start: str) -> Figure:
    """Draw macro F1 without pre-finetuning and with it, a line per speaker, a panel per k, a row of panels per target.

    Args:
        cells: one row per target, speaker and k, of one method, with `base` and `macro_f1`.
        start: the starting point behind `macro_f1`.
    """
    targets, ks = sorted(cells["target"].unique()), sorted(cells["k"].unique())
    figure, axes = panels(4.6 * len(ks) + 0.6, 4.2, len(targets), len(ks), sharey=True)
    ends = ["\n".join(textwrap.wrap(start_label(name), 24)) for name in (NO_START, start)]
    low, high = cells[["base", "macro_f1"]].min().min(), cells[["base", "macro_f1"]].max().max()
    margin = 0.06 * max(high - low, 0.05)
    axes[0, 0].set_ylim(low - margin, high + margin)
    for row, target in zip(axes, targets, strict=True):
        for panel, k in zip(row, ks, strict=True):
            part = cells[(cells["target"] == target) & (cells["k"] == k)]
            panel.set_visible(not part.empty)
            if part.empty:
                continue
            _slopes(panel, part)
            risen = int((part["macro_f1"] > part["base"]).sum())
            prefix = "" if len(targets) == 1 else f"{target}, "
            panel.set_title(f"{prefix}k = {k}: {risen} of {len(part)} speakers rise")
            panel.set_xticks([0, 1], ends)
            panel.set_xlim(-0.3, 1.5 if len(part) <= MAX_NAMED_SPEAKERS else 1.3)
            panel.grid(visible=False, axis="x")
    label_rows(figure, "macro F1")
    fall = (cells["macro_f1"] <= cells["base"]).any()
    kinds = {"rises": RISES} | ({"does not rise": FALLS} if fall else {}) | {"mean over speakers": MEAN}
    legend_below(figure, [Line2D([], [], **kind) for kind in kinds.values()], list(kinds))
    return figure


def _membership(axes: Axes, starts: list[str], corpora: list[str]) -> None:
    """Draw a dot for each corpus of each starting point, and join the dots of one."""
    axes.set_ylim(len(starts), 0)
    axes.set_xlim(-0.6, len(corpora) - 0.4)
    for row, start in enumerate(starts):
        members = [corpora.index(corpus) for corpus in start.split("+")]
        axes.scatter(range(len(corpora)), [row + 0.5] * len(corpora), s=9, color=FAINT, linewidths=0, zorder=2)
        axes.plot([min(members), max(members)], [row + 0.5] * 2, color=INK, linewidth=1.2, zorder=2)
        axes.scatter(members, [row + 0.5] * len(members), s=26, color=INK, linewidths=0, zorder=3)
    axes.set_xticks(range(len(corpora)), corpora, rotation=90, fontsize=8.5)
    axes.set_yticks([])
    _bare(axes)


def _gains_of_label(axes: Axes, part: pd.DataFrame, starts: list[str], scale: Normalize) -> None:
    ks = sorted(part["k"].unique())
    heat(axes, part.rename(columns={"start": "row"}), "gain", starts, ks, scale, colormaps["PuOr_r"], fontsize=7.5)
    sizes = [corpora_in(start) for start in starts]
    for row in np.flatnonzero(np.diff(sizes)) + 1:
        axes.axhline(float(row), color=INK, linewidth=0.9)
    axes.set_yticks([])
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _slopes(axes: Axes, part: pd.DataFrame) -> None:
    for _, row in part.iterrows():
        kind = RISES if row["macro_f1"] > row["base"] else FALLS
        axes.plot([0, 1], [row["base"], row["macro_f1"]], **kind, linewidth=1.3, markersize=4.5)
    means = part[["base", "macro_f1"]].mean()
    axes.plot([0, 1], [means["base"], means["macro_f1"]], **MEAN, markersize=7, zorder=4)
    if len(part) > MAX_NAMED_SPEAKERS:
        return
    low, high = axes.get_ylim()
    ordered = part.sort_values("macro_f1")
    heights = spread(((ordered["macro_f1"] - low) / (high - low)).to_numpy())
    for height, (_, row) in zip(heights, ordered.iterrows(), strict=True):
        axes.annotate(
            str(row["speaker"]),
            (1, row["macro_f1"]),
            xytext=(1.12, low + height * (high - low)),
            textcoords="data",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 4},
        )
