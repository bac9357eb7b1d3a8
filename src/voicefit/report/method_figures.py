"""Figures that compare methods."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from voicefit.report.style import COLOURS, FAINT, INK, MARKERS, panels

WIDTH_IN = 11.0
"""The figure is so many inches wide."""

HEIGHT_IN = 5.4
"""The figure is so many inches high."""

MIN_LABEL_GAP = 0.042
"""Two labels are at least so far apart, as a share of the panel's height."""

MIN_REACH = 0.04
"""The axis of macro F1 covers at least so much: small differences then look small."""

MANY_SHOTS = 16
"""Methods are compared at no more shots than this, unless all trials have more."""


def compared_shots(ks: list[int]) -> list[int]:
    """Return the k's that `seconds_scatter` shows: the smallest, and the largest up to 16 if there is another."""
    return sorted({min(ks), max([k for k in ks if k <= MANY_SHOTS], default=min(ks))})


def seconds_scatter(cells: pd.DataFrame) -> Figure:
    """Draw macro F1 against seconds a trial takes, a point per method, a panel per k.

    Args:
        cells: `method`, `k`, `macro_f1` and `seconds` (both means or medians over trials of one start), with at most
            two k's.
    """
    ks = sorted(cells["k"].unique())
    names = sorted(cells["method"].unique())
    figure, axes = panels(WIDTH_IN, HEIGHT_IN, 1, len(ks))
    for panel, k in zip(axes[0], ks, strict=True):
        _points(panel, cells[cells["k"] == k].sort_values("macro_f1"), names)
        panel.set_title(f"k = {k}")
        panel.set_xlabel("seconds per trial (median)")
    axes[0][0].set_ylabel("macro F1")
    return figure


def _points(axes: Axes, part: pd.DataFrame, names: list[str]) -> None:
    for method, score, seconds in part[["method", "macro_f1", "seconds"]].itertuples(index=False):
        index = names.index(method)
        # Points are filled first, then empty: a colour that is used again is still distinct.
        face = COLOURS[index % len(COLOURS)] if index < len(COLOURS) else "white"
        edge = COLOURS[index % len(COLOURS)]
        axes.scatter(seconds, score, s=46, marker=MARKERS[index % 6], color=face, edgecolors=edge, zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = part["macro_f1"].min(), part["macro_f1"].max()
    margin = max(0.06 * (high - low), (MIN_REACH - high + low) / 2)
    axes.set_ylim(low - margin, high + margin)
    span = part["seconds"].max() / part["seconds"].min()
    axes.set_xlim(part["seconds"].min() / 1.6, part["seconds"].max() * max(span, 10) ** 0.9)
    heights = spread(((part["macro_f1"] - low + margin) / (high - low + 2 * margin)).to_numpy())
    for height, (method, score, seconds) in zip(
        heights, part[["method", "macro_f1", "seconds"]].itertuples(index=False), strict=True
    ):
        axes.annotate(
            f"{method}  {score:.3f}",
            (seconds, score),
            xytext=(0.99, height),
            textcoords="axes fraction",
            ha="right",
            va="center",
            fontsize=8.5,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.7, "shrinkB": 4, "relpos": (0, 0.5)},
        )


def spread(heights: np.ndarray) -> np.ndarray:
    """Return rising heights, each at least `MIN_LABEL_GAP` above the last, from 0.02 to 0.98 of the panel.

    They are pushed up from below, then down from the top. Too many for `MIN_LABEL_GAP` are spread evenly.
    """
    gap = min(MIN_LABEL_GAP, 0.96 / max(1, len(heights) - 1))
    spaced = np.clip(heights, 0.02, 0.98)
    for i in range(1, len(spaced)):
        spaced[i] = max(spaced[i], spaced[i - 1] + gap)
    spaced[-1] = min(spaced[-1], 0.98)
    for i in range(len(spaced) - 2, -1, -1):
        spaced[i] = min(spaced[i], spaced[i + 1] - gap)
    return spaced
