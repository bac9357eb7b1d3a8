"""How right answers are, how sure they were, and what needs no model."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

BINS = 10
"""Of confidence, from 0 to 1."""


def score(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Macro F1, accuracy and balanced accuracy, each 0 … 1; a class that is never predicted has F1 0.

    As in scikit-learn, whose own functions check their input for longer than a trial takes.
    """
    classes = max(*truth, *predicted) + 1
    pairs = classes * np.array(truth) + np.array(predicted)
    confusion = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    hits, of_truth, of_prediction = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    occurs, in_truth = of_truth + of_prediction > 0, of_truth > 0
    return {
        "macro_f1": float((2 * hits[occurs] / (of_truth + of_prediction)[occurs]).mean()),
        "accuracy": float(hits.sum() / len(truth)),
        "balanced_accuracy": float((hits[in_truth] / of_truth[in_truth]).mean()),
    }


def reliability(logits: Tensor, truth: Sequence[int]) -> list[list[float]]:
    """What a reliability diagram is drawn from (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        logits: ``(clips, classes)``.
        truth: the classes.

    Returns:
        for each of `BINS` equal bins of confidence, the probability of the answer: number of clips, sum of their
        confidences, and how many were answered right; three lists.
    """
    confidence, answer = logits.softmax(1).max(1)
    # A head that came out as no number is sure of nothing.
    confidences, right = np.nan_to_num(confidence.double().numpy()), answer.numpy() == np.array(truth)
    bins = np.minimum((BINS * confidences).astype(int), BINS - 1)
    counts = [np.bincount(bins, weights, BINS) for weights in (None, confidences, right.astype(float))]
    return [np.round(each, 4).tolist() for each in counts]


def floors(truth: Sequence[int]) -> Mapping[str, float]:
    """Macro F1 that needs no model: of answering the commonest class always, and of guessing evenly.

    For a class with share p of the clips and guesses spread evenly over n classes, precision is p and recall
    1/n.

    >>> {name: round(value, 3) for name, value in floors([1] + [0] * 4).items()}
    {'floor_never': 0.444, 'floor_coin': 0.451}
    """
    shares = np.bincount(truth) / len(truth)
    even = 1 / len(shares)
    never = 2 * shares.max() / (1 + shares.max()) / len(shares)
    return {"floor_never": float(never), "floor_coin": float(np.mean(2 * shares * even / (shares + even)))}
