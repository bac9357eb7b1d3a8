import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from voicefit.scores import confusion, floors, reliability, score

CLASSES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def test_scores_of_a_worked_example():
    # Class 0: 3 of 5 found, 4 answers; class 1: 2 of 3 found, 4 answers.
    scores = score([0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 0])
    assert scores["macro_f1"] == pytest.approx((2 * 3 / (5 + 4) + 2 * 2 / (3 + 4)) / 2)
    assert scores["accuracy"] == 5 / 8
    assert scores["balanced_accuracy"] == pytest.approx((3 / 5 + 2 / 3) / 2)


@given(CLASSES)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_scores_are_those_of_scikit_learn(pairs):
    truth, predicted = zip(*pairs, strict=True)
    assert score(truth, predicted) == pytest.approx(
        {
            "macro_f1": f1_score(truth, predicted, average="macro", zero_division=0),
            "accuracy": accuracy_score(truth, predicted),
            "balanced_accuracy": balanced_accuracy_score(truth, predicted),
        }
    )


def test_a_confusion_by_hand():
    # Class 1 is never the answer, class 3 neither occurs nor is answered.
    assert confusion([0, 0, 0, 1, 2, 2], [0, 2, 2, 0, 2, 2], 4).tolist() == [
        [1, 0, 2, 0],
        [1, 0, 0, 0],
        [0, 0, 2, 0],
        [0, 0, 0, 0],
    ]


@given(CLASSES)
def test_confusions_are_those_of_scikit_learn(pairs):
    truth, predicted = zip(*pairs, strict=True)
    assert np.array_equal(confusion(truth, predicted, 5), confusion_matrix(truth, predicted, labels=range(5)))


def test_floors_at_one_to_four():
    assert floors([1] + [0] * 4) == pytest.approx({"floor_never": 0.444, "floor_coin": 0.451}, abs=5e-4)


def test_floors_at_one_to_five():
    # Never: F1 of the others 2·(5/6)/(1 + 5/6) = 10/11, halved. A coin: 2·(1/6)(1/2)/(1/6 + 1/2) = 1/4 and
    # 2·(5/6)(1/2)/(5/6 + 1/2) = 5/8.
    assert floors([1] + [0] * 5) == pytest.approx({"floor_never": 5 / 11, "floor_coin": (1 / 4 + 5 / 8) / 2})


@pytest.mark.parametrize("truth", [[0, 1], [0] * 4 + [1], [0, 0, 0, 1, 1, 2], [0, 1, 2, 3, 4, 5, 5]])
def test_floors_are_what_answering_without_listening_scores(truth):
    many, generator = 50_000 * truth, np.random.default_rng(0)
    coin = score(many, generator.integers(0, max(truth) + 1, len(many)).tolist())["macro_f1"]
    never = score(many, [max(set(truth), key=truth.count)] * len(many))["macro_f1"]
    assert floors(truth) == pytest.approx({"floor_never": never, "floor_coin": coin}, abs=5e-3)


def test_reliability_by_hand():
    # Confidences 0.5 (its answer 0 is right), 0.88 (wrong), 0.88 (right) and 1 (right).
    logits = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 50.0]])
    clips, confidences, right = reliability(logits, [0, 1, 1, 1])

    assert clips == [0, 0, 0, 0, 0, 1, 0, 0, 2, 1]
    assert confidences[5] == 0.5 and confidences[9] == 1
    assert confidences[8] == pytest.approx(2 / (1 + np.exp(-2)), abs=1e-4)
    assert right == [0, 0, 0, 0, 0, 1, 0, 0, 1, 1]


def test_what_is_no_number_is_sure_of_nothing():
    clips, confidences, _ = reliability(np.full((3, 2), np.nan), [0, 1, 1])

    assert clips[0] == 3 and sum(confidences) == 0
