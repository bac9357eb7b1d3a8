"""The picture of a timeline."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter

from voicefit.audio import SAMPLE_RATE
from voicefit.errors import VoicefitError
from voicefit.prediction.timeline import Timeline, clock
from voicefit.report.style import COLOURS, MUTED, drawing, legend_below, panels, save
from voicefit.system.files import require_writable

_COLUMNS = 1500
"""Points of the drawn waveform."""


def require_figure(path: Path) -> None:
    """Refuse what :func:`draw_only` could not write, before there is anything to draw.

    Raises:
        VoicefitError: another suffix than `.svg` and `.png`; or as :func:`voicefit.system.files.require_writable`.
    """
    if path.suffix not in (".svg", ".png"):
        raise VoicefitError(f"{path}: a figure is written as .svg or .png")
    require_writable(path)


def draw_only(found: Sequence[Timeline], path: Path) -> Path:
    """Draw the one timeline of ``found``: the waveform above, the probabilities stacked below.

    Args:
        path: as :func:`require_figure` wants it; folders that it lacks are made.

    Raises:
        VoicefitError: more than one recording, or one that could not be used; or as :func:`require_figure`.
    """
    require_figure(path)
    if len(found) != 1:
        raise VoicefitError(f"{path}: a figure shows one recording, and {len(found)} were given")
    if found[0].error:
        raise VoicefitError(f"{found[0].file}: {found[0].error}")
    return _draw(found[0], path)


def _draw(found: Timeline, path: Path) -> Path:
    seconds = len(found.waveform) / SAMPLE_RATE
    with drawing():
        figure, grid = panels(9, 1.9, 2, 1, sharex=True, height_ratios=[1, 2.6])
        sound, chances = grid[:, 0]
        columns = np.array_split(found.waveform, min(_COLUMNS, len(found.waveform)))
        times = np.linspace(0, seconds, len(columns))
        sound.fill_between(times, [part.min() for part in columns], [part.max() for part in columns], color=MUTED)
        sound.set(yticks=[], title=Path(found.file).name)
        sound.spines["left"].set_visible(False)
        middles = (found.starts + found.ends) / 2
        edges, rows = [0.0, *middles, seconds], found.probabilities[[0, *range(len(middles)), -1]]
        colours = [COLOURS[index % len(COLOURS)] for index in range(len(found.labels))]
        areas = chances.stackplot(edges, rows.T, colors=colours, linewidth=0.6, edgecolor="white")
        for index, area in enumerate(areas):
            area.set_alpha(0.9 if index < len(COLOURS) else 0.45)
        chances.set(ylabel="probability", ylim=(0, 1), xlim=(0, seconds), xlabel="time")
        chances.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
        legend_below(figure, areas, found.labels)
        path.parent.mkdir(parents=True, exist_ok=True)
        return save(figure, path)
