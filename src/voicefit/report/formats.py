"""The report's tables for papers, repositories and terminals."""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from voicefit.errors import VoicefitError
from voicefit.report.tables import Cell, Table
from voicefit.system.files import write_text

# What could begin something in Markdown; the backslash before it is not shown (CommonMark 0.31, section 2.4).
MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_{}[]<>#|~!$&"} | {"\n": " ", "\r": " "})
LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": "$<$", ">": "$>$"}
    | {"|": "$|$", "[": "{[}", "]": "{]}", '"': "''", "−": "$-$", "–": "--", "≥": r"$\geq$", "≤": r"$\leq$"}
    | {"×": r"$\times$", "\n": " ", "\r": " "}
)


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown, title and note included; texts from the run cannot become mark-up."""
    sides = [":--" if column < table.heads else "--:" for column in range(len(table.header))]
    rows = [[word.translate(MARKDOWN) for word in table.header], sides]
    rows += [[_markdown_cell(cell) for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    note = [table.note.translate(MARKDOWN), ""] if table.note else []
    return "\n".join([f"### {table.title.translate(MARKDOWN)}", "", *note, *lines, ""])


def latex(table: Table) -> str:
    r"""The table as a LaTeX float to `\input`, shrunk where the text is narrower; it needs booktabs and graphicx."""
    columns = "l" * table.heads + "r" * (len(table.header) - table.heads)
    rows = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows]
    note = [r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize", table.note.translate(LATEX), r"\end{minipage}"]
    return "\n".join(
        [
            r"% \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{table.title.translate(LATEX)}}}",
            rf"\sbox0{{\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(word.translate(LATEX) for word in table.header) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
            *(note if table.note else []),
            r"\end{table}",
            "",
        ]
    )


FORMATS: dict[str, tuple[str, Callable[[Table], str]]] = {"markdown": (".md", markdown), "latex": (".tex", latex)}
"""Suffix and writer of each format."""

ALWAYS = ("html", "csv")


def parse_formats(names: str) -> list[str]:
    """Reads "html,latex": the formats to write beside those that always are.

    Args:
        names: any of html, csv, markdown and latex, with commas between.

    Returns:
        Those in `FORMATS`.

    Raises:
        VoicefitError: another name.
    """
    given = [name.strip().lower() for name in names.split(",") if name.strip()]
    for name in given:
        if name not in (*ALWAYS, *FORMATS):
            raise VoicefitError(f"unknown format {name!r}; known are {', '.join((*ALWAYS, *FORMATS))}")
    return [name for name in FORMATS if name in given]


def write_tables(tables: Sequence[Table], folder: Path, formats: Collection[str]) -> list[Path]:
    """Writes each table to a file of its own, such as `03-methods-against-prior-nemo.tex`.

    Args:
        tables: in reading order.
        folder: where to; it must exist.
        formats: any of `FORMATS`.

    Returns:
        The files, in order.
    """
    written = []
    for number, table in enumerate(tables, start=1):
        name = re.sub(r"[^a-z0-9]+", "-", table.title.lower()).strip("-")[:60]
        for suffix, write in (FORMATS[each] for each in FORMATS if each in formats):
            path = folder / f"{number:02d}-{name}{suffix}"
            write_text(path, write(table))
            written.append(path)
    return written


def rich_table(table: Table) -> RichTable:
    """The table for a terminal."""
    made = RichTable(title=Text(table.title), caption=Text(table.note), box=box.SIMPLE_HEAD, title_justify="left")
    made.caption_justify = "left"
    for column, word in enumerate(table.header):
        made.add_column(Text(word), justify="left" if column < table.heads else "right")
    for row in table.rows:
        made.add_row(*(Text("\n".join([cell.text, *cell.small]), style="bold" if cell.strong else "") for cell in row))
    return made


def _markdown_cell(cell: Cell) -> str:
    text = cell.text.translate(MARKDOWN)
    return " ".join([f"**{text}**" if cell.strong else text, *(line.translate(MARKDOWN) for line in cell.small)])


def _latex_cell(cell: Cell) -> str:
    text = cell.text.translate(LATEX)
    text = rf"\textbf{{{text}}}" if cell.strong else text
    small = [rf"\scriptsize {line.translate(LATEX)}" for line in cell.small if line]
    lines = r" \\ ".join([text, *small])
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{lines}\end{{tabular}}" if small else text
