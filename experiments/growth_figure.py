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
TEACHERS = {"ravdess": "RAVDESS", "nemo": "nEMO"}

Line = list[tuple[int, float]]


def mean(cell: str) -> float:
    """The mean of a cell such as ``0.869 [0.83, 0.90]``."""
    return float(cell.split()[0])


def by_number(rows: Sequence[dict[str, Any]], target: str, method: str) -> Line:
    """Macro F1 by number of corpora, all their clips; without any, a linear head."""
    own = [row for row in rows if row["question"] == "number, all clips" and row["target"] == target]
    points = [(int(row["what"].split()[0]), row.get(method) or row.get("head without corpora")) for row in own]
    return [(number, mean(cell)) for number, cell in sorted(points) if cell]


def by_speakers(rows: Sequence[dict[str, Any]], target: str, teacher: str) -> Line:
    """Macro F1 of ``joint`` by number of the teacher's speakers, at as many clips."""
    own = [row for row in rows if row["question"].startswith("speakers") and row["target"] == target]
    own = [row for row in own if row["what"].endswith(f"of {teacher}")]
    return sorted((int(row["what"].split()[3]), mean(row["joint"])) for row in own)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the figure: corpora on the left, speakers of one corpus on the right."""
    figure, (left, *right) = plt.subplots(
        1, 3, figsize=(10.0, 4.1), layout="constrained", sharey=True, width_ratios=(5, 3, 3)
    )
    for target, (words, colour, marker) in TARGETS.items():
        for method, style in METHODS.items():
            _line(left, by_number(rows, target, method), colour, marker, style, words if method == "joint" else None)
        for axes, teacher in zip(right, TEACHERS, strict=True):
            if target != teacher:
                _line(axes, by_speakers(rows, target, teacher), colour, marker, "-", None)
    left.set_xticks(range(5))
    left.set_xlabel("corpora that teach (0: a linear head)")
    left.set_ylabel("macro F1, one labelled clip an emotion")
    left.set_title("Each further corpus adds less", fontsize=10)
    for axes, (teacher, words) in zip(right, TEACHERS.items(), strict=True):
        counts = sorted({count for target in TARGETS for count, _ in by_speakers(rows, target, teacher)})
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_xlabel(f"speakers of {words}")
        clips = next(row["what"].split()[0] for row in rows if row["what"].endswith(f"of {teacher}"))
        axes.set_title(f"{clips} clips in all", fontsize=10)
    for axes in (left, *right):
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    left.plot([], [], color="black", linestyle="-", label="joint, with recordings")
    left.plot([], [], color="black", linestyle="--", label="prior, without")
    figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


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
