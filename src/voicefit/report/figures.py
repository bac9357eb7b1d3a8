"""The report's figures. Each function takes the table it draws and returns a matplotlib figure."""

import math
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from voicefit.errors import VoicefitError
from voicefit.report.statistics import cell_means, finished
from voicefit.report.style import (
    COLOURS,
    FAINT,
    INK,
    K_LABEL,
    LINES,
    MARKERS,
    MUTED,
    LineStyle,
    drawing,
    graded_lines,
    k_axis,
    legend_below,
    panels,
    save,
    start_styles,
)
from voicefit.report.text import signed

MAX_COLUMNS = 4
"""A row has at most so many panels."""

MIN_GAIN_REACH = 0.03
"""The axis of gains extends at least so far to both sides of zero: small gains then look small."""

CURVE_HEIGHT_IN = 3.7
"""A row of panels with curves is so many inches high."""

WIDTHS_IN = {1: 7.0, 2: 9.0, 3: 11.0, 4: 12.5}
"""The number of columns → the width of the figure in inches."""

COIN = "coin"
"""The name of the floor of even guesses between two answers."""

Panel = tuple[Axes, str, pd.DataFrame, bool]
"""The axes of a panel, its target and its cells, and whether it ends a row."""


def k_curve_figure(trials: pd.DataFrame, path: Path) -> Path:
    """Draw macro F1 against the number of support clips, 8 × 4.5 inches on white, for a README.

    Args:
        trials: one row a trial; failures and multiclass trials are left out.
        path: the file to write, `.svg` or `.png`; an existing file is replaced.

    Returns:
        `path`.

    Raises:
        VoicefitError: no finished one-vs-rest trial, or another suffix.
    """
    if path.suffix not in (".svg", ".png"):
        raise VoicefitError(f"{path}: a figure's name must end in .svg or .png")
    scored = finished(trials)
    scored = scored[scored["task"] == "one-vs-rest"]
    if scored.empty:
        raise VoicefitError("there is no finished one-vs-rest trial to draw")
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    with drawing():
        cells = cell_means(scored, ["start", "method", "target", "k"])
        figure = k_curves(cells, floors(scored), start_styles(scored))
        rows = round(figure.get_figheight() / CURVE_HEIGHT_IN)
        figure.set_size_inches(8, 4.5 * rows)
        save(figure, partial)
    return partial.replace(path)


def floors(trials: pd.DataFrame) -> pd.DataFrame:
    """Return for each target the macro F1 of answers that need no model.

    Args:
        trials: the table of `statistics.finished`.

    Returns:
        Indexed by target: `floor_never` and `floor_coin`, macro F1 averaged like the scores.
    """
    by_speaker = trials.groupby(["target", "speaker"])[["floor_never", "floor_coin"]].mean()
    return by_speaker.groupby("target").mean()


def k_curves(cells: pd.DataFrame, floor: pd.DataFrame, styles: dict[str, LineStyle], guess: str = COIN) -> Figure:
    """Draw macro F1 by k, a line per starting point, a panel per method and target.

    Args:
        cells: `cell_means` by start, method, target and k.
        floor: the table of `floors`.
        styles: start to style.
        guess: the name of the floor of even guesses.
    """
    figure, grid = method_panels(cells, CURVE_HEIGHT_IN)
    for axes, target, part, last in grid:
        _curves(axes, part, "macro_f1", styles)
        k_axis(axes, sorted(cells["k"].unique()))
        axes.set_xlabel(K_LABEL)
        _floor_lines(axes, floor[floor.index == target], guess, labelled=last)
    label_rows(figure, "macro F1")
    _start_legend(figure, styles)
    return figure


def gain_curves(cells: pd.DataFrame, styles: dict[str, LineStyle]) -> Figure:
    """Draw paired gain over no pre-finetuning by k, a line per starting point, a panel per method and target.

    Args:
        cells: `gain_cells` by start, method, target and k.
        styles: start to style.
    """
    figure, grid = method_panels(cells, CURVE_HEIGHT_IN)
    for axes, _, part, _ in grid:
        axes.axhline(0, color=INK, linewidth=1)
        _curves(axes, part, "gain", styles)
        k_axis(axes, sorted(cells["k"].unique()))
        axes.set_xlabel(K_LABEL)
    gain_ticks(figure)
    label_rows(figure, "gain in macro F1")
    _start_legend(figure, {start: style for start, style in styles.items() if start in set(cells["start"])})
    return figure


def gain_ticks(figure: Figure) -> None:
    """Set signed ticks for panels of gains that share their y axis, once all of them are drawn."""
    for axes in figure.axes:
        axes.yaxis.set_major_formatter(_signed_tick)
        # These steps differ in two decimals.
        axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    low, high = figure.axes[0].get_ylim()
    figure.axes[0].set_ylim(min(low, -MIN_GAIN_REACH), max(high, MIN_GAIN_REACH))


def _signed_tick(value: float, _: float) -> str:
    return signed(value)


def label_map(cells: pd.DataFrame, value: str) -> Figure:
    """Draw one number per label and k as a heat map, a panel per method and target.

    Args:
        cells: one row per target, method, label and k of one starting point, with `value`, `low` and `high`.
        value: "gain" (diverging colours around zero; bold if the interval leaves out zero) or a score.
    """
    labels, ks = sorted(cells["label"].unique()), sorted(cells["k"].unique())
    figure, grid = method_panels(cells, 1.1 + 0.34 * len(labels))
    if value == "gain":
        scale, colours = gain_scale(cells[value]), colormaps["PuOr_r"]
    else:
        scale, colours = Normalize(float(cells[value].min()), float(cells[value].max())), colormaps["Blues"]
    for axes, _, part, _ in grid:
        heat(axes, part.rename(columns={"label": "row"}), value, labels, ks, scale, colours)
        axes.set_yticks([i + 0.5 for i in range(len(labels))], labels)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    return figure


def gain_scale(gains: pd.Series) -> Normalize:
    """Return colours symmetric around a gain of zero; small gains then look small."""
    reach = max(0.05, float(gains.abs().max()))
    return Normalize(-reach, reach)


def heat(
    axes: Axes,
    part: pd.DataFrame,
    value: str,
    rows: list[str],
    ks: list[Any],
    scale: Normalize,
    colours: Colormap,
    fontsize: float = 8.5,
) -> None:
    """Draw a heat map with its numbers: bold where the interval of a gain leaves out zero.

    Args:
        axes: where to draw; a cell is one unit wide and high, the first row on top.
        part: `row`, `k`, `value`, and of a gain `low` and `high`.
        value: the column to draw; numbers of "gain" carry their sign.
        rows: the values of `row`, from top to bottom.
        ks: the values of `k`, from left to right.
        scale: from values to 0 … 1.
        colours: from 0 … 1 to colours.
        fontsize: the size of the numbers in points.
    """
    table = part.pivot(index="row", columns="k", values=value).reindex(index=rows, columns=ks)
    # An image would be the only part that is not vector graphics.
    mesh = np.ma.masked_invalid(table.to_numpy())
    axes.pcolormesh(mesh, cmap=colours, norm=scale, edgecolors="white", linewidth=0.6)
    axes.set_ylim(len(rows), 0)
    axes.set_xticks([i + 0.5 for i in range(len(ks))], [str(k) for k in ks])
    axes.set_xlabel(K_LABEL)
    for cell in part.to_dict("records"):
        shade = np.dot(colours(scale(cell[value]))[:3], (0.299, 0.587, 0.114))
        certain = value == "gain" and (cell["low"] > 0 or cell["high"] < 0)
        axes.text(
            ks.index(cell["k"]) + 0.5,
            rows.index(cell["row"]) + 0.5,
            (signed(cell[value]) if value == "gain" else f"{cell[value]:.2f}").replace("0.", "."),
            ha="center",
            va="center",
            fontsize=fontsize,
            weight="bold" if certain else "normal",
            color="white" if shade < 0.45 else INK,
        )


def corpora_curves(cells: pd.DataFrame, floor: pd.DataFrame, guess: str = COIN) -> Figure:
    """Draw macro F1 by the number of pre-finetuning corpora, a line per k, a panel per method and target.

    Args:
        cells: `cell_means` by corpora, method, target and k.
        floor: the table of `floors`.
        guess: the name of the floor of even guesses.
    """
    ks, counts = sorted(cells["k"].unique()), sorted(cells["corpora"].unique())
    figure, grid = method_panels(cells, 3.6)
    lines = dict(zip(ks, graded_lines(len(ks)), strict=True))
    for axes, target, part, last in grid:
        for k, line in lines.items():
            points = part[part["k"] == k]
            axes.plot(points["corpora"], points["macro_f1"], **line)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("pre-finetuning corpora")
        _floor_lines(axes, floor[floor.index == target], guess, labelled=last)
    legend_below(figure, [Line2D([], [], **line) for line in lines.values()], [f"k = {k}" for k in ks])
    label_rows(figure, "macro F1")
    return figure


def learning_curves(history: pd.DataFrame, styles: dict[str, LineStyle], largest: str) -> Figure:
    """Draw pre-finetuning by epoch: training loss, mean validation score, and that score per corpus for one start.

    Args:
        history: the rows of every start's history with a column `start`.
        styles: start to style; a start without one is drawn thin and grey.
        largest: the start whose corpora are shown one by one in the last panel.
    """
    figure, grid = panels(11.0, 3.7, 1, 3)
    unnamed = LineStyle("", FAINT, "", "-", named=False)
    for axes, column, title in (
        (grid[0, 0], "train_loss", "training loss"),
        (grid[0, 1], "validation_mean_macro_f1", "validation macro F1, mean over corpora"),
    ):
        for start, part in history.groupby("start"):
            style = styles.get(str(start), unnamed)
            axes.plot(part["epoch"], part[column], **_line(style))
        axes.set_title(title)
    _corpus_lines(grid[0, 2], history[history["start"] == largest])
    for axes in grid.flat:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    shown = set(history["start"])
    _start_legend(figure, {start: style for start, style in styles.items() if start in shown})
    return figure


def method_panels(
    cells: pd.DataFrame, row_height: float, most: int = MAX_COLUMNS
) -> tuple[Figure, Iterator[tuple[Axes, str, pd.DataFrame, bool]]]:
    """Make a figure with a panel per target and method; for each its axes, target, cells, and if it ends a row.

    Args:
        cells: with `target` and `method`.
        row_height: inches.
        most: a row has at most so many panels.
    """
    targets, methods = sorted(cells["target"].unique()), sorted(cells["method"].unique())
    columns = min(most, len(methods))
    rows_each = math.ceil(len(methods) / columns)
    figure, axes = panels(WIDTHS_IN[columns], row_height, rows_each * len(targets), columns, sharex=False, sharey=True)
    for spare in axes.flat:
        spare.set_visible(False)

    def fill() -> Iterator[Panel]:
        for t, target in enumerate(targets):
            for m, method in enumerate(methods):
                panel = axes[t * rows_each + m // columns, m % columns]
                part = cells[(cells["target"] == target) & (cells["method"] == method)]
                panel.set_visible(True)
                panel.set_title(method if len(targets) == 1 else f"{method}, {target}")
                panel.tick_params(labelleft=m % columns == 0)
                yield panel, target, part, m % columns == columns - 1

    return figure, fill()


def _corpus_lines(axes: Axes, history: pd.DataFrame) -> None:
    """Draw the validation macro F1 of each corpus of one start."""
    prefix = "validation_macro_f1/"
    scored = history.dropna(axis="columns", how="all")
    corpora = [column.removeprefix(prefix) for column in scored.columns if column.startswith(prefix)]
    for corpus, colour, marker, line in zip(corpora, cycle(COLOURS), cycle(MARKERS), cycle(LINES), strict=False):
        style = LineStyle(corpus, colour, marker, line, named=True)
        axes.plot(history["epoch"], history[prefix + corpus], label=corpus, **_line(style))
    axes.set_title("the same, corpus by corpus")
    if corpora:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8.5)


def _line(style: LineStyle) -> dict[str, Any]:
    """Return the arguments of `Axes.plot` for one starting point."""
    if not style.named:
        return {"color": style.colour, "linewidth": 0.9, "zorder": 1.5}
    return {
        "color": style.colour,
        "marker": style.marker,
        "linestyle": style.line,
        "linewidth": 1.9,
        "markersize": 5.5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        "zorder": 3,
    }


def _curves(axes: Axes, part: pd.DataFrame, value: str, styles: dict[str, LineStyle]) -> None:
    for start, style in styles.items():
        cells = part[part["start"] == start]
        if cells.empty:
            continue
        if style.named:
            axes.fill_between(cells["k"], cells["low"], cells["high"], color=style.colour, alpha=0.11, linewidth=0)
        axes.plot(cells["k"], cells[value], **_line(style))


def _floor_lines(axes: Axes, floor: pd.DataFrame, guess: str, labelled: bool) -> None:
    """Draw both floors as lines, with their names to the right of the panel."""
    heights = {"never": float(floor["floor_never"].iloc[0]), guess: float(floor["floor_coin"].iloc[0])}
    floors = {words: y for words, y in heights.items() if not np.isnan(y)}
    for i, (words, y) in enumerate(sorted(floors.items(), key=lambda item: item[1])):
        axes.axhline(y, color=MUTED, linewidth=1, linestyle=(0, (4, 2)) if i else (0, (1, 1.5)), zorder=1)
        if labelled:
            axes.annotate(
                f"{words} {y:.3f}",
                xy=(1, y),
                xycoords=("axes fraction", "data"),
                xytext=(4, 1 if i else -1),
                textcoords="offset points",
                va="bottom" if i else "top",
                fontsize=7.5,
                color=MUTED,
            )


def label_rows(figure: Figure, label: str) -> None:
    """Write the name of the y axis beside the first panel of each row."""
    for axes in figure.axes:
        position = axes.get_subplotspec()
        if position and position.is_first_col():
            axes.set_ylabel(label)


def _start_legend(figure: Figure, styles: dict[str, LineStyle]) -> None:
    named = [style for style in styles.values() if style.named]
    handles = [Line2D([], [], **_line(style)) for style in named]
    labels = [style.label for style in named]
    unnamed = len(styles) - len(named)
    if unnamed:
        handles.append(Line2D([], [], color=FAINT, linewidth=0.9))
        labels.append(f"the other {unnamed} starting points")
    legend_below(figure, handles, labels)
