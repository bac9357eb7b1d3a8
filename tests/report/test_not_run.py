"""Cells without a trial in the report."""

import pytest

from support.synthetic_runs import RECORD, grid
from voicefit.report.build import write_report
from voicefit.report.not_run import MAX_LINES, not_run_rows, not_run_table

TRAINED_ON = "c.wav has the same samples as d.wav of emodb, which is pre-finetuned on"
GROUP = {
    "target": "nemo",
    "task": "one-vs-rest",
    "speakers": ["MK0", "MP0"],
    "labels": ["fear"],
    "k": [16, 64],
    "draws": [],
    "reason": "too few clips of <fear>",
}


def test_a_run_that_has_all_cells_or_does_not_say_has_no_table():
    assert not_run_table({}) is None and not_run_table({"not_run": []}) is None
    assert not_run_rows({}).empty


def test_groups_are_lines_of_the_table_and_cells_rows_of_the_file():
    table = not_run_table({"not_run": [GROUP]})
    assert table.title == "4 cells not run"
    assert [cell.text for cell in table.rows[0]] == [
        *("nemo", "MK0, MP0", "one-vs-rest", "fear", "16, 64", "all", "too few clips of <fear>")
    ]
    rows = not_run_rows({"not_run": [GROUP]})
    assert set(rows["draws"]) == {"all"}
    some = {**GROUP, "draws": [3, 5]}
    assert not_run_table({"not_run": [some]}).rows[0][-2].text == "3, 5"
    assert set(not_run_rows({"not_run": [some]})["draws"]) == {"3, 5"}
    assert list(zip(rows["speaker"], rows["k"], strict=True)) == [("MK0", 16), ("MK0", 64), ("MP0", 16), ("MP0", 64)]


def test_a_long_table_is_cut_and_says_so():
    table = not_run_table({"not_run": [GROUP] * (MAX_LINES + 3)})
    assert len(table.rows) == MAX_LINES and "3 further lines not shown" in table.note


@pytest.mark.slow(2)
def test_the_page_and_the_files_of_a_report_have_them(tmp_path, without_pdfs):
    record = {**RECORD, "not_run": [GROUP], "same_audio": {"nemo": ["a.wav has the same bytes as b.wav", TRAINED_ON]}}
    page = write_report(tmp_path, record, grid({"none": 0.5, "a": 0.6})).read_text(encoding="utf-8")
    assert "4 cells not run" in page and "too few clips of &lt;fear&gt;" in page
    assert "2 clips of nemo with the audio of another one" in page and "a.wav has the same bytes as b.wav" in page
    assert "warning: targets.nemo holds audio that starting points are trained on, 1 clip" in page
    assert len((tmp_path / "report" / "data" / "not_run.csv").read_text().splitlines()) == 5
