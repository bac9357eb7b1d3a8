"""What a section shows of trials that tell several labels at once, beside macro F1."""

import pandas as pd

from voicefit.report import figures, tables
from voicefit.report.confusion import confusion_cells, label_scores
from voicefit.report.confusion_figures import confusion_matrices
from voicefit.report.statistics import cell_means, gain_cells, pair
from voicefit.report.style import start_label
from voicefit.report.text import count
from voicefit.report.writer import Section, Writer

MAX_MATRICES = 8
"""A figure shows the matrices of at most so many methods: those with the highest macro F1."""


def balanced_accuracies(section: Section, trials: pd.DataFrame, writer: Writer) -> None:
    """Add balanced accuracy by k, if trials recorded it."""
    scored = trials[trials["balanced_accuracy"].notna()]
    if scored.empty:
        return
    cells = cell_means(scored, ["start", "method", "target", "k"], "balanced_accuracy")
    writer.data("balanced-accuracy", cells)
    for target, part in cells.groupby("target"):
        title = f"Balanced accuracy (UAR) by k, {target}"
        section.tables.append(tables.score_table(part, title, "balanced_accuracy"))


def confusions(section: Section, trials: pd.DataFrame, largest: str, writer: Writer) -> None:
    """Add F1 and recall label by label, and which is taken for which, of the largest start, if it was recorded."""
    scores = label_scores(trials)
    if scores.empty:
        return
    by = ["start", "target", "method", "label", "k"]
    recall = cell_means(scores, by, "recall").rename(columns={"low": "recall_low", "high": "recall_high"})
    cells = cell_means(scores, by, "f1").merge(
        recall.drop(columns=["speakers", "trials"]),
        on=by,
        how="left",  # a label that was only answered has F1 0 and no recall
        validate="1:1",
    )
    writer.data("labels", cells)
    shown = cells[cells["start"] == largest]
    if shown.empty:
        return
    caption = f"Starting from {start_label(largest)}: F1 of each label, where all are told at once."
    figure = figures.label_map(shown, "f1")
    section.figures.append(writer.figure("labels", figure, "F1 by label", caption))
    for target, part in shown.groupby("target"):
        title = f"F1 and recall by label, {target}: {start_label(largest)}"
        section.tables.append(tables.f1_recall_table(part, title))
    _gains(section, pair(scores.rename(columns={"f1": "macro_f1"})), largest, writer)
    _matrices(section, trials, largest, writer)


def _gains(section: Section, paired: pd.DataFrame, largest: str, writer: Writer) -> None:
    """Add the gain in F1 of each label from the largest start, if it has pairs."""
    if largest not in set(paired["start"]):
        return
    cells = gain_cells(paired, ["start", "target", "method", "label", "k"])
    writer.data("label-gains", cells.rename(columns=lambda name: name.replace("macro_f1", "f1")))
    for target, part in cells[cells["start"] == largest].groupby("target"):
        title = f"Gain in F1 by label, {target}: {start_label(largest)}"
        section.tables.append(tables.label_table(part, title, gains=True, quantity="F1"))


def _matrices(section: Section, trials: pd.DataFrame, largest: str, writer: Writer) -> None:
    """Add a figure for each target: the matrix of each method at its largest k."""
    cells = confusion_cells(trials)
    means = trials.groupby(["start", "target", "method", "k"])["macro_f1"].mean()
    for i, (target, part) in enumerate(cells[cells["start"] == largest].groupby("target"), start=1):
        last = part.groupby("method")["k"].max()
        best = sorted(last.index, key=lambda method: -means[largest, target, method, last[method]])[:MAX_MATRICES]
        shown = part[part["method"].isin(best) & (part["k"] == part["method"].map(last))]
        name = "confusion" if i == 1 else f"confusion-{i}"
        writer.data(name, cells[cells["target"] == target])
        figure = confusion_matrices(shown, writer.shots)
        title = f"Which label is taken for which, {target}"
        section.figures.append(writer.figure(name, figure, title, _caption(largest, shown, len(last))))


def _caption(start: str, shown: pd.DataFrame, methods: int) -> str:
    kept = shown["method"].nunique()
    of_methods = "each method" if kept == methods else f"the {count(kept, 'method')} with the highest macro F1, each"
    return (
        f"Starting from {start_label(start)}: {of_methods} with the most clips that it was given. A row holds the "
        "clips of one label and sums to 1: on the diagonal is its recall, beside it what it was taken for. Speakers "
        "weigh the same. Empty squares are below 0.005."
    )
