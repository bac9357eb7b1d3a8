"""Scores of answers to labelled clips, each with the interval that the number of clips leaves it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicefit.heads.novelty import NONE
from voicefit.prediction.model import Prediction
from voicefit.scores import calibration_error, confusion, reliability

_RESAMPLES = 1000

Interval = tuple[float, float]
"""Where a score lies in 95 of 100 resamples of the clips."""


@dataclass(frozen=True)
class Answer:
    """A clip, its label, and what the model says of it.

    Attributes:
        clip: its file or, of a part of a file, its id.
        label: the label that it has; empty if it has none.
        prediction: the model's.
        left_out: why it is in no score, else empty.
    """

    clip: str
    label: str
    prediction: Prediction
    left_out: str = ""


@dataclass(frozen=True)
class LabelScores:
    """How well one label is told, each score 0 … 1.

    Attributes:
        clips: how many clips have the label.
        precision: the share of clips taken for it that have it; 0 where none is.
        recall: the share of its clips taken for it.
        f1: the harmonic mean of both.
        intervals: of these three, by name.
    """

    clips: int
    precision: float
    recall: float
    f1: float
    intervals: Mapping[str, Interval]


@dataclass(frozen=True)
class Calibration:
    """How well confidence, the probability of the answer, agrees with how often answers are right.

    Attributes:
        error: expected calibration error (Guo et al. 2017): the mean distance of the two over ten bins of confidence;
            NaN where no clip has an answer among the model's labels.
        confidence: the mean over clips.
        bins: of those that have clips: ``from`` and ``to`` (confidence), ``clips``, mean ``confidence``, ``accuracy``.
    """

    error: float
    confidence: float
    bins: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on labelled clips.

    Attributes:
        clips: how many clips the scores are of.
        macro_f1: mean F1 over all labels that clips have or the model gave, as scikit-learn's ``f1_score`` has it: a
            label that the model gave and no clip has counts as one that is never right.
        macro_f1_of_clips: the same over the labels that clips have; other answers are wrong, and no more than that.
        accuracy: share of clips that are right.
        uar: unweighted average recall over the labels that clips have, as scikit-learn's ``balanced_accuracy_score``.
        uar_of_all: the same over all labels that clips have or the model gave, as its ``recall_score`` has it: a label
            that no clip has counts as 0.
        intervals: of the five scores above, by name.
        most_common: ``macro_f1`` of always naming the label that most clips have.
        labels: label → its scores.
        confusion: label of the clips → label of the model → number of clips.
        calibration: what confidence is worth.
        answers: of every clip, those that are left out included.
        left_out: clip → why it was not used.
        remarks: what else is not as one would expect, a sentence each.
    """

    clips: int
    macro_f1: float
    macro_f1_of_clips: float
    accuracy: float
    uar: float
    uar_of_all: float
    intervals: Mapping[str, Interval]
    most_common: float
    labels: dict[str, LabelScores]
    confusion: dict[str, dict[str, int]]
    calibration: Calibration
    answers: tuple[Answer, ...]
    left_out: dict[str, str]
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; beside each score stand its ``…_low`` and ``…_high``. The single answers are not in it."""
        plain = {key: value for key, value in vars(self).items() if key not in ("answers", "intervals")}
        return _with_intervals(plain, self.intervals) | {
            "labels": {
                name: _with_intervals({k: v for k, v in vars(one).items() if k != "intervals"}, one.intervals)
                for name, one in self.labels.items()
            },
            "calibration": vars(self.calibration) if self.calibration.bins else None,
        }


def _with_intervals(values: Mapping[str, Any], intervals: Mapping[str, Interval]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[name] = value
        if name in intervals:
            found[f"{name}_low"], found[f"{name}_high"] = intervals[name]
    return found


def scored(answers: Sequence[Answer], left_out: Mapping[str, str], remarks: Sequence[str] = ()) -> Evaluation:
    """Score the answers that are not left out, at least one.

    Args:
        answers: of every clip.
        left_out: clip → why it was not used; those of ``answers`` are added.
        remarks: what is to be told beside the scores.
    """
    used = [answer for answer in answers if not answer.left_out]
    truth, given = [answer.label for answer in used], [answer.prediction.label for answer in used]
    names = sorted({*truth, *given})
    counts = confusion([names.index(label) for label in truth], [names.index(label) for label in given], len(names))
    overall, by_label = _scores(counts[None])
    # Clips drawn anew, as many as there are: how often each pair of label and answer occurs.
    drawn = np.random.default_rng(0).multinomial(len(used), counts.ravel() / len(used), size=_RESAMPLES)
    drawn_overall, drawn_by_label = _scores(drawn.reshape(-1, *counts.shape))
    most_common = np.zeros_like(counts)
    most_common[:, counts.sum(axis=1).argmax()] = counts.sum(axis=1)
    labels = {
        name: LabelScores(
            clips=int(counts[row].sum()),
            precision=float(np.nan_to_num(by_label["precision"][0, row])),
            recall=float(np.nan_to_num(by_label["recall"][0, row])),
            f1=float(by_label["f1"][0, row]),
            intervals={score: _interval(values[:, row]) for score, values in drawn_by_label.items()},
        )
        for row, name in enumerate(names)
    }
    return Evaluation(
        clips=len(used),
        **{name: float(values[0]) for name, values in overall.items()},
        intervals={name: _interval(values) for name, values in drawn_overall.items()},
        most_common=float(_scores(most_common[None])[0]["macro_f1"][0]),
        labels=labels,
        confusion={
            name: {other: int(counts[row, column]) for column, other in enumerate(names)}
            for row, name in enumerate(names)
            if name in truth
        },
        calibration=_calibration(used),
        answers=tuple(answers),
        left_out=dict(left_out) | {answer.clip: answer.left_out for answer in answers if answer.left_out},
        remarks=(*_only_given(labels), *remarks),
    )


def _scores(counts: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return scores of counts ``(draws, labels, labels)``: overall ``(draws,)``, and of each label ``(draws, labels)``.

    Of a label, what has nothing to be computed from is NaN: precision without an answer, recall without a clip.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)
    clips, answers = counts.sum(axis=2), counts.sum(axis=1)
    with np.errstate(invalid="ignore"):
        precision, recall, f1 = right / answers, right / clips, 2 * right / (clips + answers)
    f1_of_clips = np.where(clips > 0, f1, np.nan)
    recall_of_all = np.where(clips + answers > 0, np.nan_to_num(recall), np.nan)
    overall = {
        "macro_f1": np.nanmean(f1, axis=1),
        "macro_f1_of_clips": np.nanmean(f1_of_clips, axis=1),
        "accuracy": right.sum(axis=1) / counts.sum(axis=(1, 2)),
        "uar": np.nanmean(recall, axis=1),
        "uar_of_all": np.nanmean(recall_of_all, axis=1),
    }
    return overall, {"precision": precision, "recall": recall, "f1": f1}


def _interval(values: np.ndarray) -> Interval:
    """Return the middle 95 of 100; of a label that no resample has, what is known of it: 0 to 1."""
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (0.0, 1.0)
    return float(low), float(high)


def _calibration(used: Sequence[Answer]) -> Calibration:
    """Of the clips that have one of the model's labels and were given one."""
    used = [answer for answer in used if NONE not in (answer.label, answer.prediction.label)]
    if not used:
        return Calibration(math.nan, math.nan, ())
    names = list(used[0].prediction.probabilities)
    chances = np.array([[answer.prediction.probabilities[name] for name in names] for answer in used])
    with np.errstate(divide="ignore"):
        counted = reliability(np.log(chances), [names.index(answer.label) for answer in used])
    width = 1 / len(counted[0])
    bins = tuple(
        {
            "from": round(index * width, 6),
            "to": round((index + 1) * width, 6),
            "clips": int(clips),
            "confidence": confidence / clips,
            "accuracy": right / clips,
        }
        for index, (clips, confidence, right) in enumerate(zip(*counted, strict=True))
        if clips
    )
    return Calibration(calibration_error(counted), float(chances.max(axis=1).mean()), bins)


def _only_given(labels: Mapping[str, LabelScores]) -> list[str]:
    """What to know of scores where the model gave a label that no clip has."""
    given = [name for name, scores in labels.items() if not scores.clips]
    if not given:
        return []
    of_clips = np.mean([scores.f1 for scores in labels.values() if scores.clips])
    return [
        f"No clip has the label {', '.join(given)}, which the model gave: macro F1 counts it as 0, UAR does not. "
        f"Over the labels of the clips alone, macro F1 is {of_clips:.3f}."
    ]
