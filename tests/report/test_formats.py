"""Tables in Markdown, LaTeX and on a terminal; nothing in a run's names becomes mark-up."""

import io
import shutil
import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from voicefit.errors import VoicefitError
from voicefit.report.formats import latex, markdown, parse_formats, rich_table, write_tables
from voicefit.report.tables import Cell, Table

TABLE = Table(
    "Gain & loss",
    "Bold: p < 0.05.",
    ["method", "k = 2"],
    1,
    [[Cell("head_rest"), Cell("−0.020", ("[−0.030, −0.010]", "p = 0.016"), strong=True)], [Cell("100 %"), Cell("–")]],
)
SIGNS = string.punctuation + string.ascii_letters + " ×−–≥€ł"


def test_markdown_by_hand():
    assert markdown(TABLE).splitlines() == [
        r"### Gain \& loss",
        "",
        r"Bold: p \< 0.05.",
        "",
        "| method | k = 2 |",
        "| :-- | --: |",
        r"| head\_rest | **−0.020** \[−0.030, −0.010\] p = 0.016 |",
        "| 100 % | – |",
    ]


@given(st.text(SIGNS, min_size=1, max_size=12))
def test_markdown_shows_a_cell_as_it_is(text):
    parsed = MarkdownIt().enable("table").parse(markdown(Table("t", "", ["a", "b"], 1, [[Cell(text), Cell("1")]])))
    cell = next(token for i, token in enumerate(parsed) if parsed[i - 1].type == "td_open")

    assert [child.type for child in cell.children or []] in ([], ["text"])
    assert cell.content.count("|") == text.count("|")
    assert "".join(child.content for child in cell.children or []) == text.strip()


def test_latex_by_hand():
    lines = latex(TABLE).splitlines()
    small = r"\scriptsize {[}$-$0.030, $-$0.010{]} \\ \scriptsize p = 0.016"

    assert r"\caption{Gain \& loss}" in lines
    assert r"\sbox0{\begin{tabular}{lr}" in lines
    cell = rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}\textbf{{$-$0.020}} \\ {small}\end{{tabular}}"
    assert rf"head\_rest & {cell} \\" in lines
    assert r"100 \% & -- \\" in lines


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_whatever_the_names(tmp_path):
    hostile = Table(
        SIGNS, SIGNS, ["a", "b"], 1, [[Cell(SIGNS), Cell(SIGNS, (SIGNS,), strong=True)], [Cell(r"\input{x}"), Cell("")]]
    )
    (tmp_path / "paper.tex").write_text(
        "\n".join(
            [
                r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}",
                latex(TABLE),
                latex(hostile),
                r"\end{document}",
            ]
        )
    )

    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert made.returncode == 0, made.stdout[-2000:]
    assert (tmp_path / "paper.pdf").is_file()


def test_a_terminal_shows_names_with_brackets():
    shown = io.StringIO()

    Console(file=shown, width=80).print(
        rich_table(Table("t", "note", ["[bold]", "k"], 1, [[Cell("[red]x"), Cell("1", ("[0, 2]",))]]))
    )

    assert all(part in shown.getvalue() for part in ("[bold]", "[red]x", "[0, 2]", "note"))


def test_each_table_has_a_file_of_each_format(tmp_path):
    written = write_tables([TABLE, TABLE], tmp_path, ["latex", "markdown"])

    assert [path.name for path in written] == [
        "01-gain-loss.md",
        "01-gain-loss.tex",
        "02-gain-loss.md",
        "02-gain-loss.tex",
    ]
    assert (tmp_path / "02-gain-loss.md").read_text(encoding="utf-8") == markdown(TABLE)


def test_formats_are_named_with_commas():
    assert parse_formats("html, LaTeX") == ["latex"]
    assert parse_formats("csv") == []
    with pytest.raises(VoicefitError, match="unknown format 'pdf'; known are html, csv, markdown, latex"):
        parse_formats("html,pdf")
