import numpy as np
import pytest

from support.synthetic_runs import table, told_at_once
from voicefit.report.confusion import confusion_cells
from voicefit.report.confusion_figures import confusion_matrices
from voicefit.report.statistics import finished
from voicefit.report.style import drawing


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
    assert (head.get_xlabel(), head.get_ylabel(), prior.get_ylabel()) == ("answer", "true label", "")


def test_a_matrix_names_its_clips(figure):
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes[:2]]

    assert titles == ["head\nk = 6 (2 each)", "prior\nk = 4"]


def test_a_share_that_would_be_printed_as_nothing_is_not(figure):
    prior = figure.axes[1]

    # 1 of 400 clips with fear was taken for joy.
    assert [text.get_text() for text in prior.texts] == ["1.00"] * 3


@pytest.mark.parametrize(("emotions", "columns"), [(4, 4), (7, 3), (12, 2), (30, 2)])
def test_many_emotions_leave_room_for_fewer_matrices_in_a_row(emotions, columns):
    labels = [f"emotion {number:02}" for number in range(emotions)]
    counts = np.eye(emotions, dtype=int).tolist()
    trials = table(*(told_at_once(labels, counts, method=method, k=60) for method in "abcde"))
    with drawing():
        figure = confusion_matrices(confusion_cells(finished(trials)), {})
        figure.canvas.draw()

    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 5
    assert {axes.get_subplotspec().get_gridspec().ncols for axes in shown} == {columns}
    for axes in shown:
        box = axes.get_window_extent()
        assert box.width == pytest.approx(box.height)
        numbers = [text.get_window_extent().width for text in axes.texts]
        assert len(numbers) == emotions and max(numbers) < box.width / emotions * 1.05
    # Hardly any of the figure's height is empty: matrices fill the rows.
    rows = -(-5 // columns)
    assert shown[0].get_window_extent().height * rows > 0.45 * figure.get_window_extent().height
