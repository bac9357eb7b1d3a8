"""Predictions for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from voicefit.api import Speaker, Suggestion
    from voicefit.prediction.model import Prediction
    from voicefit.prediction.scoring import Evaluation
    from voicefit.prediction.timeline import Timeline

_MOST_COLUMNS = 5
"""Labels that have a column each beside the file; of more, the likeliest are named in one."""

_LIKELIEST = 3

_TEXT_COLUMNS = ("file", "label", "speaker", "clips of", "likeliest", "label next", "looks like", "taken for")
"""Columns that are read, not compared."""


def prediction_table(found: Sequence["Prediction"], labels: Sequence[str]) -> Table:
    """A row per file: its likeliest label and every probability, or what is wrong with it.

    Of more than five labels the three likeliest are shown, so that a row fits in a line.
    """
    if len(labels) > _MOST_COLUMNS:
        return _likeliest_table(found)
    rejects = any(item.unlike is not None for item in found)
    table = _table("file", "label", *labels, *(["unlike"] if rejects else []))
    for item in found:
        # Text, not strings: names and labels may hold square brackets, which rich would take for markup.
        row = [Text(item.error, style="red")] if item.error else [Text(item.label), *_cells(item.probabilities)]
        table.add_row(Text(item.file), *row, *([_unlike(item)] if rejects and not item.error else []))
    return table


def _likeliest_table(found: Sequence["Prediction"]) -> Table:
    table = _table("file", "likeliest")
    for item in found:
        best = sorted(item.probabilities.items(), key=lambda pair: -pair[1])[:_LIKELIEST]
        words = ", ".join(f"{label} {chance:.3f}" for label, chance in best)
        if item.unlike is not None and item.unlike > 1:
            words = f"{item.label} ({_unlike(item)} × the limit)"
        table.add_row(Text(item.file), Text(item.error, style="red") if item.error else Text(words))
    return table


def _unlike(item: "Prediction") -> str:
    return "" if item.unlike is None else f"{item.unlike:.2f}"


def suggestion_table(found: Sequence["Suggestion"]) -> Table:
    """A row per recording to label: the file, and what it looks like so far."""
    table = _table("label next", "looks like", "probability")
    for item in found:
        table.add_row(Text(item.file), Text(item.label), f"{item.probability:.3f}")
    return table


def speaker_table(found: Sequence["Speaker"]) -> Table:
    """A row per speaker: the clips of each label, how sure the model is, and how much was left out."""
    table = _table("speaker", "clips of", "right, each left out", "by chance", "macro F1", "left out")
    for item in found:
        if item.adapted is None:
            table.add_row(Text(item.name), Text("no model", style="red"), "", "", "", "")
            continue
        sure = item.adapted.leave_one_out
        numbers = (
            (f"{sure.right} of {len(sure.targets)}", f"{sure.chance:.3g}", f"{sure.macro_f1:.2f}")
            if sure
            else ("not measured", "", "")
        )
        clips = ", ".join(f"{count} {label}" for label, count in item.adapted.shots.items())
        table.add_row(Text(item.name), Text(clips), *numbers, str(len(item.adapted.left_out)))
    return table


def evaluation_table(found: "Evaluation") -> Table:
    """A row per label: its scores, F1 with its interval, and what its clips were taken for."""
    table = _table("label", "clips", "F1", "95 %", "precision", "recall", "taken for")
    for name, scores in found.labels.items():
        answers = sorted(found.confusion.get(name, {}).items(), key=lambda pair: -pair[1])
        taken = ", ".join(f"{count} {label}" for label, count in answers if count and label != name)
        low, high = scores.intervals["f1"]
        numbers = (f"{scores.f1:.3f}", f"{low:.2f}–{high:.2f}", f"{scores.precision:.3f}", f"{scores.recall:.3f}")
        table.add_row(Text(name), str(scores.clips), *numbers, Text(taken))
    return table


def calibration_table(found: "Evaluation") -> Table:
    """A row per bin of confidence that has clips: how sure the model is, and how often it is right."""
    table = _table("sure", "clips", "confidence", "right")
    for one in found.calibration.bins:
        bounds = f"{one['from']:.1f}–{one['to']:.1f}"
        table.add_row(bounds, f"{one['clips']:.0f}", f"{one['confidence']:.3f}", f"{one['accuracy']:.3f}")
    return table


def timeline_tables(found: Sequence["Timeline"]) -> list[Table]:
    """A table per recording, a row per window; or what is wrong with it."""
    return [_timeline_table(item) for item in found]


def _timeline_table(found: "Timeline") -> Table:
    from voicefit.prediction.timeline import clock, enough_digits

    table = _table("from", "to", "label", *found.labels)
    table.title, table.title_justify = Text(found.file), "left"
    if found.error:
        table.add_row("", "", Text(found.error, style="red"))
    digits = enough_digits([*found.starts, *found.ends])
    for start, end, label, chances in found.windows():
        table.add_row(clock(start, digits), clock(end, digits), Text(label or "(silence)"), *_cells(chances))
    return table


def _cells(probabilities: dict[str, float]) -> list[str]:
    return [f"{chance:.3f}" for chance in probabilities.values()]


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(Text(column), justify="left" if column in _TEXT_COLUMNS else "right", overflow="fold")
    return table
