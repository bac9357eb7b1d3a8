"""Which recordings to label next, where it can be told by hand."""

import numpy as np
import pytest

from voicefit.adaptation import Shots
from voicefit.adaptation.suggestion import suggest
from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior

SIZE, LABELS = 4, ("anger", "neutral", "sadness")


@pytest.fixture(scope="module")
def known() -> Prior:
    """Each label has an axis of its own."""
    heads = 4 * np.eye(3, SIZE)
    ones = np.ones(SIZE)
    return Prior(LABELS, 3, np.zeros(SIZE), np.eye(SIZE), 4 * ones, ones, np.zeros(SIZE), heads, -2 * np.ones(3))


def shots(known, targets=()) -> Shots:
    """Recordings: three of each label, far out on its axis, and the last between anger and neutral."""
    corners = 3 * np.eye(3, SIZE, dtype=np.float32)
    recordings = np.vstack([corners.repeat(3, axis=0), (corners[0] + corners[1]) / 2])
    chosen = np.array(targets, dtype=np.int64)
    return Shots(corners[chosen], [], chosen, 3, labels=LABELS, unlabelled=recordings, prior=known, partial=True)


def test_without_a_clip_each_label_has_its_likeliest_recording(known):
    rows, chances = suggest(shots(known), 3)
    assert sorted(row // 3 for row in rows) == [0, 1, 2]
    assert chances.shape == (10, 3)
    assert chances.sum(axis=1) == pytest.approx(np.ones(10))


def test_a_label_without_a_clip_comes_first_and_then_the_least_sure(known):
    rows, _ = suggest(shots(known, (0, 1)), 2)
    assert rows[0] // 3 == 2
    assert rows[1] == 9


def test_the_least_sure_recording_lies_between_two_labels(known):
    assert suggest(shots(known, (0, 1, 2)), 1)[0] == [9]


def test_no_recording_is_named_twice_and_no_more_than_there_are(known):
    for targets in ((), (0,), (0, 1, 2)):
        rows, _ = suggest(shots(known, targets), 50)
        assert sorted(rows) == list(range(10))


def test_a_start_that_knows_no_labels_is_refused(known):
    plain = Shots(
        np.eye(3, SIZE, dtype=np.float32),
        [],
        np.arange(3),
        3,
        labels=LABELS,
        unlabelled=np.eye(3, SIZE, dtype=np.float32),
    )
    with pytest.raises(VoicefitError, match="needs a pre-finetuned start"):
        suggest(plain, 1)
