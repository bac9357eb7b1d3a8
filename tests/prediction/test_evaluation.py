"""Scores of a model on labelled clips, by hand and beside scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from voicefit.prediction.evaluation import _scored
from voicefit.prediction.model import Prediction
from voicefit.scores import score


def scored(truth, answers):
    found = [Prediction(f"{index}.wav", label, {label: 1.0}) for index, label in enumerate(answers)]
    return _scored(truth, found, {})


def test_four_clips_by_hand():
    """Anger: one of two found, nothing else taken for it; calm: both found, and one angry clip taken for it."""
    found = scored(["anger", "anger", "calm", "calm"], ["anger", "calm", "calm", "calm"])
    assert (found.clips, found.accuracy, found.uar) == (4, 0.75, 0.75)
    assert found.labels["anger"].precision == 1.0
    assert found.labels["anger"].recall == 0.5
    assert found.labels["anger"].f1 == pytest.approx(2 / 3)
    assert found.labels["calm"].f1 == pytest.approx(4 / 5)
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found.most_common == pytest.approx(1 / 3)  # F1 2/3 of one label, 0 of the other
    assert found.confusion == {"anger": {"anger": 1, "calm": 1}, "calm": {"anger": 0, "calm": 2}}


TALES = [
    (["a", "a", "b", "b", "b"], ["a", "c", "b", "b", "a"]),  # the model gives a label that no clip has
    (["a", "a", "b", "c"], ["a", "a", "a", "a"]),  # clips have labels that it never gives
    (["a", "b", "c"], ["d", "d", "c"]),  # both
    (["a", "a"], ["b", "b"]),  # nothing in common
    (["a", "a"], ["a", "a"]),  # one label
]


@pytest.mark.parametrize(("truth", "answers"), TALES)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_scores_are_those_of_scikit_learn_by_name(truth, answers):
    found, of_clips = scored(truth, answers), sorted(set(truth))
    assert found.macro_f1 == pytest.approx(f1_score(truth, answers, average="macro", zero_division=0))
    assert found.macro_f1_of_clips == pytest.approx(f1_score(truth, answers, labels=of_clips, average="macro"))
    assert found.uar == pytest.approx(balanced_accuracy_score(truth, answers))
    assert found.uar_of_all == pytest.approx(recall_score(truth, answers, average="macro", zero_division=0))
    assert found.accuracy == pytest.approx(accuracy_score(truth, answers))


@pytest.mark.parametrize(("truth", "answers"), TALES)
def test_a_sweep_scores_as_evaluate_does(truth, answers):
    names = sorted({*truth, *answers})
    of_trial = score([names.index(label) for label in truth], [names.index(label) for label in answers])
    found = scored(truth, answers)
    expected = {"macro_f1": found.macro_f1, "accuracy": found.accuracy, "balanced_accuracy": found.uar}
    assert of_trial == pytest.approx(expected)


def test_a_label_that_only_the_model_gives_is_shown_without_clips():
    found = scored(*TALES[0])
    assert found.labels["c"].clips == 0
    assert set(found.confusion) == {"a", "b"}
    low, high = found.interval
    assert low <= found.macro_f1 <= high
    assert found.remark() == (
        "No clip has the label c, which the model gave: macro F1 counts it as 0, UAR does not. "
        f"Over the labels of the clips alone, macro F1 is {found.macro_f1_of_clips:.3f}."
    )
    assert scored(*TALES[1]).remark() == ""


def test_the_interval_narrows_with_clips():
    generator = np.random.default_rng(0)

    def width(count):
        truth = generator.choice(["a", "b"], size=count)
        answers = np.where(generator.random(count) < 0.8, truth, "a")
        low, high = scored(truth.tolist(), answers.tolist()).interval
        return high - low

    assert width(1000) < width(100) / 2
