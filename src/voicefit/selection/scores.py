"""How well a corpus may serve a new voice, estimated from a few labelled clips before anything is trained.

Pure functions of arrays: linear discriminants of pooled vectors, what a corpus' heads say, and labels. Each score is
larger where more transfer is expected. Others, which were measured to say less, are in experiments/transferability.py.
"""

import numpy as np
from scipy.linalg import helmert
from scipy.special import log_softmax
from sklearn.linear_model import BayesianRidge

from voicefit.errors import VoicefitError


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Logarithm of maximum evidence (You et al. 2021, "LogME", ICML, equations 2 and 3).

    The log evidence, per contrast and averaged over labels, of a Bayesian linear regression from the features to
    whether a clip has the label, at the precisions of weights and noise that maximise it. Clips enter by their Helmert
    contrasts, one fewer than clips: the mean of one voice says nothing of its emotions.

    Args:
        features: ``(clips, d)``.
        labels: ``(clips,)``, of at least two kinds.

    Returns:
        any real number; more is better.

    Raises:
        VoicefitError: fewer than two labels.
    """
    names = label_names(labels)
    contrasts = helmert(len(labels))
    varied, evidence = contrasts @ features, []
    for name in names:
        model = BayesianRidge(fit_intercept=False, compute_score=True, max_iter=1000, tol=1e-5)
        model.fit(varied, contrasts @ (labels == name))
        evidence.append(model.scores_[-1] / len(contrasts))
    return float(np.mean(evidence))


def zero_shot(log_odds: np.ndarray, labels: np.ndarray) -> float:
    """How well the corpora's own heads tell the target's labels untrained: the mean log-probability of the true label.

    Each head's log-odds are centred over the clips, since a voice's mean says nothing of its emotions, and become
    probabilities among the target's labels by a softmax.

    Args:
        log_odds: ``(clips, target labels)``, the labels sorted; 0 for a label that the corpora do not have.
        labels: ``(clips,)``, of at least two kinds.

    Returns:
        0 or less; more is better; minus the logarithm of the number of labels is a guess.

    Raises:
        VoicefitError: fewer than two labels.
    """
    label_names(labels)
    _, index = np.unique(labels, return_inverse=True)
    centred = log_odds - log_odds.mean(axis=0)
    return float(np.mean(log_softmax(centred, axis=1)[np.arange(len(index)), index]))


def label_names(labels: np.ndarray) -> list[str]:
    """Return the labels that there are, sorted.

    Args:
        labels: ``(clips,)``.

    Raises:
        VoicefitError: fewer than two.
    """
    names = [str(name) for name in np.unique(labels)]
    if len(names) < 2:
        raise VoicefitError(f"clips of two labels are needed, found {', '.join(names) or 'none'}")
    return names
