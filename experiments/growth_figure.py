"""The figure of how accuracy grows with the corpora that teach.

It reads what ``python -m experiments.corpora_growth --json research/corpora_growth.json`` wrote, and writes
``docs/corpora-growth.svg``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

TARGETS = {
    "nemo": ("nEMO, Polish, 6 emotions", "#009E73", "o"),
    "emodb": ("EmoDB, German, 7", "#0072B2", "s"),
    "emovo": ("EMOVO, Italian, 7", "#D55E00", "^"),
    "ravdess": ("RAVDESS, English, 8", "#666666", "D"),
}
METHODS = {"joint": "-", "prior": "--"}
TEACHER, CLIPS = "nemo", "400"
"""The right panel: so many clips of more and more speakers of one corpus."""

Line = list[tuple[int, float]]


def mean(cell: str) -> float:
    """The mean of a cell such as ``0.869 [0.83, 0.90]``."""
    return float(cell.split()[0])


def by_number(rows: Sequence[dict[str, Any]], question: str, target: str, method: str) -> Line:
    """Macro F1 by number of corpora; without any, a linear head."""
    own = [row for row in rows if row["question"] == question and row["target"] == target]
    points = [(int(row["what"].split()[0]), row.get(method) or row.get("head without corpora")) for row in own]
    return [(number, mean(cell)) for number, cell in sorted(points) if cell]


def by_speakers(rows: Sequence[dict[str, Any]], target: str, method: str) -> Line:
    """Macro F1 by number of the teacher's speakers, at as many clips."""
    own = [row for row in rows if row["question"].startswith("speakers") and row["target"] == target]
    own = [row for row in own if row["what"].startswith(CLIPS) and row["what"].endswith(f"of {TEACHER}")]
    return sorted((int(row["what"].split()[3]), mean(row[method])) for row in own)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the figure: corpora with all their clips, with as many clips in all, and speakers of one corpus."""
    figure, panels = plt.subplots(1, 3, figsize=(10.0, 4.2), layout="constrained", sharey=True, width_ratios=(5, 4, 4))
    for target, (words, colour, marker) in TARGETS.items():
        for method, style in METHODS.items():
            lines = (
                by_number(rows, "number, all clips", target, method),
                by_number(rows, f"number, {CLIPS} clips in all", target, method),
                by_speakers(rows, target, method),
            )
            for axes, line in zip(panels, lines, strict=True):
                label = words if method == "joint" and axes is panels[0] else None
                _line(axes, line, colour, marker, style, label)
    counts = sorted({count for target in TARGETS for count, _ in by_speakers(rows, target, "joint")})
    _finish(panels[0], "all their clips", "corpora that teach (0: a linear head)", range(5))
    _finish(panels[1], f"{CLIPS} clips in all", "corpora that teach", range(1, 5))
    _finish(panels[2], f"{CLIPS} clips of nEMO in all", "speakers that teach", counts)
    panels[0].set_ylabel("macro F1, one labelled clip an emotion")
    panels[0].plot([], [], color="black", linestyle="-", label="joint, with recordings")
    panels[0].plot([], [], color="black", linestyle="--", label="prior, without")
    figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle("More corpora and more speakers help, the first of them most", fontsize=11)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _finish(axes: Axes, title: str, words: str, ticks: Sequence[int]) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(words)
    axes.set_xticks(list(ticks))
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _line(axes: Axes, points: Line, colour: str, marker: str, style: str, words: str | None) -> None:
    if points:
        numbers, values = zip(*points, strict=True)
        axes.plot(numbers, values, color=colour, marker=marker, linestyle=style, linewidth=1.8, label=words)


def main() -> None:
    """Draw it."""
    root = Path(__file__).resolve().parents[1]
    rows = json.loads((root / "research" / "corpora_growth.json").read_text(encoding="utf-8"))["rows"]
    draw(rows, root / "docs" / "corpora-growth.svg")


if __name__ == "__main__":
    main()
