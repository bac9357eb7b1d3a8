"""The report's numbers and its first sentence in words."""

import math

import pandas as pd

from voicefit.report.confusion import shots_each
from voicefit.report.statistics import (
    ALPHA,
    NO_START,
    cell_means,
    finished,
    gain_cells,
    largest_start,
    pair,
    smallest_p,
)


def score(value: float, decimals: int = 2) -> str:
    """Return a score: "0.57"; a dash if there is none."""
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def signed(value: float, decimals: int = 2) -> str:
    """Return a difference with its sign: "+0.08", "−0.02", "0.00"; a dash if there is none."""
    if math.isnan(value):
        return "–"
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else "−") + text


def interval(low: float, high: float, decimals: int = 2, sign: bool = False) -> str:
    """Return an interval in brackets: "[0.54, 0.60]"; empty if there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    form = signed if sign else score
    return f"[{form(low, decimals)}, {form(high, decimals)}]"


def p_value(p: float) -> str:
    """Return a p value: "p = 0.016", "p < 0.001"; empty if there is none."""
    if math.isnan(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def bare_p(p: float) -> str:
    """Return a p value for a column of them: "0.016", "< 0.001"; a dash if there is none."""
    return p_value(p).removeprefix("p ").removeprefix("= ") or "–"


def seconds(value: float) -> str:
    """Format seconds with two decimals, or with two digits below 1: "3.15", "0.0020"."""
    return f"{value:.2f}" if value >= 1 else f"{value:#.2g}"


def count(number: int, noun: str) -> str:
    """Return a number and its noun: "1 clip", "1,200 trials"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def guesses(trials: pd.DataFrame) -> tuple[str, str]:
    """Return what answers by chance alone, in words and in one: of two answers a coin does."""
    return ("even guesses", "guess") if (trials["task"] == "multiclass").all() else ("a fair coin", "coin")


def headline(trials: pd.DataFrame) -> str:
    """Summarise the trials in plain words: the sentences of `findings` as one text."""
    return " ".join(findings(trials))


def findings(trials: pd.DataFrame) -> list[str]:
    """Summarise the trials in plain words, the main sentence first.

    They describe the target with the most trials, the starting point with the most corpora, the fewest support clips
    and, for these, the method with the highest macro F1.

    Args:
        trials: one row a trial of one task, encoder and protocol; failures are left out.

    Returns:
        The finding, what it rests on, and the floor; empty if no trial is finished.
    """
    scored = finished(trials)
    if scored.empty:
        return []
    scored = scored[scored["target"] == scored["target"].value_counts().idxmax()]
    start = largest_start(scored)
    paired = pair(scored)
    paired = paired[paired["start"] == start]
    if paired.empty:
        return _alone(scored[scored["start"] == start], start)
    cell = _best_method_at_smallest_k(gain_cells(paired, ["target", "method", "k"]))
    cell_trials = scored[(scored["method"] == cell["method"]) & (scored["k"] == cell["k"])]
    return [*_comparison(cell, start, _clips(cell, scored)), *_floor_sentences(cell, cell_trials)]


def _best_method_at_smallest_k(cells: pd.DataFrame) -> pd.Series:
    return cells[cells["k"] == cells["k"].min()].sort_values("macro_f1").iloc[-1]


def _clips(cell: pd.Series, trials: pd.DataFrame) -> str:
    """Return "7 clips", or "7 clips (1 of each label)" where several labels are told at once."""
    clips, each = count(cell["k"], "clip"), shots_each(trials).get(int(cell["k"]))
    return f"{clips} ({each} of each label)" if each else clips


def _comparison(cell: pd.Series, start: str, clips: str) -> list[str]:
    """Return the finding, and what it rests on."""
    before, after, gain = score(cell["base"]), score(cell["macro_f1"]), signed(cell["gain"])
    begin = f"With {clips}, pre-finetuning on {_corpora(start)}"
    setting = _setting(cell, "trial", " each")
    if math.isnan(cell["low"]):
        words = f"{setting}, a paired gain of {gain}. One speaker is no sample of speakers, so there is no interval."
        return [f"{begin} takes macro F1 from {before} to {after}.", words]
    ends = [interval(cell[f"{name}_low"], cell[f"{name}_high"]) for name in ("base", "macro_f1")]
    rests_on = f"{setting}: from {before} {ends[0]} to {after} {ends[1]}, a paired gain of {gain} "
    rests_on += interval(cell["low"], cell["high"], sign=True)
    test = f"{p_value(cell['p'])} by the sign-flip test over speakers{_reach_of_test(int(cell['speakers']))}"
    if cell["low"] <= 0 <= cell["high"]:
        finding = f"{begin} makes no reliable difference: macro F1 is {before} without it and {after} with it."
        return [finding, f"{rests_on}, an interval that includes zero ({test})."]
    verb = "lifts" if cell["gain"] > 0 else "lowers"
    return [f"{begin} {verb} macro F1 from {before} to {after}.", f"{rests_on} ({test})."]


def _setting(cell: pd.Series, noun: str, each: str = "") -> str:
    """Return "Method head on nemo, 7 speakers, 410 trials each"."""
    speakers, trials = count(cell["speakers"], "speaker"), count(cell["trials"], noun)
    return f"Method {cell['method']} on {cell['target']}, {speakers}, {trials}{each}"


def _corpora(start: str) -> str:
    return start.replace("+", " + ")


def _reach_of_test(speakers: int) -> str:
    """Say so where even the clearest gain over so few speakers is not significant."""
    least = smallest_p(speakers)
    return f", which over {speakers} cannot fall below {least:.3g}" if least > ALPHA else ""


def _alone(trials: pd.DataFrame, start: str) -> list[str]:
    cells = cell_means(trials, ["target", "method", "k"])
    cell = _best_method_at_smallest_k(cells)
    cell_trials = trials[(trials["method"] == cell["method"]) & (trials["k"] == cell["k"])]
    begin = "without pre-finetuning" if start == NO_START else f"after pre-finetuning on {_corpora(start)}"
    finding = f"With {_clips(cell, trials)}, macro F1 {begin} is {score(cell['macro_f1'])}."
    ends = interval(cell["low"], cell["high"])
    rests_on = _setting(cell, "trial") + (f": {ends}" if ends else "")
    alone = f"{rests_on}. There is no paired trial to compare it with."
    sides = cell.rename({"low": "macro_f1_low", "high": "macro_f1_high"})
    return [finding, alone, *_floor_sentences(sides, cell_trials)]


def _floor_sentences(cell: pd.Series, trials: pd.DataFrame) -> list[str]:
    """Return the floors of the trials, and a warning if the score is not above them."""
    means = trials.groupby("speaker")[["floor_never", "floor_coin"]].mean().mean()
    floors = {
        f"always giving the commonest answer scores {score(means['floor_never'])}": means["floor_never"],
        f"{guesses(trials)[0]} {score(means['floor_coin'])}": means["floor_coin"],
    }
    floors = {words: floor for words, floor in floors.items() if not math.isnan(floor)}
    if not floors:
        return []
    sentences = [f"The floor: {', '.join(floors)}."]
    low = cell["macro_f1"] if math.isnan(cell["macro_f1_low"]) else cell["macro_f1_low"]
    if low <= max(floors.values()):
        sentences.append("The score is not reliably above that floor.")
    return sentences
