"""Figures that tell starting points apart: by number of corpora, by subset and emotion, speaker by speaker."""

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from voicefit.report.figures import CURVE_HEIGHT, SMALLEST_REACH, heat_cells, method_panels, number_lines
from voicefit.report.statistics import ordered_starts
from voicefit.report.style import COLOURS, FAINT, INK, k_axis, legend_below, panels, spread_labels, start_label
from voicefit.report.text import signed

MAP_COLUMNS = 3
NAMED_SPEAKERS = 12


def corpora_gains(cells: pd.DataFrame) -> Figure:
    """Paired gain by k, a line per number of pre-finetuning corpora, a panel per method and target.

    Args:
        cells: `gain_cells` by corpora, method, target and k.

    Returns:
        The figure.
    """
    counts = sorted(cells["corpora"].unique())
    figure, grid = method_panels(cells, CURVE_HEIGHT)
    looks = number_lines(len(counts))
    for axes, _, part, _ in grid:
        axes.axhline(0, color=INK, linewidth=1)
        for count, look in zip(counts, looks, strict=True):
            line = part[part["corpora"] == count]
            axes.plot(line["k"], line["gain"], **look)
        k_axis(axes, sorted(cells["k"].unique()))
        axes.set_xlabel("support clips k")
        axes.yaxis.set_major_formatter(lambda y, _: signed(y))
    low, high = figure.axes[0].get_ylim()
    figure.axes[0].set_ylim(min(low, -SMALLEST_REACH), max(high, SMALLEST_REACH))
    figure.axes[0].set_ylabel("gain in macro F1")
    labels = [f"{count} corpus" if count == 1 else f"{count} corpora" for count in counts]
    legend_below(figure, [Line2D([], [], **look) for look in looks], labels)
    return figure


def subset_map(cells: pd.DataFrame) -> Figure:
    """Paired gain of every starting point at every k, a heat map per emotion.

    Args:
        cells: `gain_cells` by start, label and k of one method and target.

    Returns:
        The figure; colours diverge around zero, and a number is bold where its interval leaves out zero.
    """
    starts, ks, labels = ordered_starts(cells["start"]), sorted(cells["k"].unique()), sorted(cells["label"].unique())
    columns = min(MAP_COLUMNS, len(labels))
    width = 2.2 + columns * (0.7 + 0.42 * len(ks))
    figure, grid = panels(width, 0.9 + 0.26 * len(starts), -(-len(labels) // columns), columns, sharey=True)
    reach = max(0.05, float(cells["gain"].abs().max()))
    shades = ScalarMappable(Normalize(-reach, reach), colormaps["PuOr_r"])
    named = cells.assign(start=cells["start"].map(start_label))
    for axes, label in zip(grid.flat, labels, strict=False):
        part = named[named["label"] == label]
        heat_cells(axes, part, "gain", ("start", [start_label(start) for start in starts]), ks, shades)
        axes.set_title(label)
        axes.tick_params(labelsize=8.5)
    for spare in grid.flat[len(labels) :]:
        spare.set_visible(False)
    return figure


def speaker_slopes(speakers: pd.DataFrame) -> Figure:
    """Each speaker's macro F1 without and with pre-finetuning, a line a speaker, a panel per k.

    Args:
        speakers: `speaker`, `k`, `base` and `macro_f1` of one method, target and starting point.

    Returns:
        The figure: solid lines rise, dashed ones fall; up to 12 speakers are named.
    """
    ks = sorted(speakers["k"].unique())
    figure, grid = panels(1.2 + 3.4 * len(ks), 4.2, 1, len(ks), sharey=True)
    for axes, k in zip(grid[0], ks, strict=True):
        _slopes(axes, speakers[speakers["k"] == k].sort_values("macro_f1"))
        axes.set_title(f"k = {k}")
    low, high = grid[0][0].get_ylim()
    for axes, k in zip(grid[0], ks, strict=True):
        part = speakers[speakers["k"] == k].sort_values("macro_f1")
        if len(part) <= NAMED_SPEAKERS:
            _name_ends(axes, part, low, high)
    grid[0][0].set_ylabel("macro F1")
    found = set(speakers["macro_f1"] > speakers["base"])
    words = {
        rises: word for rises, word in ((True, "the speaker gains"), (False, "the speaker loses")) if rises in found
    }
    legend_below(figure, [Line2D([], [], **_look(rises)) for rises in words], list(words.values()))
    return figure


def _look(rises: bool) -> dict:
    return {
        "color": COLOURS[0] if rises else COLOURS[1],
        "linestyle": "-" if rises else (0, (4, 2)),
        "marker": "o",
        "markersize": 4,
        "linewidth": 1.5,
    }


def _slopes(axes: Axes, part: pd.DataFrame) -> None:
    for base, reached in part[["base", "macro_f1"]].itertuples(index=False):
        axes.plot([0, 1], [base, reached], **_look(reached > base))
    axes.plot([0, 1], part[["base", "macro_f1"]].mean(), color=INK, linewidth=3, zorder=4)
    axes.set_xticks([0, 1], ["without", "with\npre-finetuning"])
    axes.set_xlim(-0.15, 1.35 if len(part) <= NAMED_SPEAKERS else 1.15)
    axes.grid(visible=False, axis="x")


def _name_ends(axes: Axes, part: pd.DataFrame, low: float, high: float) -> None:
    heights = spread_labels(((part["macro_f1"] - low) / (high - low)).to_numpy())
    for height, (speaker, reached) in zip(heights, part[["speaker", "macro_f1"]].itertuples(index=False), strict=True):
        axes.annotate(
            speaker,
            (1, reached),
            xytext=(0.99, height),
            textcoords=("axes fraction", "axes fraction"),
            ha="right",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkB": 3, "relpos": (0, 0.5)},
        )
