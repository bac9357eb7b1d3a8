"""Scores of a model on labelled clips, by hand and beside scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from voicefit.prediction.evaluation import _scored
from voicefit.prediction.model import Prediction


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


def test_a_label_that_only_the_model_gives_is_a_wrong_answer():
    truth, answers = ["a", "a", "b", "b", "b"], ["a", "c", "b", "b", "a"]
    found = scored(truth, answers)
    assert found.macro_f1 == pytest.approx(f1_score(truth, answers, labels=["a", "b"], average="macro"))
    assert found.labels["c"].clips == 0
    assert found.uar == pytest.approx(recall_score(truth, answers, labels=["a", "b"], average="macro"))
    assert set(found.confusion) == {"a", "b"}


def test_the_interval_narrows_with_clips():
    generator = np.random.default_rng(0)

    def width(count):
        truth = generator.choice(["a", "b"], size=count)
        answers = np.where(generator.random(count) < 0.8, truth, "a")
        low, high = scored(truth.tolist(), answers.tolist()).interval
        return high - low

    assert width(1000) < width(100) / 2
