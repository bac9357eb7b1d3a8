"""An evaluation as a figure, and as a page in the style of the report."""

import math
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from voicefit.errors import VoicefitError
from voicefit.prediction.scoring import Evaluation, Interval
from voicefit.report.figures import heat
from voicefit.report.page import HERE, environment, source_hash
from voicefit.report.style import COLOURS, FAINT, INK, drawing, panels, save
from voicefit.report.tables import Cell, Table
from voicefit.report.text import count, interval, score
from voicefit.report.writer import inline_svg
from voicefit.system.files import require_writable, write_text

_SUFFIXES = (".png", ".svg", ".pdf")

_SQUARE_IN, _LETTER_IN = 0.46, 0.08
"""The side of a square of the matrix, and the width of a letter of a label, in inches."""

_MOST_NUMBERS = 26
"""With more labels than this, the numbers in the squares would be too small to read."""

_SURE_CLIPS = 20
"""A bin of confidence with fewer clips is drawn hollow: their accuracy is too uncertain."""


def require_figure(path: Path) -> None:
    """Refuse a path that :func:`draw_evaluation` could not write, before any work is done.

    Raises:
        VoicefitError: another suffix than `.png`, `.svg` and `.pdf`; or as in `files.require_writable`.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise VoicefitError(f"{path}: a figure is written as {', '.join(_SUFFIXES)}")
    require_writable(path)


def require_page(path: Path) -> None:
    """Refuse a path that :func:`write_page` could not write, before any work is done.

    Raises:
        VoicefitError: another suffix than `.html`; or as in `files.require_writable`.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise VoicefitError(f"{path}: a page is written as .html")
    require_writable(path)


def draw_evaluation(found: Evaluation, path: Path) -> None:
    """Write the confusion matrix, F1 by label and the reliability diagram as one figure; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix.lower()}")
    try:
        with drawing():
            save(_figure(found), partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_page(found: Evaluation, path: Path, model: str, clips: str) -> None:
    """Write one HTML file that needs no other.

    Args:
        found: the scores.
        path: the file.
        model: what the model is called.
        clips: what the clips are called.
    """
    script = f"\n{(HERE / 'page.js').read_text(encoding='utf-8')}"
    page = environment().get_template("evaluation.html")
    text = page.render(
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=source_hash(script),
        found=found,
        model=model,
        source=clips,
        voicefit=version("voicefit"),
        headline=_headline(found),
        svg=Markup(_svg(found)),
        tables=[_label_table(found), _confusion_table(found), _wrong_table(found)],
    )
    write_text(path, text)


def _svg(found: Evaluation) -> str:
    text = StringIO()
    with drawing():
        figure = _figure(found)
        figure.savefig(text, format="svg", metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"]))
    return inline_svg(text.getvalue(), "evaluation")


def _headline(found: Evaluation) -> str:
    low, high = found.intervals["macro_f1"]
    return (
        f"Macro F1 {found.macro_f1:.3f} on {count(found.clips, 'clip')} (95 % interval {low:.3f} to {high:.3f}); "
        f"always the most common label: {found.most_common:.3f}."
    )


def _figure(found: Evaluation) -> Figure:
    labels = list(found.labels)
    names = _LETTER_IN * max(map(len, labels)) + 0.5
    side = _SQUARE_IN * len(labels)
    widths = [side + names, max(2.4, 0.8 * side) + names, max(2.6, 0.8 * side)]
    height = max(2.8, side) + names + 0.7
    figure, grid = panels(sum(widths) + 1, height, 1, 3, width_ratios=widths)
    _draw_confusion(grid[0, 0], found, labels)
    _draw_f1(grid[0, 1], found, labels)
    _draw_reliability(grid[0, 2], found)
    return figure


def _draw_confusion(axes: Axes, found: Evaluation, labels: list[str]) -> None:
    rows = [
        {"row": label, "k": other, "share": number / total}
        for label in labels
        for total in [sum(found.confusion.get(label, {}).values())]
        for other, number in found.confusion.get(label, {}).items()
        if number
    ]
    of_clips = [label for label in labels if label in found.confusion]
    size = 8.5 if len(labels) <= _MOST_NUMBERS else 0.1
    heat(axes, pd.DataFrame(rows), "share", of_clips, labels, Normalize(0, 1), colormaps["Blues"], size)
    axes.set_xticks([index + 0.5 for index in range(len(labels))], labels, rotation=90)
    axes.set_yticks([index + 0.5 for index in range(len(of_clips))], of_clips)
    axes.set(xlabel="answer", ylabel="label of the clips", title="share of a label's clips")
    axes.set_aspect("equal")
    axes.set_facecolor(colormaps["Blues"](0.0))
    _bare(axes)


def _draw_f1(axes: Axes, found: Evaluation, labels: list[str]) -> None:
    scores = [found.labels[label] for label in labels]
    for place, one in enumerate(scores):
        axes.plot(one.intervals["f1"], (place, place), color=COLOURS[0], linewidth=2.2, alpha=0.45)
    axes.plot([one.f1 for one in scores], range(len(labels)), "o", color=COLOURS[0], markersize=6)
    axes.axvline(found.macro_f1, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    axes.set_yticks(range(len(labels)), [f"{label} ({one.clips})" for label, one in zip(labels, scores, strict=True)])
    axes.set(
        xlim=(-0.02, 1.02), ylim=(len(labels) - 0.5, -0.5), xlabel="F1, 95 % interval", title="F1 by label (clips)"
    )


def _draw_reliability(axes: Axes, found: Evaluation) -> None:
    bins = found.calibration.bins
    axes.plot((0, 1), (0, 1), color=FAINT, linewidth=1)
    axes.plot([one["confidence"] for one in bins], [one["accuracy"] for one in bins], color=COLOURS[1], linewidth=1.2)
    for one in bins:
        face = COLOURS[1] if one["clips"] >= _SURE_CLIPS else "white"
        axes.plot(one["confidence"], one["accuracy"], "o", color=COLOURS[1], markerfacecolor=face, markersize=6)
    lowest = min([0.97, *(one["confidence"] for one in bins), *(one["accuracy"] for one in bins)])
    axes.set(xlim=(lowest - 0.03, 1.02), ylim=(lowest - 0.03, 1.02), xlabel="confidence", ylabel="accuracy")
    axes.set_title(f"calibration error {found.calibration.error:.3f}")


def _bare(axes: Axes) -> None:
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _cell(value: float, bounds: Interval) -> Cell:
    return Cell(score(value, 3), (interval(*bounds, 3),))


def _label_table(found: Evaluation) -> Table:
    rows = [
        [
            Cell(name),
            Cell(str(one.clips)),
            *(_cell(getattr(one, key), one.intervals[key]) for key in ("f1", "precision", "recall")),
        ]
        for name, one in found.labels.items()
    ]
    names = {"macro_f1": "macro F1", "uar": "UAR", "accuracy": "accuracy"}
    overall = " ".join(f"{word} {getattr(found, key):.3f} {interval(*found.intervals[key], 3)};" for key, word in
                       names.items())  # fmt: skip
    note = f"All labels: {overall.rstrip(';')}. In brackets, 95 % intervals over resamples of the clips."
    return Table("Scores by label", note, ["label", "clips", "F1", "precision", "recall"], 1, rows)


def _confusion_table(found: Evaluation) -> Table:
    answers = list(found.labels)
    rows = [
        [Cell(label), *(Cell(str(row[name]), strong=name == label) for name in answers)]
        for label, row in found.confusion.items()
    ]
    return Table("Confusion", "A row per label of the clips, a column per answer: clips.", ["label", *answers], 1, rows)


def _wrong_table(found: Evaluation) -> Table:
    wrong = [one for one in found.answers if not one.left_out and one.prediction.label != one.label]
    wrong.sort(key=lambda one: -one.prediction.probabilities.get(one.prediction.label, 0.0))
    rows = [
        [
            Cell(one.clip),
            Cell(one.label),
            Cell(one.prediction.label),
            Cell(score(one.prediction.probabilities.get(one.prediction.label, math.nan), 3)),
            Cell(score(one.prediction.probabilities.get(one.label, math.nan), 3)),
        ]
        for one in wrong
    ]
    header = ["clip", "label", "answer", "its probability", "that of the label"]
    note = "The surest first: listen to these, or look at their labels." if rows else "None."
    return Table(f"{count(len(wrong), 'wrong answer')} of {found.clips}", note, header, 3, rows)
