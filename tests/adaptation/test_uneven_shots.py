"""Each label counts the same, however many clips it has."""

import numpy as np
import pytest

from voicefit.adaptation import Shots, find_method
from voicefit.heads.head import Projection
from voicefit.heads.prior import Prior

SIZE = 4


class PlainEncoder:
    """All of an encoder that methods on fixed vectors ask for."""

    projection = Projection(np.eye(SIZE, dtype=np.float32), np.zeros(SIZE, np.float32))


PRIOR = Prior(
    labels=("anger", "neutral"),
    shared=2,
    origin=np.zeros(SIZE),
    basis=np.eye(SIZE),
    signal=np.ones(SIZE),
    speakers=np.ones(SIZE),
    neutral=np.zeros(SIZE),
    heads=np.zeros((2, SIZE)),
    biases=np.zeros(2),
)


def shots(counts, labels=("calm", "upset")) -> Shots:
    """Clips of a label are all at one place: -1 and 1, or 0, on the first axis."""
    places = np.array([-1.0, 1.0, 0.0])[: len(counts)]
    targets = np.arange(len(counts)).repeat(counts)
    pooled = np.zeros((len(targets), SIZE), np.float32)
    pooled[:, 0] = places[targets]
    return Shots(pooled, [], targets, len(counts), labels=labels, prior=PRIOR)


@pytest.mark.parametrize("method", ["head", "prior", "joint", "prototype"])
@pytest.mark.parametrize("counts", [(1, 1), (3, 1), (1, 9)])
def test_the_border_is_halfway_whatever_the_counts(method, counts):
    head = find_method(method).configured().fit(PlainEncoder(), shots(counts), 0)
    middle, left, right = head(np.array([[0.0] * SIZE, [-0.1, 0, 0, 0], [0.1, 0, 0, 0]]))
    assert float(middle[0] - middle[1]) == pytest.approx(0, abs=1e-3)
    assert (int(left.argmax()), int(right.argmax())) == (0, 1)


def test_importance_by_hand():
    """Six shots of three labels: two a label, shared by its clips."""
    assert shots((3, 2, 1), ("a", "b", "c")).importance().tolist() == pytest.approx([2 / 3] * 3 + [1, 1, 2])


def test_even_shots_count_one_each():
    assert shots((4, 4)).importance().tolist() == [1.0] * 8


def test_a_label_called_other_is_the_rest_of_two_classes_alone():
    assert shots((1, 1), ("other", "anger")).one_vs_rest
    three = shots((1, 1, 1), ("other", "sad", "upset"))
    assert not three.one_vs_rest
    raised = find_method("head").configured(rest_log_odds=0.8).fit(PlainEncoder(), three, 0)
    plain = find_method("head").configured().fit(PlainEncoder(), three, 0)
    assert np.array_equal(raised.classifier_bias, plain.classifier_bias)
