"""Scores of predictions: macro F1 and accuracy, confusion, calibration, and the scores of guessing."""

from collections.abc import Mapping, Sequence

import numpy as np

CALIBRATION_BINS = 10
"""Confidence from 0 to 1 is counted in this many bins of equal width."""


def score(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Return macro F1, accuracy and balanced accuracy, each 0 … 1; a class that is never predicted has F1 0.

    The definitions are scikit-learn's, whose functions check their input for longer than a trial takes.
    """
    counts = confusion(truth, predicted, max(*truth, *predicted) + 1)
    hits, of_truth, of_prediction = np.diag(counts), counts.sum(1), counts.sum(0)
    occurs, in_truth = of_truth + of_prediction > 0, of_truth > 0
    return {
        "macro_f1": float((2 * hits[occurs] / (of_truth + of_prediction)[occurs]).mean()),
        "accuracy": float(hits.sum() / len(truth)),
        "balanced_accuracy": float((hits[in_truth] / of_truth[in_truth]).mean()),
    }


def confusion(truth: Sequence[int], predicted: Sequence[int], classes: int) -> np.ndarray:
    """Count answers: ``(classes, classes)``, a row for each true class and a column for each answer.

    >>> confusion([0, 0, 1, 2], [0, 1, 1, 0], 3).tolist()
    [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    """
    pairs = classes * np.array(truth) + np.array(predicted)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def reliability(logits: np.ndarray, truth: Sequence[int]) -> list[list[float]]:
    """Count confidences for a reliability diagram (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        logits: ``(clips, classes)``.
        truth: the right class of each clip.

    Returns:
        three lists with a value for each of :data:`CALIBRATION_BINS` bins of confidence, the probability of the
        predicted class: the number of clips, the sum of their confidences, and the number of right predictions.
    """
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    # The confidence of a head with NaN weights counts as 0.
    confidences = np.nan_to_num(1 / odds.sum(axis=1, dtype=np.float64))
    right = logits.argmax(axis=1) == np.array(truth)
    bins = np.minimum((CALIBRATION_BINS * confidences).astype(int), CALIBRATION_BINS - 1)
    sums = [np.bincount(bins, weights, CALIBRATION_BINS) for weights in (None, confidences, right.astype(float))]
    return [np.round(values, 4).tolist() for values in sums]


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
    shares = np.bincount(truth) / len(truth)
    even = 1 / len(shares)
    never = 2 * shares.max() / (1 + shares.max()) / len(shares)
    return {"floor_never": float(never), "floor_coin": float(np.mean(2 * shares * even / (shares + even)))}
