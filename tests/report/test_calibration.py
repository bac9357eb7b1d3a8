"""Confidence against accuracy, from bins worked by hand."""

import json

import pandas as pd
import pytest

from support.synthetic_runs import grid, row, table
from voicefit.report.build import write_report
from voicefit.report.calibration import (
    calibration_errors,
    calibration_table,
    pooled_bins,
    reliability_cells,
    reliability_curves,
)
from voicefit.report.statistics import finished

pytestmark = pytest.mark.usefixtures("without_pdfs")


def bins(**clips):
    """Ten bins; `b8=(4, 3.4, 2)`: four clips in the ninth, confidences that sum to 3.4, two right."""
    found = [[0] * 10, [0] * 10, [0] * 10]
    for name, values in clips.items():
        for each, value in zip(found, values, strict=True):
            each[int(name[1:])] = value
    return json.dumps(found)


@pytest.fixture
def trials():
    return finished(
        table(
            row(speaker="a", draw=0, calibration=bins(b8=(4, 3.4, 2))),
            row(speaker="a", draw=1, calibration=bins(b8=(4, 3.2, 4), b9=(2, 1.9, 2))),
            row(speaker="b", draw=0, calibration=bins(b9=(10, 9.5, 9))),
            row(speaker="b", draw=1, calibration=None),
        )
    )


def test_bins_of_a_speaker_add_up(trials):
    cells = reliability_cells(trials)

    assert cells[["speaker", "bin", "clips"]].to_numpy().tolist() == [["a", 8, 8], ["a", 9, 2], ["b", 9, 10]]
    assert cells["confidence"].tolist() == pytest.approx([6.6 / 8, 0.95, 0.95])
    assert cells["accuracy"].tolist() == pytest.approx([6 / 8, 1.0, 0.9])


def test_the_error_by_hand(trials):
    errors = calibration_errors(reliability_cells(trials))

    # a: (|6.6 − 6| + |1.9 − 2|) / 10 = 0.07, leaning (0.6 − 0.1) / 10; b: 0.5 / 10 both.
    assert errors["error"].tolist() == pytest.approx([(0.07 + 0.05) / 2])
    assert errors["overconfidence"].tolist() == pytest.approx([(0.05 + 0.05) / 2])
    cell = calibration_table(errors, "t").rows[0][1]
    assert (cell.text, cell.small) == ("0.060", ("+0.050",))


def test_a_diagram_leaves_out_bins_of_few_clips():
    trials = finished(table(row(calibration=bins(b6=(19, 12.0, 10), b9=(20, 19.0, 15)))))
    figure = reliability_curves(pooled_bins(reliability_cells(trials)))

    line = figure.axes[0].lines[1]
    assert line.get_xydata().tolist() == [[0.95, 0.75]]


@pytest.mark.slow(4)
def test_the_page_shows_it_where_it_was_recorded(tmp_path):
    trials = grid({"none": 0.5, "a": 0.6})
    known = trials.assign(calibration=bins(b6=(30, 19.5, 15), b9=(30, 28.5, 27)))
    pages = []
    for name, each in (("with", known), ("without", trials)):
        (tmp_path / name).mkdir()
        pages.append(write_report(tmp_path / name, {"planned_trials": len(each)}, each).read_text(encoding="utf-8"))

    assert "Calibration error, nemo" in pages[0] and "Confidence and accuracy" in pages[0]
    assert "alibration" not in pages[1]
    data = pd.read_csv(tmp_path / "with" / "report" / "data" / "calibration.csv")
    assert set(data["accuracy"]) == {0.5, 0.9}


@pytest.mark.slow(3)
def test_few_clips_give_a_table_without_a_diagram(tmp_path):
    trials = grid({"none": 0.5, "a": 0.6}).assign(calibration=bins(b6=(1, 0.65, 1)))
    page = write_report(tmp_path, {"planned_trials": len(trials)}, trials).read_text(encoding="utf-8")

    assert "Calibration error, nemo" in page and "Confidence and accuracy" not in page
