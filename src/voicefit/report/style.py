"""The look of figures: one colour, marker and line per starting point, and the way a figure is saved."""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from voicefit.report.statistics import NO_START, best_start, corpora_in, largest_start, ordered_starts

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The colours of lines: Okabe & Ito (2008), "Color Universal Design", without the yellow, too faint on white."""

INK = "#1b1b1b"
"""The colour of text and axes."""

MUTED = "#666666"
"""The colour of notes and floors."""

FAINT = "#b9bec4"
"""The colour of lines in the background."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""The markers of lines, in the order of `COLOURS`."""

LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (5, 1.2, 1.2, 1.2)),
    (0, (8, 2)),
    (0, (3, 1)),
)
"""The dashes of lines, in the order of `COLOURS`."""

NAMED_STARTS = 7
"""With more starting points than this, a figure names three of them and draws the others in grey."""

K_LABEL = "support clips k"
"""The label of an axis of k."""

LEGEND_WIDTH = 46
"""A line of the legend has at most so many characters."""

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    # Labels come from users' files: a dollar sign in them is not mathematics.
    "text.parse_math": False,
    "axes.edgecolor": "#8a8f96",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8eaed",
    "grid.linewidth": 0.8,
    "xtick.color": "#8a8f96",
    "xtick.labelcolor": INK,
    "ytick.color": "#8a8f96",
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "figure.facecolor": "white",
    # The page shows the words in its own font, which may be wider.
    "figure.constrained_layout.w_pad": 0.1,
    "svg.fonttype": "none",
    # Text stays text, which journals ask for.
    "pdf.fonttype": 42,
}
"""The settings of matplotlib for every figure."""


@dataclass(frozen=True)
class LineStyle:
    """The style of one starting point.

    Attributes:
        label: its name in the legend.
        colour: its colour, as "#rrggbb".
        marker: a matplotlib marker.
        line: a matplotlib line style.
        named: whether it has a legend entry and a band; the others are thin and grey.
    """

    label: str
    colour: str
    marker: str
    line: Any
    named: bool


def start_label(start: str) -> str:
    """Return a starting point in words: "no pre-finetuning", or its corpora."""
    return "no pre-finetuning" if start == NO_START else start.replace("+", " + ")


def start_styles(trials: pd.DataFrame) -> dict[str, LineStyle]:
    """Give every starting point its colour, marker and line.

    Args:
        trials: the table of `statistics.finished`, not empty.

    Returns:
        Start to style, in the order of the legend: "none" first, then by number of corpora.
    """
    starts = ordered_starts(trials["start"])
    roles = {start: "" for start in starts}
    if len(starts) > NAMED_STARTS:
        roles = {NO_START: ""} if NO_START in starts else {}
        roles |= _roles(trials, starts)
    colours, styles = iter(range(len(COLOURS) * 2)), {}
    for start in starts:
        if start not in roles:
            styles[start] = LineStyle("", FAINT, "", "-", named=False)
        elif start == NO_START:
            styles[start] = LineStyle(_wrap(roles[start] + start_label(start)), INK, "X", (0, (2, 1.4)), True)
        else:
            i = next(colours) % len(COLOURS)
            label = _wrap(roles[start] + start_label(start))
            styles[start] = LineStyle(label, COLOURS[i], MARKERS[i], LINES[i], named=True)
    return styles


def _roles(trials: pd.DataFrame, starts: list[str]) -> dict[str, str]:
    largest, best = largest_start(trials), best_start(trials)
    everything = {corpus for start in starts if start != NO_START for corpus in start.split("+")}
    size = "all corpora" if corpora_in(largest) == len(everything) else "largest set"
    if largest == best:
        return {largest: f"{size}, and the best: "}
    return {largest: f"{size}: ", best: "the best: "}


def _wrap(label: str) -> str:
    return "\n".join(textwrap.wrap(label, LEGEND_WIDTH)) or label


@contextmanager
def drawing() -> Iterator[None]:
    """Set the look of every figure made and saved in the block, and restore the caller's settings."""
    with matplotlib.rc_context(RC):
        yield


def panels(width: float, row_height: float, rows: int, columns: int, **grid: Any) -> tuple[Figure, np.ndarray]:
    """Make a figure of rows × columns axes that needs no display and that `pyplot` does not hold.

    Args:
        width: inches.
        row_height: inches per row of panels.
        rows: number of rows.
        columns: number of columns.
        **grid: passed to `Figure.subplots`, for instance `sharey`.

    Returns:
        The figure and its axes, (rows, columns).
    """
    figure = Figure(figsize=(width, row_height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def graded_lines(number: int) -> list[dict[str, Any]]:
    """Return the arguments of `Axes.plot` for ordered lines, from light to dark, each with its own marker.

    Args:
        number: the number of lines.

    Returns:
        Keyword arguments, line by line.
    """
    # The first fifth of the map is too light to read on white.
    shades = colormaps["viridis_r"](np.linspace(0.18, 1, number))
    return [
        {"color": shade, "marker": marker, "markersize": 4.5, "linewidth": 1.6}
        for shade, marker in zip(shades, cycle("osDv^Pp*hX"), strict=False)
    ]


def k_axis(axes: Axes, ks: list[int]) -> None:
    """Set a base-2 logarithmic x axis with a tick at each k and nowhere else."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks], fontsize=8.5)
    axes.minorticks_off()
    axes.grid(visible=False, axis="x")
    # A lone k has no extent of its own.
    axes.set_xlim(min(ks) / 1.25, max(ks) * 1.25)


def name_shots(figure: Figure, shots: Mapping[int, str]) -> None:
    """Write under each k on an axis how many clips it is of each label.

    Args:
        figure: its axes of k have the label `K_LABEL`.
        shots: the table of `confusion.shots_each`; a k that it lacks stays as it is.
    """
    for axes in figure.axes if shots else ():
        if axes.get_xlabel() == K_LABEL:
            labels = axes.get_xticklabels()
            ks = [label.get_text() for label in labels]
            words = [f"{k}\n({shots[int(k)]})" if int(k) in shots else k for k in ks]
            axes.set_xticks(axes.get_xticks(), words, fontsize=labels[0].get_fontsize())
            axes.set_xlabel(f"{K_LABEL} (of each label)")


def legend_below(figure: Figure, handles: list[Any], labels: list[str]) -> None:
    """Put one legend under all panels, where it cannot cover data."""
    if not handles:
        return
    longest = max(len(line) for label in labels for line in label.split("\n"))
    # About 0.085 inch a character at this size, and half an inch for the line sample.
    columns = max(1, min(len(labels), int(figure.get_figwidth() / (0.5 + 0.085 * longest))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of its suffix, the same bytes for the same data.

    Args:
        figure: the figure.
        path: ends in `.svg`, `.pdf` or `.png`.

    Returns:
        `path`.
    """
    _settle(figure)
    if path.suffix == ".png":
        figure.savefig(path, dpi=200, metadata={"Software": None})
        return path
    names = {".svg": ["Creator", "Date", "Format", "Type"], ".pdf": ["Creator", "Producer", "CreationDate"]}
    with matplotlib.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata=dict.fromkeys(names[path.suffix]))
    return path


def _settle(figure: Figure) -> None:
    """Fix the positions of panels for all formats, rounded: the solver's last digits differ from run to run."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.execute(figure)
        figure.set_layout_engine("none")
        for axes in figure.axes:
            left, bottom, width, height = (round(float(edge), 6) for edge in axes.get_position().bounds)
            axes.set_position((left, bottom, width, height))
