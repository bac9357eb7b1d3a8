"""Scores of a model on labelled clips, by hand and beside scikit-learn."""

import csv
import io
import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    recall_score,
)

from voicefit.prediction import scoring
from voicefit.prediction.evaluation import evaluation_csv
from voicefit.prediction.model import Prediction
from voicefit.prediction.scoring import Answer
from voicefit.scores import score


def answer(index, label, given, names, confidence):
    """One of a model that knows all names, and gives the others the same probability."""
    rest = (1 - confidence) / max(1, len(names) - 1)
    chances = {name: confidence if name == given else rest for name in names}
    return Answer(f"{index}.wav", label, Prediction(f"{index}.wav", given, chances))


def scored(truth, answers, confidences=None):
    names = sorted({*truth, *answers})
    sure = confidences if confidences is not None else [0.9] * len(truth)
    rows = zip(truth, answers, sure, strict=True)
    return scoring.scored([answer(index, one, given, names, c) for index, (one, given, c) in enumerate(rows)], {})


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


AUDMETRIC_UAR = [0.3888888888888889, 0.3333333333333333, 0.25, 0.0, 1.0]
"""audmetric 1.4.2, `unweighted_average_recall(truth, answers)`, of each of these."""


def test_uar_of_all_labels_is_that_of_audmetric():
    assert [scored(*tale).uar_of_all for tale in TALES] == pytest.approx(AUDMETRIC_UAR)


def test_each_label_is_scored_as_scikit_learn_scores_it():
    generator = np.random.default_rng(0)
    truth = generator.choice(["a", "b", "c"], size=200)
    answers = np.where(generator.random(200) < 0.7, truth, generator.choice(["a", "b", "c"], size=200))
    found = scored(truth.tolist(), answers.tolist())
    precision, recall, f1, clips = precision_recall_fscore_support(truth, answers)
    for row, name in enumerate("abc"):
        one = found.labels[name]
        assert (one.precision, one.recall, one.f1, one.clips) == pytest.approx(
            (precision[row], recall[row], f1[row], clips[row])
        )
        assert one.intervals["f1"][0] < one.f1 < one.intervals["f1"][1]
    counts = [list(row.values()) for row in found.confusion.values()]
    assert counts == confusion_matrix(truth, answers).tolist()


def test_intervals_hold_the_score_of_all_clips():
    """Each score's interval, over samples of a population whose scores are known."""
    generator = np.random.default_rng(1)
    truth = generator.choice(["a", "b", "c"], p=[0.5, 0.3, 0.2], size=20_000)
    answers = np.where(generator.random(20_000) < 0.7, truth, generator.choice(["a", "b", "c"], size=20_000))
    whole = scored(truth.tolist(), answers.tolist())
    hits = {"macro_f1": 0, "uar": 0, "accuracy": 0}
    for _ in range(100):
        some = generator.choice(20_000, size=400)
        intervals = scored(truth[some].tolist(), answers[some].tolist()).intervals
        for name in hits:
            hits[name] += intervals[name][0] <= getattr(whole, name) <= intervals[name][1]
    assert all(88 <= count <= 99 for count in hits.values()), hits


def test_calibration_by_hand():
    """Of four clips 0.95 sure three are right, of two clips 0.65 sure both: (4 * 0.2 + 2 * 0.35) / 6."""
    truth, answers = ["a", "a", "b", "b", "a", "b"], ["a", "a", "b", "a", "a", "b"]
    found = scored(truth, answers, [0.95, 0.95, 0.95, 0.95, 0.65, 0.65]).calibration
    assert found.error == pytest.approx((4 * 0.2 + 2 * 0.35) / 6)
    assert found.confidence == pytest.approx((4 * 0.95 + 2 * 0.65) / 6)
    assert [(one["from"], one["clips"], one["accuracy"]) for one in found.bins] == [(0.6, 2, 1.0), (0.9, 4, 0.75)]


def test_a_model_whose_confidence_is_its_accuracy_has_little_error():
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, size=5000)
    answers = np.where(generator.random(5000) < sure, "a", "b")
    both = ["a"] * 2500 + ["b"] * 2500
    assert scored(both, both, sure).calibration.error > 0.2  # always right, and seldom sure
    assert scored(answers.tolist(), ["a"] * 5000, sure).calibration.error < 0.03


def test_answers_that_are_none_of_the_labels_are_in_scores_and_not_in_calibration():
    none = "none of these"
    heard = Prediction("1.wav", none, {"a": 0.9, "b": 0.1}, unlike=2.0)
    own = answer(0, "a", "a", ["a", "b"], 0.8)
    found = scoring.scored([own, Answer("1.wav", none, heard), Answer("2.wav", "b", heard)], {})
    assert found.confusion == {
        "a": {"a": 1, "b": 0, none: 0},
        "b": {"a": 0, "b": 0, none: 1},
        none: {"a": 0, "b": 0, none: 1},
    }
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.calibration.error == pytest.approx(0.2)
    assert scoring.scored([Answer("1.wav", none, heard)], {}).to_json()["calibration"] is None


def test_json_has_low_and_high_beside_each_score():
    plain = json.loads(json.dumps(scored(*TALES[0]).to_json()))
    for name in ("macro_f1", "uar", "accuracy"):
        assert plain[f"{name}_low"] <= plain[name] <= plain[f"{name}_high"]
    for one in plain["labels"].values():
        assert {f"{name}{end}" for name in ("f1", "precision", "recall") for end in ("", "_low", "_high")} <= set(one)
    assert plain["confusion"]["a"] == {"a": 1, "b": 0, "c": 1}
    assert "answers" not in plain


def test_the_table_of_clips_has_those_that_are_left_out():
    used = answer(0, "a", "b", ["a", "b"], 0.75)
    seen = Answer("x,\n1.wav", "a", Prediction("x", "a", {"a": 0.5, "b": 0.5}, remark="cut"), "the model knows it")
    broken = Answer("2.wav", "b", Prediction("2.wav", "", {}, "empty"), "empty")
    found = scoring.scored([used, seen, broken], {})
    assert found.clips == 1
    assert found.left_out == {"x,\n1.wav": "the model knows it", "2.wav": "empty"}
    rows = list(csv.reader(io.StringIO(evaluation_csv(found))))
    assert rows == [
        ["clip", "label", "predicted", "confidence", "a", "b", "left_out", "remark"],
        ["0.wav", "a", "b", "0.750000", "0.250000", "0.750000", "", ""],
        ["x, 1.wav", "a", "a", "0.500000", "0.500000", "0.500000", "the model knows it", "cut"],
        ["2.wav", "b", "", "", "", "", "empty", ""],
    ]


def test_a_label_that_only_the_model_gives_is_shown_without_clips():
    found = scored(*TALES[0])
    assert found.labels["c"].clips == 0
    assert set(found.confusion) == {"a", "b"}
    low, high = found.intervals["macro_f1"]
    assert low <= found.macro_f1 <= high
    assert found.remarks == (
        "No clip has the label c, which the model gave: macro F1 counts it as 0, UAR does not. "
        f"Over the labels of the clips alone, macro F1 is {found.macro_f1_of_clips:.3f}.",
    )
    assert scored(*TALES[1]).remarks == ()


def test_the_interval_narrows_with_clips():
    generator = np.random.default_rng(0)

    def width(count):
        truth = generator.choice(["a", "b"], size=count)
        answers = np.where(generator.random(count) < 0.8, truth, "a")
        low, high = scored(truth.tolist(), answers.tolist()).intervals["macro_f1"]
        return high - low

    assert width(1000) < width(100) / 2
