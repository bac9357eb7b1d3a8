"""One section of the report per encoder, protocol and task: trials in, figures and tables out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from voicefit.report import calibration, figures, inference, multiclass, tables
from voicefit.report.claims import claims
from voicefit.report.confusion import shots_each
from voicefit.report.effects import effects
from voicefit.report.gain_figures import corpora_gains, speaker_slopes, subset_map
from voicefit.report.method_figures import compared_shots, seconds_scatter
from voicefit.report.pdf import SavePdf
from voicefit.report.statistics import cell_means, corpora_in, gain_cells, largest_start, pair
from voicefit.report.style import LineStyle, start_label, start_styles
from voicefit.report.text import count, findings, guesses
from voicefit.report.writer import Drawn, Section, Writer

SETTING = ["task", "encoder", "protocol"]
"""The columns that make a section."""

CELL = ["start", "method", "target", "k"]
"""The columns that make a cell of a section."""


def sections(trials: pd.DataFrame, history: pd.DataFrame, out: Path, save_pdf: SavePdf) -> list[Section]:
    """Draw and tabulate every setting, one-vs-rest before multiclass.

    Args:
        trials: the table of `statistics.finished`, not empty.
        history: the rows of every start's history with columns `encoder` and `start`; may be empty.
        out: the report's folder.
        save_pdf: what writes a figure as PDF.
    """
    settings: list[tuple[Any, pd.DataFrame]] = [(names, part) for names, part in trials.groupby(SETTING)]
    settings.sort(key=lambda item: (item[0][0] != "one-vs-rest", item[0]))
    shown = []
    for i, (names, part) in enumerate(settings, start=1):
        writer = Writer(out, f"{i}-" if len(settings) > 1 else "", shots_each(part), save_pdf)
        shown.append(_section(names, part, writer))
        first = names[1] not in {earlier[1] for earlier, _ in settings[: i - 1]}
        epochs = history[history["encoder"].isin(["", names[1]])] if len(history) else history
        if first and len(epochs):
            shown[-1].figures.append(_learning(epochs, part, writer))
    return shown


def _section(names: Sequence[Any], trials: pd.DataFrame, writer: Writer) -> Section:
    task, encoder, protocol = names
    by_target = [trials[trials["target"] == target] for target in sorted(trials["target"].unique())]
    section = Section(f"{task}, {encoder}, {protocol} protocol", [findings(part) for part in by_target])
    styles, floor, largest = start_styles(trials), figures.floors(trials), largest_start(trials)
    paired, chosen = pair(trials), ""
    if not paired.empty:
        _claims(section, paired, writer)
    _methods(section, trials, largest, writer)
    _scores(section, trials, styles, floor, writer)
    if not paired.empty:
        gains = gain_cells(paired, CELL)
        section.glance = tables.glance_table(gains, largest) if largest in set(gains["start"]) else None
        _gains(section, gains, styles, writer)
        start, chosen = _largest_paired(gains)
        _gains_by_corpora(section, paired, writer)
        _gains_by_speaker(section, paired[(paired["start"] == start) & (paired["method"] == chosen)], writer)
    if (trials["label"] != "").any():
        _labels(section, trials, paired, largest, chosen, writer)
    multiclass.confusions(section, trials, largest, writer)
    _corpora(section, trials, floor, writer)
    _effects(section, trials, writer)
    _calibration(section, trials[trials["start"] == largest], largest, writer)
    _seconds(section, trials, largest, writer)
    section.glance = section.glance and tables.with_shots(section.glance, writer.shots)
    section.tables = [tables.with_shots(table, writer.shots) for table in section.tables]
    return section


def _scores(
    section: Section, trials: pd.DataFrame, styles: dict[str, LineStyle], floor: pd.DataFrame, writer: Writer
) -> None:
    cells = cell_means(trials, CELL)
    writer.data("macro-f1", cells)
    writer.data("floors", floor.reset_index())
    coin, guess = guesses(trials)
    caption = (
        "Macro F1 on the speaker's remaining clips after adaptation with k support clips. Lines: means over "
        f"{_speakers(trials)}; bands: 95 % intervals. Dashed and dotted: what the commonest "
        f"answer (“never”) and {coin} score without a model.{_dealt(writer.shots)}"
    )
    figure = figures.k_curves(cells, floor, styles, guess)
    section.figures.append(writer.figure("macro-f1", figure, "Macro F1 by number of support clips", caption))
    for target, part in cells.groupby("target"):
        section.tables.append(tables.score_table(part, f"Macro F1 by k, {target}"))
    if (trials["task"] == "multiclass").all():
        multiclass.balanced_accuracies(section, trials, writer)


def _gains(section: Section, gains: pd.DataFrame, styles: dict[str, LineStyle], writer: Writer) -> None:
    writer.data("gain", gains)
    caption = (
        "Each trial minus the trial with the same speaker, clips and method and no pre-finetuning, averaged "
        "over speakers; bands: 95 % intervals. A band that crosses the zero line shows no reliable difference."
    )
    figure = figures.gain_curves(gains, styles)
    section.figures.append(writer.figure("gain", figure, "Gain over no pre-finetuning", caption))
    for target, part in gains.groupby("target"):
        section.tables.append(tables.gain_table(part, f"Gain over no pre-finetuning, {target}"))


def _methods(section: Section, trials: pd.DataFrame, largest: str, writer: Writer) -> None:
    """Add the methods against the best of them, from the largest start."""
    tested = []
    for target, part in trials[trials["start"] == largest].groupby("target"):
        best = inference.best_method(part)
        paired = pair(part, "method", best)
        if not paired.empty:  # methods of grids that share no k have nothing to compare
            cells = gain_cells(paired, ["method", "k"])
            tested.append(cells.assign(target=target, reference=best))
            section.tables.append(inference.methods_table(cells, best, str(target), largest))
    if tested:
        writer.data("methods", pd.concat(tested))


def _claims(section: Section, paired: pd.DataFrame, writer: Writer) -> None:
    verdicts = claims(paired)
    writer.data("claims", verdicts)
    section.tables.append(inference.claims_table(verdicts))


def _effects(section: Section, trials: pd.DataFrame, writer: Writer) -> None:
    """Add the mixed model, if enough varies to fit it."""
    fitted = effects(trials)
    if not fitted.empty:
        writer.data("effects", fitted)
    section.tables += [inference.effects_table(part, str(target)) for target, part in fitted.groupby("target")]


def _gains_by_corpora(section: Section, paired: pd.DataFrame, writer: Writer) -> None:
    """Add gains by number of corpora; one number alone would repeat the figure before."""
    if paired["corpora"].nunique() < 2:
        return
    cells = gain_cells(paired, ["corpora", "method", "target", "k"])
    writer.data("gain-by-corpora", cells)
    caption = (
        "Mean over the starting points with that many corpora; bands: 95 % intervals. Starting points "
        "differ in which corpora they hold, so a step mixes “more” with “other”."
    )
    title = "Gain over no pre-finetuning, by number of corpora"
    section.figures.append(writer.figure("gain-by-corpora", corpora_gains(cells), title, caption))


def _gains_by_speaker(section: Section, paired: pd.DataFrame, writer: Writer) -> None:
    """Add the pairs of one start and method speaker by speaker, at the smallest and a middle k."""
    start, method = paired["start"].iloc[0], paired["method"].iloc[0]
    by = ["start", "method", "target", "speaker", "k"]
    shown = paired.groupby(by, as_index=False)[["base", "macro_f1", "gain"]].mean()
    writer.data("speakers", shown)
    ks = sorted(shown["k"].unique())
    shown = shown[shown["k"].isin({ks[0], ks[len(ks) // 2]})]
    caption = (
        f"Method {method}, of those compared the one with the highest macro F1 at the fewest clips. Both ends of a "
        "line are means over the same clips."
    )
    section.figures.append(writer.figure("speakers", speaker_slopes(shown, start), "Speaker by speaker", caption))


def _gains_by_subset(section: Section, cells: pd.DataFrame, method: str, writer: Writer) -> None:
    """Add every starting point label by label; one start alone would repeat the figure before."""
    shown = cells[cells["method"] == method]
    if shown["start"].nunique() < 2:
        return
    caption = (
        f"Gain in macro F1 over no pre-finetuning, method {method}; dots: the corpora of a row. Bold: the 95 % "
        "interval leaves out zero."
    )
    for i, (target, part) in enumerate(shown.groupby("target"), start=1):
        name = "subsets" if i == 1 else f"subsets-{i}"
        writer.data(name, part)
        title = f"Gain by set of corpora and label, {target}"
        section.figures.append(writer.figure(name, subset_map(part), title, caption))


def _largest_paired(gains: pd.DataFrame) -> tuple[str, str]:
    """Return the paired start with the most corpora, and the method that scores highest from it at the smallest k."""
    means = gains.groupby("start")["macro_f1"].mean()
    start = max(means.index, key=lambda name: (corpora_in(name), means[name]))
    rows = gains[gains["start"] == start]
    # The same rule as for the headline: both then name the same method if two score the same.
    return str(start), str(rows[rows["k"] == rows["k"].min()].sort_values("macro_f1")["method"].iloc[-1])


def _labels(
    section: Section, trials: pd.DataFrame, paired: pd.DataFrame, largest: str, chosen: str, writer: Writer
) -> None:
    """Add the largest start label by label, as gains if it has pairs, then every start of one method."""
    by = ["start", "target", "method", "label", "k"]
    gains = largest in set(paired["start"])
    cells = gain_cells(paired, by) if gains else cell_means(trials, by)
    writer.data("labels", cells)
    shown = cells[cells["start"] == largest]
    quantity = "Gain" if gains else "Macro F1"
    bold = " Bold: the 95 % interval leaves out zero." if gains else ""
    caption = f"{quantity} of {start_label(largest)}, one label against the rest.{bold}"
    figure = figures.label_map(shown, "gain" if gains else "macro_f1")
    section.figures.append(writer.figure("labels", figure, f"{quantity} by label", caption))
    for target, part in shown.groupby("target"):
        title = f"By label, {target}: {start_label(largest)}"
        section.tables.append(tables.label_table(part, title, gains))
    if gains:
        _gains_by_subset(section, cells, chosen, writer)


def _corpora(section: Section, trials: pd.DataFrame, floor: pd.DataFrame, writer: Writer) -> None:
    """Add scores by number of corpora; two numbers alone would repeat the first figure."""
    if trials["corpora"].nunique() < 3:
        return
    cells = cell_means(trials, ["corpora", "method", "target", "k"])
    writer.data("corpora", cells)
    caption = (
        "Mean over the starting points with that many corpora; 0 is no pre-finetuning. Starting points "
        "differ in which corpora they hold, so a step mixes “more” with “other”."
    )
    figure = figures.corpora_curves(cells, floor, guesses(trials)[1])
    section.figures.append(writer.figure("corpora", figure, "Macro F1 by number of corpora", caption))
    for target, part in cells.groupby("target"):
        section.tables.append(tables.corpora_table(part, f"By number of corpora, {target}"))


def _calibration(section: Section, trials: pd.DataFrame, largest: str, writer: Writer) -> None:
    """Add confidence and accuracy, if trials recorded them."""
    cells = calibration.reliability_cells(trials)
    if cells.empty:
        return
    writer.data("calibration", cells)
    caption = (
        f"Of {start_label(largest)}: the share of right answers by the model's confidence. On the diagonal "
        "confidence equals accuracy; below it the model is overconfident. Speakers pooled; bins of at least 20 clips."
    )
    bins = calibration.pooled_bins(cells)
    if not bins.empty:
        figure = calibration.reliability_curves(bins)
        section.figures.append(writer.figure("calibration", figure, "Confidence and accuracy", caption))
    for target, part in calibration.calibration_errors(cells).groupby("target"):
        section.tables.append(calibration.calibration_table(part, f"Calibration error, {target}"))


def _seconds(section: Section, trials: pd.DataFrame, largest: str, writer: Writer) -> None:
    trials = trials[trials["seconds"] > 0]  # the axis of seconds is a logarithm
    if trials.empty:
        return
    seconds = tables.seconds_cells(trials)
    writer.data("seconds", seconds)
    section.tables.append(tables.seconds_table(seconds))
    if trials["method"].nunique() < 2:
        return
    shown = compared_shots(trials["k"].unique().tolist())
    part = trials[trials["k"].isin(shown) & (trials["start"] == largest)]
    tasks = ["target", "speaker", "label", "draw", "k"]
    common = part.groupby(tasks)["method"].transform("nunique") == part.groupby("k")["method"].transform("nunique")
    tasks_shown = count(int(common.sum() // part["method"].nunique()), "task")
    cells = part[common].groupby(["method", "k"]).agg(macro_f1=("macro_f1", "mean"), seconds=("seconds", "median"))
    if cells.empty:
        return
    writer.data("macro-f1-by-seconds", cells.reset_index())
    caption = (
        f"Starting from {start_label(largest)}: what a method scores and what a trial costs, adaptation and testing. "
        f"Only trials on clips that every method here was given: {tasks_shown}."
    )
    figure = seconds_scatter(cells.reset_index())
    section.figures.append(writer.figure("macro-f1-by-seconds", figure, "Macro F1 against seconds per trial", caption))


def _learning(history: pd.DataFrame, trials: pd.DataFrame, writer: Writer) -> Drawn:
    largest = largest_start(trials)
    if largest not in set(history["start"]):
        largest = str(history["start"].iloc[-1])
    writer.data("learning", history)
    caption = (
        "Validation uses speakers that are not in training. Means over different sets of corpora do not "
        f"compare with each other. Right: each corpus of {start_label(largest)}."
    )
    figure = figures.learning_curves(history, start_styles(trials), largest)
    return writer.figure("learning", figure, "Pre-finetuning, epoch by epoch", caption)


def _dealt(shots: dict[int, str]) -> str:
    """Say how k relates to clips of each label, if it does."""
    if not shots:
        return ""
    return " The k clips are dealt over the speaker's labels in turn: k is the clips of each, times the labels."


def _speakers(trials: pd.DataFrame) -> str:
    per_target = trials.groupby("target")["speaker"].nunique()
    return " and ".join(f"{count(int(n), 'speaker')} of {target}" for target, n in per_target.items())
