"""The figure of the README: macro F1 by labelled clips an emotion, with the voice's recordings and without.

It reads what ``python -m experiments.joint --json research/joint.json`` wrote, and writes ``docs/recordings.svg``.
"""

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

ENCODER, TARGET = "Whisper base", "nemo"
LINES = {
    "joint, all recordings": ("joint: with the voice's recordings, unlabelled", "#009E73", "o"),
    "prior": ("prior: without them", "#D55E00", "s"),
    "head": ("a linear head alone", "#666666", "^"),
}
TICKS = {"0": "none", "1": "1", "2": "2", "4": "4", "8": "8"}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the figure of one encoder and target."""
    figure, axes = plt.subplots(figsize=(7.2, 3.9), layout="constrained")
    order = list(LINES)
    chosen = [row for row in rows if (row["encoder"], row["target"], row["task"]) == (ENCODER, TARGET, "multiclass")]
    shown = [row for row in chosen if row["score"] == "macro_f1" and row["condition"] in LINES]
    for row in sorted(shown, key=lambda row: order.index(row["condition"])):
        words, colour, marker = LINES[row["condition"]]
        places = [place for place, shots in enumerate(TICKS) if row.get(shots)]
        values = [float(row[shots]) for shots in TICKS if row.get(shots)]
        axes.plot(places, values, color=colour, marker=marker, linewidth=2, label=words)
        for place, value in zip(places, values, strict=True):
            above = row["condition"].startswith("joint")
            axes.annotate(
                f"{value:.2f}",
                (place, value),
                textcoords="offset points",
                xytext=(0, 7 if above else -14),
                ha="center",
                fontsize=8,
                color=colour,
            )
    axes.set_xticks(range(len(TICKS)), list(TICKS.values()))
    axes.set_xlabel("labelled clips an emotion")
    axes.set_ylabel("macro F1, six emotions at once")
    axes.set_ylim(0.35, 1.0)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        "One labelled clip an emotion and unlabelled recordings do nearly what eight clips do without", fontsize=10
    )
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Draw it."""
    root = Path(__file__).resolve().parents[1]
    rows = json.loads((root / "research" / "joint.json").read_text(encoding="utf-8"))["rows"]
    draw(rows, root / "docs" / "recordings.svg")


if __name__ == "__main__":
    main()
