"""What a section of the report consists of, and how its figures and data are written."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from voicefit.report.pdf import SavePdf
from voicefit.report.style import name_shots, save
from voicefit.report.tables import Table


@dataclass(frozen=True)
class Drawn:
    """A figure on the page.

    Attributes:
        name: the name of its files, without suffix.
        svg: its mark-up, safe to put in an HTML page.
        title: a few words on what it shows.
        caption: an explanation of how to read it.
    """

    name: str
    svg: str
    title: str
    caption: str


@dataclass
class Section:
    """The section of one setting.

    Attributes:
        title: the setting in words.
        headlines: the findings of each target, sentence by sentence.
        glance: the short table under them, if there are pairs.
        figures: the figures, in reading order.
        tables: the tables, in reading order.
    """

    title: str
    headlines: list[list[str]]
    glance: Table | None = None
    figures: list[Drawn] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


class Writer:
    """The writer of a section's figures and their data.

    Attributes:
        out: the report's folder.
        prefix: the start of every file's name.
        shots: for each k how many clips it is of each label, to be shown beside it; empty if that says nothing.
        save_pdf: what writes a figure as PDF.
    """

    def __init__(self, out: Path, prefix: str, shots: dict[int, str], save_pdf: SavePdf) -> None:
        self.out = out
        self.save_pdf = save_pdf
        self.prefix = prefix
        self.shots = shots
        for folder in ("figures", "data"):
            (out / folder).mkdir(exist_ok=True)

    def data(self, name: str, frame: pd.DataFrame) -> None:
        """Write `data/<prefix><name>.csv`, numbers to six digits: the last bits depend on the number of threads."""
        frame.to_csv(self.out / "data" / f"{self.prefix}{name}.csv", index=False, float_format="%.6g")

    def figure(self, name: str, figure: Figure, title: str, caption: str) -> Drawn:
        """Write `figures/<prefix><name>.svg` and `.pdf`, and return what the page needs."""
        stem = f"{self.prefix}{name}"
        name_shots(figure, self.shots)
        path = save(figure, self.out / "figures" / f"{stem}.svg")
        self.save_pdf(figure, path.with_suffix(".pdf"))
        return Drawn(stem, inline_svg(path.read_text(encoding="utf-8"), stem), title, caption)


def inline_svg(svg: str, name: str) -> str:
    """Make an SVG file fit for an HTML page that holds several.

    Args:
        svg: the file's text.
        name: the start of every id; two figures then never share an id.

    Returns:
        The `<svg>` element without prolog and comments, with its own ids, in a size that follows the
        page's width between the limits where its text is readable.
    """
    body = re.sub(r"<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # Nothing refers to most ids, and images that look alike share theirs.
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r'\sid="([^"]*)"', lambda match: match[0] if match[1] in referred else "", body)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    opening, rest = body.split(">", 1)
    points = float(re.findall(r'\swidth="([0-9.]+)pt"', opening)[0])
    opening = re.sub(r'\s(?:width|height)="[^"]*"', "", opening)
    return f'{opening} style="min-width: {0.9 * points:.0f}px; max-width: {1.5 * points:.0f}px">{rest}'
