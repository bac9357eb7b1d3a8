"""What the figures of gains show: read back from their axes."""

import numpy as np
import pandas as pd
import pytest

from support.synthetic_runs import grid
from voicefit.report.gain_figures import corpora_gains, speaker_slopes, subset_map
from voicefit.report.statistics import finished, gain_cells, pair

STARTS = {"none": 0.5, "a": 0.55, "b": 0.48, "a+b": 0.6}


@pytest.fixture
def paired():
    return pair(finished(grid(STARTS)))


def shown(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_gains_are_averaged_over_starts_of_one_size(paired):
    figure = corpora_gains(gain_cells(paired, ["corpora", "method", "target", "k"]))

    assert [axes.get_title() for axes in shown(figure)] == ["full", "head"]
    one, two = (line.get_ydata() for line in shown(figure)[0].lines[1:])
    assert one.tolist() == pytest.approx([0.015, 0.015])
    assert two.tolist() == pytest.approx([0.1, 0.1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1 corpus", "2 corpora"]


def test_the_map_has_a_row_per_start_and_a_panel_per_emotion(paired):
    head = paired[paired["method"] == "head"]
    figure = subset_map(gain_cells(head, ["start", "label", "k"]))
    dots, anger, fear = shown(figure)

    assert [anger.get_title(), fear.get_title()] == ["anger", "fear"]
    cells = {(text.get_position()): text.get_text() for text in anger.texts}
    assert cells == {
        (0.5, 0.5): "+.05",
        (1.5, 0.5): "+.05",
        (0.5, 1.5): "−.02",
        (1.5, 1.5): "−.02",
        (0.5, 2.5): "+.10",
        (1.5, 2.5): "+.10",
    }
    assert [label.get_text() for label in dots.get_xticklabels()] == ["a", "b"]
    joined = [line.get_xdata().tolist() for line in dots.lines]
    assert joined == [[0, 0], [1, 1], [0, 1]]


def test_a_missing_cell_of_the_map_stays_empty(paired):
    cells = gain_cells(paired[paired["method"] == "head"], ["start", "label", "k"])
    figure = subset_map(cells[~((cells["label"] == "fear") & (cells["k"] == 4) & (cells["start"] == "b"))])
    fear = shown(figure)[2]

    assert len(fear.texts) == 5
    assert np.ma.count(fear.collections[0].get_array()) == 5


def test_slopes_tell_who_rises():
    cells = pd.DataFrame(
        {
            "target": "t",
            "speaker": ["anna", "ben", "cleo"] * 2,
            "k": [2] * 3 + [8] * 3,
            "base": [0.5, 0.6, 0.7, 0.6, 0.6, 0.6],
            "macro_f1": [0.6, 0.5, 0.8, 0.7, 0.7, 0.7],
        }
    )
    figure = speaker_slopes(cells, "a+b")
    few, many = shown(figure)

    assert few.get_title() == "k = 2: 2 of 3 speakers rise"
    assert many.get_title() == "k = 8: 3 of 3 speakers rise"
    ends = [list(line.get_ydata()) for line in few.lines]
    assert ends[:3] == [[0.5, 0.6], [0.6, 0.5], [0.7, 0.8]]
    assert ends[3] == pytest.approx([0.6, 1.9 / 3])
    assert [text.get_text() for text in few.texts] == ["ben", "anna", "cleo"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "rises",
        "does not rise",
        "mean over speakers",
    ]


def test_a_target_without_a_k_leaves_its_place_empty():
    rows = [("t", 2), ("t", 8), ("u", 2)]
    cells = pd.DataFrame(
        [{"target": t, "speaker": "anna", "k": k, "base": 0.5, "macro_f1": 0.6} for t, k in rows],
    )

    titles = [axes.get_title() for axes in shown(speaker_slopes(cells, "a"))]
    assert titles == [f"{t}, k = {k}: 1 of 1 speakers rise" for t, k in rows]


def test_many_speakers_have_no_names():
    cells = pd.DataFrame({"target": "t", "speaker": range(20), "k": 2, "base": 0.5, "macro_f1": 0.6})

    figure = speaker_slopes(cells, "a")

    assert len(shown(figure)[0].texts) == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["rises", "mean over speakers"]
