import pytest

from support.synthetic_runs import table, told_at_once
from voicefit.report.confusion import confusion_cells
from voicefit.report.confusion_figures import confusion_matrices
from voicefit.report.statistics import finished


@pytest.fixture
def figure():
    labels = ["anger", "$fear$", "joy"]
    counts = [[[3, 1, 0], [2, 2, 0], [0, 0, 2]], [[1, 0, 0], [0, 399, 1], [0, 0, 1]]]
    trials = (
        told_at_once(labels, each, method=method, k=k)
        for each, method, k in zip(counts, ("head", "prior"), (6, 4), strict=True)
    )
    return confusion_matrices(confusion_cells(finished(table(*trials))), {6: "2"})


def test_a_matrix_has_the_true_emotions_as_rows(figure):
    head, prior = figure.axes[:2]
    written = {text.get_position(): text.get_text() for text in head.texts}

    # Sorted, "$fear$" comes first: row and column 0.
    assert [label.get_text() for label in head.get_yticklabels()] == ["$fear$", "anger", "joy"]
    assert written == {(0.5, 0.5): ".50", (1.5, 0.5): ".50", (0.5, 1.5): ".25", (1.5, 1.5): ".75", (2.5, 2.5): "1.00"}
    assert head.get_ylim() == (3, 0)
    assert (head.get_xlabel(), head.get_ylabel(), prior.get_ylabel()) == ("answer", "true emotion", "")


def test_a_matrix_names_its_clips(figure):
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes[:2]]

    assert titles == ["head, k = 6 (2 each)", "prior, k = 4"]


def test_a_share_that_would_be_printed_as_nothing_is_not(figure):
    prior = figure.axes[1]

    # 1 of 400 clips with fear was taken for joy.
    assert [text.get_text() for text in prior.texts] == ["1.00"] * 3
