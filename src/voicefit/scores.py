"""Scores of predictions: macro F1 and accuracy, confusion, calibration, and the scores of guessing."""

from collections.abc import Mapping, Sequence

import numpy as np

CALIBRATION_BINS = 10
"""Confidence from 0 to 1 is counted in this many bins of equal width."""


def score(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Return macro F1, accuracy and balanced accuracy, each 0 … 1; a class that is never predicted has F1 0.

    The definitions are scikit-learn's, whose functions check their input for longer than a trial takes.
    """
    found = score_all(np.array([truth]), np.array([predicted]), max(*truth, *predicted) + 1)
    return {name: float(values[0]) for name, values in found.items()}


def score_all(truth: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Return :func:`score` of several trials, ``(trials,)`` each.

    Args:
        truth: the right classes, ``(trials, clips)``.
        predicted: the answers, likewise.
        classes: how many there are.
    """
    counts = confusions(truth, predicted, classes)
    hits, of_truth, of_prediction = counts.diagonal(axis1=1, axis2=2), counts.sum(axis=2), counts.sum(axis=1)
    occurrences = of_truth + of_prediction
    return {
        "macro_f1": _mean_where(2 * hits, occurrences),
        "accuracy": hits.sum(axis=1) / truth.shape[1],
        "balanced_accuracy": _mean_where(hits, of_truth),
    }


def _mean_where(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Return the means of ``parts / wholes`` over the classes ``(trials, classes)`` whose whole is not 0."""
    shares = np.divide(parts, wholes, out=np.zeros(parts.shape), where=wholes > 0)
    return np.asarray(shares.sum(axis=1) / (wholes > 0).sum(axis=1))


def confusion(truth: Sequence[int], predicted: Sequence[int], classes: int) -> np.ndarray:
    """Count answers: ``(classes, classes)``, a row for each true class and a column for each answer.

    >>> confusion([0, 0, 1, 2], [0, 1, 1, 0], 3).tolist()
    [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    """
    return np.asarray(confusions(np.array([truth], np.int64), np.array([predicted], np.int64), classes)[0])


def confusions(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return :func:`confusion` of several trials ``(trials, clips)``: ``(trials, classes, classes)``."""
    trials = len(truth)
    pairs = (np.arange(trials)[:, None] * classes + truth) * classes + predicted
    return np.bincount(pairs.ravel(), minlength=trials * classes**2).reshape(trials, classes, classes)


def reliability(logits: np.ndarray, truth: Sequence[int]) -> list[list[float]]:
    """Count confidences for a reliability diagram (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        logits: ``(clips, classes)``.
        truth: the right class of each clip.

    Returns:
        three lists with a value for each of :data:`CALIBRATION_BINS` bins of confidence, the probability of the
        predicted class: the number of clips, the sum of their confidences, and the number of right predictions.
    """
    counts: list[list[float]] = reliabilities(logits[None], np.array([truth]))[0].tolist()
    return counts


def reliabilities(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return :func:`reliability` of several trials, ``(trials, 3, bins)``.

    Args:
        logits: ``(trials, clips, classes)``.
        truth: ``(trials, clips)``.
    """
    odds = np.exp(logits - logits.max(axis=2, keepdims=True))
    # The confidence of a head with NaN weights counts as 0.
    confidences = np.nan_to_num(1 / odds.sum(axis=2, dtype=np.float64))
    right = logits.argmax(axis=2) == truth
    bins = np.minimum((CALIBRATION_BINS * confidences).astype(int), CALIBRATION_BINS - 1)
    trials = len(logits)
    places = (CALIBRATION_BINS * np.arange(trials)[:, None] + bins).ravel()
    weights = (None, confidences.ravel(), right.ravel().astype(float))
    sums = [np.bincount(places, weight, trials * CALIBRATION_BINS).reshape(trials, -1) for weight in weights]
    return np.round(np.stack(sums, axis=1), 4)


def calibration_error(bins: Sequence[Sequence[float]]) -> float:
    """Return the expected calibration error of :func:`reliability`: mean distance of confidence and accuracy, 0 … 1.

    >>> round(calibration_error([[4, 6], [2.0, 5.4], [2, 3]]), 3)
    0.24
    """
    clips, confidences, right = (np.array(part) for part in bins)
    return float(np.abs(confidences - right).sum() / clips.sum())


def floors(truth: Sequence[int]) -> Mapping[str, float]:
    """Return the macro F1 that needs no model: always the commonest class, and even guesses.

    For a class with share p of the clips and guesses spread evenly over n classes, precision is p and recall
    1/n.

    >>> {name: round(value, 3) for name, value in floors([1] + [0] * 4).items()}
    {'floor_never': 0.444, 'floor_coin': 0.451}
    """
    return {name: float(values[0]) for name, values in floors_of(np.array([truth])).items()}


def floors_of(truth: np.ndarray) -> dict[str, np.ndarray]:
    """Return :func:`floors` of several trials ``(trials, clips)``, ``(trials,)`` each."""
    shares = (truth[:, :, None] == np.arange(truth.max() + 1)).mean(axis=1)
    classes = truth.max(axis=1) + 1
    most, even = shares.max(axis=1), 1 / classes[:, None]
    coin = (2 * shares * even / (shares + even)).sum(axis=1) / classes
    return {"floor_never": 2 * most / (1 + most) / classes, "floor_coin": coin}
