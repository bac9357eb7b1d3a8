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

MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_{}[]<>#|~!$&"} | {"\n": " ", "\r": " "})
"""Characters with a meaning in Markdown get a backslash, which is not shown (CommonMark 0.31, section 2.4)."""

LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": "$<$", ">": "$>$"}
    | {"|": "$|$", "[": "{[}", "]": "{]}", '"': "''", "−": "$-$", "–": "--", "≥": r"$\geq$", "≤": r"$\leq$"}
    | {"×": r"$\times$", "\n": " ", "\r": " "}
)
"""Characters with a meaning in LaTeX, and those that its fonts lack, are replaced."""


def markdown(table: Table) -> str:
    """Return the table as GitHub-flavoured Markdown with title and note; mark-up in its texts is escaped."""
    sides = [":--" if column < table.heads else "--:" for column in range(len(table.header))]
    rows = [[word.translate(MARKDOWN) for word in table.header], sides]
    rows += [[_markdown_cell(cell) for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    note = [table.note.translate(MARKDOWN), ""] if table.note else []
    return "\n".join([f"### {table.title.translate(MARKDOWN)}", "", *note, *lines, ""])


def latex(table: Table) -> str:
    r"""Return the table as a LaTeX float for `\input`, shrunk to the text's width; it needs booktabs and graphicx."""
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
"""The suffix and writer of each format."""

ALWAYS = ("html", "csv")
"""These formats are always written."""


def parse_formats(names: str) -> list[str]:
    """Parse names of formats, as "html,latex"; return those to write besides the ones that are always written.

    Args:
        names: any of html, csv, markdown and latex, with commas between.

    Returns:
        Those in `FORMATS`.

    Raises:
        VoicefitError: another name.
    """
    requested = [name.strip().lower() for name in names.split(",") if name.strip()]
    for name in requested:
        if name not in (*ALWAYS, *FORMATS):
            raise VoicefitError(f"unknown format {name!r}; known are {', '.join((*ALWAYS, *FORMATS))}")
    return [name for name in FORMATS if name in requested]


def write_tables(tables: Sequence[Table], folder: Path, formats: Collection[str]) -> list[Path]:
    """Write each table to a file of its own, such as `03-methods-against-prior-nemo.tex`.

    Args:
        tables: in reading order.
        folder: an existing folder.
        formats: any of `FORMATS`.

    Returns:
        The files, in order.
    """
    written = []
    for number, table in enumerate(tables, start=1):
        name = re.sub(r"[^a-z0-9]+", "-", table.title.lower()).strip("-")[:60]
        for suffix, write in (FORMATS[form] for form in FORMATS if form in formats):
            path = folder / f"{number:02d}-{name}{suffix}"
            write_text(path, write(table))
            written.append(path)
    return written


def rich_table(table: Table) -> RichTable:
    """Return the table for a terminal."""
    rendered = RichTable(title=Text(table.title), caption=Text(table.note), box=box.SIMPLE_HEAD, title_justify="left")
    rendered.caption_justify = "left"
    for column, word in enumerate(table.header):
        rendered.add_column(Text(word), justify="left" if column < table.heads else "right")
    for row in table.rows:
        rendered.add_row(
            *(Text("\n".join([cell.text, *cell.small]), style="bold" if cell.strong else "") for cell in row)
        )
    return rendered


def _markdown_cell(cell: Cell) -> str:
    text = cell.text.translate(MARKDOWN)
    return " ".join([f"**{text}**" if cell.strong else text, *(line.translate(MARKDOWN) for line in cell.small)])


def _latex_cell(cell: Cell) -> str:
    text = cell.text.translate(LATEX)
    text = rf"\textbf{{{text}}}" if cell.strong else text
    small = [rf"\scriptsize {line.translate(LATEX)}" for line in cell.small if line]
    lines = r" \\ ".join([text, *small])
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{lines}\end{{tabular}}" if small else text
