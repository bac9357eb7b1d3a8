"""Figures of which label is taken for which."""

import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from voicefit.report.figures import MAX_COLUMNS, WIDTHS_IN, heat, label_rows, method_panels

SQUARE_IN = 0.4
"""A square of a matrix is at most so many inches wide."""

LETTER_IN = 0.08
"""A letter of a label's name takes about so many inches."""

SQUARES_PER_ROW = 27
"""A row of matrices has no more squares side by side than are readable, unless two matrices have."""

SHOWN = 0.005
"""A smaller share would be printed as .00; its square stays empty."""


def confusion_matrices(cells: pd.DataFrame, shots: dict[int, str]) -> Figure:
    """Draw a matrix per method: a row per true label, a column per answer, and in each square its share of the row.

    Args:
        cells: the rows of `confusion.confusion_cells` of one start and target, with one k for each method.
        shots: the table of `confusion.shots_each`.
    """
    labels = sorted({*cells["truth"], *cells["answer"]})  # a label without a test clip is an answer alone
    names = LETTER_IN * max(map(len, labels))
    most = min(MAX_COLUMNS, max(2, SQUARES_PER_ROW // len(labels)))
    columns = min(most, cells["method"].nunique())
    square = min(SQUARE_IN, ((WIDTHS_IN[columns] - names - 0.6) / columns - 0.25) / len(labels))
    figure, grid = method_panels(cells, names + 1.1 + square * len(labels), most)
    fontsize = min(8.5, 26 * square)
    for axes, _, part, _ in grid:
        method, k = str(part["method"].iloc[0]), int(part["k"].iloc[0])
        shown = part[part["share"] >= SHOWN].assign(row=part["truth"], k=part["answer"])
        heat(axes, shown, "share", labels, labels, Normalize(0, 1), colormaps["Blues"], fontsize)
        each = f" ({shots[k]} each)" if k in shots else ""
        axes.set_title(f"{method}\nk = {k}{each}")
        axes.set_xticks([i + 0.5 for i in range(len(labels))], labels, rotation=90, fontsize=8.5)
        axes.set_yticks([i + 0.5 for i in range(len(labels))], labels, fontsize=8.5)
        axes.set_xlabel("answer")
        axes.set_aspect("equal")
        axes.set_facecolor(colormaps["Blues"](0.0))
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    label_rows(figure, "true label")
    return figure
