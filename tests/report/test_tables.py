import pandas as pd
import pytest

from voicefit.report.tables import Cell, Table, f1_recall_table, score_table, with_shots


@pytest.fixture
def cells():
    """One method at two k, for one speaker and for two."""
    usual = {"method": "head", "start": "none", "label": "fear", "speakers": 2, "trials": 4}
    f1 = {"f1": 0.5, "low": 0.25, "high": 0.75, "recall": 1.0, "recall_low": 0.9, "recall_high": 1.0}
    lone = dict.fromkeys(["low", "high", "recall_low", "recall_high"], float("nan"))
    return pd.DataFrame(
        [{**usual, **f1, "k": 3, "balanced_accuracy": 0.625}, {**usual, **f1, **lone, "k": 6, "balanced_accuracy": 1}]
    )


def test_f1_stands_above_recall(cells):
    found = f1_recall_table(cells, "t")

    assert found.header == ["method", "label", "k = 3", "k = 6", "speakers", "trials"]
    assert found.rows[0][2] == Cell("0.500", ("[0.25, 0.75]", "recall 1.000 [0.90, 1.00]"))
    assert found.rows[0][3] == Cell("0.500", ("", "recall 1.000"))


def test_a_table_of_another_score(cells):
    assert score_table(cells, "t", "balanced_accuracy").rows[0][2:4] == [
        Cell("0.625", ("[0.25, 0.75]",)),
        Cell("1.000", ("",)),
    ]


def test_the_clips_of_each_emotion_stand_beside_k():
    wide = Table("t", "Means.", ["method", "k = 3", "k = 6", "k = 12"], 1, [])
    long = Table("t", "", ["method", "k", "trials"], 1, [[Cell("head"), Cell("3"), Cell("3")]])
    shots = {3: "1", 6: "2–3"}

    assert with_shots(wide, shots).header == ["method", "k = 3 (1 each)", "k = 6 (2–3 each)", "k = 12"]
    assert with_shots(wide, shots).note == "Means. Beside k: clips of each label."
    assert with_shots(long, shots).rows == [[Cell("head"), Cell("3", ("1 each",)), Cell("3")]]
    assert with_shots(wide, {}) == wide
    other = Table("t", "", ["method", "trials"], 1, [[Cell("head"), Cell("3")]])
    assert with_shots(other, shots) == other
