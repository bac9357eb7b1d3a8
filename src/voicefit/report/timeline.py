"""The figure of a timeline."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter

from voicefit.errors import VoicefitError
from voicefit.prediction.timeline import Timeline, clock, enough_digits
from voicefit.report.style import COLOURS, MUTED, drawing, legend_below, panels, save
from voicefit.system.files import require_writable

_WAVEFORM_POINTS = 1500
"""The waveform is drawn with at most so many points."""


def require_figure(path: Path) -> None:
    """Refuse a path that :func:`draw_only` could not write, before any work is done.

    Raises:
        VoicefitError: another suffix than `.svg` and `.png`; or as :func:`voicefit.system.files.require_writable`.
    """
    if path.suffix not in (".svg", ".png"):
        raise VoicefitError(f"{path}: a figure is written as .svg or .png")
    require_writable(path)


def draw_only(results: Sequence[Timeline], path: Path) -> Path:
    """Draw a single timeline: the waveform above, the probabilities stacked below.

    Args:
        results: a list of one timeline.
        path: the figure to write, see :func:`require_figure`; missing folders are made.

    Raises:
        VoicefitError: more than one recording, or one that could not be used; or as :func:`require_figure`.
    """
    require_figure(path)
    if len(results) != 1:
        raise VoicefitError(f"{path}: a figure shows one recording, and {len(results)} were given")
    if results[0].error:
        raise VoicefitError(f"{results[0].file}: {results[0].error}")
    return _draw(results[0], path)


def _draw(result: Timeline, path: Path) -> Path:
    seconds = float(result.ends[-1])
    with drawing():
        figure, grid = panels(9, 1.9, 2, 1, sharex=True, height_ratios=[1, 2.6])
        sound, probabilities = grid[:, 0]
        columns = np.array_split(result.outline, min(_WAVEFORM_POINTS, len(result.outline)))
        times = np.linspace(0, seconds, len(columns))
        sound.fill_between(times, [part.min() for part in columns], [part.max() for part in columns], color=MUTED)
        sound.set(yticks=[], title=Path(result.file).name)
        sound.spines["left"].set_visible(False)
        middles = (result.starts + result.ends) / 2
        edges, rows = [0.0, *middles, seconds], result.probabilities[[0, *range(len(middles)), -1]]
        colours = [COLOURS[index % len(COLOURS)] for index in range(len(result.labels))]
        areas = probabilities.stackplot(edges, rows.T, colors=colours, linewidth=0.6, edgecolor="white")
        for index, area in enumerate(areas):
            area.set_alpha(0.9 if index < len(COLOURS) else 0.45)
        probabilities.set(ylabel="probability", ylim=(0, 1), xlim=(0, seconds), xlabel="time")
        probabilities.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: clock(value, enough_digits(map(float, probabilities.get_xticks()))))
        )
        legend_below(figure, areas, result.labels)
        path.parent.mkdir(parents=True, exist_ok=True)
        return save(figure, path)
