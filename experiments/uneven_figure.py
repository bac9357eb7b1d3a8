"""Draws docs/uneven-shots.svg from research/uneven_shots.json: macro F1 as clips are added one by one."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

LINES = {
    "joint, all recordings": ("joint, with all recordings", "#009E73", "-"),
    "prior": ("prior", "#D55E00", "-"),
    "prior, unweighted": ("prior, each clip counts the same", "#D55E00", ":"),
    "head": ("head", "#666666", "-"),
    "head, unweighted": ("head, each clip counts the same", "#666666", ":"),
}
TITLES = {"nemo": "nEMO", "emovo": "EMOVO", "emodb": "EmoDB", "ravdess": "RAVDESS"}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the figure: a panel per target."""
    figure, panels = plt.subplots(1, len(TITLES), figsize=(10, 3.4), sharey=True, layout="constrained")
    for axes, (target, title) in zip(panels, TITLES.items(), strict=True):
        own = {row["method"]: row for row in rows if row["target"] == target and row["score"] == "macro F1"}
        for method, (words, colour, style) in LINES.items():
            values = {int(name): float(value) for name, value in own[method].items() if name.startswith("+")}
            axes.plot(list(values), list(values.values()), style, color=colour, linewidth=1.8, label=words)
        axes.set_title(title, fontsize=10)
        axes.set_xticks(range(0, 9, 2))
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("macro F1, all emotions at once")
    figure.supxlabel("clips added to one an emotion, one by one", fontsize=10)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Draw it."""
    root = Path(__file__).resolve().parents[1]
    rows = json.loads((root / "research" / "uneven_shots.json").read_text(encoding="utf-8"))["rows"]
    draw(rows, root / "docs" / "uneven-shots.svg")


if __name__ == "__main__":
    main()
