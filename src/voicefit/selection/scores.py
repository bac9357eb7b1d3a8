"""How well a corpus may serve a new voice, told from a few labelled clips before anything is trained.

Pure functions of arrays: pooled vectors or linear discriminants of them, what a corpus' heads say, and labels. Each
score is larger where more transfer is expected, except :func:`proxy_a_distance`.
"""

from collections.abc import Collection

import numpy as np
from scipy.linalg import helmert
from scipy.special import log_softmax
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import BayesianRidge
from sklearn.metrics import recall_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from voicefit.errors import VoicefitError

_FOLDS, _SOURCE_CLIPS = 5, 500
"""Of the classifier that tells corpus from voice; clips of the corpus that it sees, taken at even distances."""

_ENERGY = 0.8
"""Share of the variance that NLEEP keeps, as its authors do."""


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
    names = _names(labels)
    contrasts = helmert(len(labels))
    varied, evidence = contrasts @ features, []
    for name in names:
        model = BayesianRidge(fit_intercept=False, compute_score=True, max_iter=1000, tol=1e-5)
        model.fit(varied, contrasts @ (labels == name))
        evidence.append(model.scores_[-1] / len(contrasts))
    return float(np.mean(evidence))


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """Variance between labels relative to all variance (Bao et al. 2019, "An Information-Theoretic Approach …", ICIP).

    tr(cov(f)⁻¹ cov(E[f | y])), equation 2, with the shrinkage of Ibrahim et al. 2022 ("Newer is not always better"):
    the covariance is drawn towards a multiple of the identity by Ledoit & Wolf's share, and that between labels
    towards 0. Of a few clips the covariance is singular, and the score would be the number of labels less one for
    every corpus.

    Args:
        features: ``(clips, d)``.
        labels: ``(clips,)``, of at least two kinds.

    Returns:
        0 or more; more is better.

    Raises:
        VoicefitError: fewer than two labels.
    """
    names = _names(labels)
    centred = features - features.mean(axis=0)
    expected = np.zeros_like(centred)
    for name in names:
        expected[labels == name] = centred[labels == name].mean(axis=0)
    covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
    between = (1 - shrinkage) * expected.T @ expected / len(labels)
    return float(np.trace(np.linalg.solve(covariance, between)))


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Log expected empirical prediction (Nguyen et al. 2020, "LEEP", ICML, section 3).

    The mean log-likelihood of the labels under the classifier that draws a source label from the source's head, then a
    target label from their empirical joint distribution.

    Args:
        probabilities: ``(clips, source labels)``, each row adds up to 1.
        labels: ``(clips,)``, the target's.

    Returns:
        0 or less; more is better.
    """
    _, index = np.unique(labels, return_inverse=True)
    joint = np.zeros((index.max() + 1, probabilities.shape[1]))
    np.add.at(joint, index, probabilities)
    conditional = joint / np.maximum(joint.sum(axis=0), np.finfo(float).tiny)
    return float(np.log((probabilities * conditional[index]).sum(axis=1)).mean())


def nleep(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """:func:`leep` with the components of a Gaussian mixture in place of the source's labels.

    Li et al. 2021, "Ranking Neural Checkpoints", CVPR, section 4: principal components of 80 % of the variance, then a
    mixture. Theirs has several components a label and free covariances; a few clips allow one a label,
    spherical.

    Args:
        features: ``(clips, d)``.
        labels: ``(clips,)``, of at least two kinds.
        seed: of the mixture's beginning.

    Returns:
        0 or less; more is better.

    Raises:
        VoicefitError: fewer than two labels.
    """
    names = _names(labels)
    reduced = PCA(_ENERGY, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(len(names), covariance_type="spherical", n_init=5, random_state=seed).fit(reduced)
    return leep(mixture.predict_proba(reduced), labels)


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
    _names(labels)
    _, index = np.unique(labels, return_inverse=True)
    centred = log_odds - log_odds.mean(axis=0)
    return float(np.mean(log_softmax(centred, axis=1)[np.arange(len(index)), index]))


def label_overlap(source: Collection[str], target: Collection[str]) -> float:
    """Share of the target's labels that the source has, 0 … 1."""
    wanted = set(target)
    return len(wanted & set(source)) / len(wanted)


def proxy_a_distance(source: np.ndarray, target: np.ndarray) -> float:
    """How easily a linear classifier tells the corpus from the voice (Ben-David et al. 2007, section 4).

    2 (1 - 2 ε), with ε the cross-validated error, both sides counting the same.

    Args:
        source: ``(clips, d)``, the corpus.
        target: ``(clips, d)``, at least two clips.

    Returns:
        about 0 (not to be told apart) … 2; less is better.
    """
    source = source[np.linspace(0, len(source) - 1, min(_SOURCE_CLIPS, len(source))).round().astype(int)]
    sides = np.repeat([0, 1], [len(source), len(target)])
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
    folds = StratifiedKFold(min(_FOLDS, len(source), len(target)), shuffle=True, random_state=0)
    guesses = cross_val_predict(model, np.vstack([source, target]), sides, cv=folds)
    return float(2 * (2 * recall_score(sides, guesses, average="macro") - 1))


def _names(labels: np.ndarray) -> list[str]:
    names = [str(name) for name in np.unique(labels)]
    if len(names) < 2:
        raise VoicefitError(f"clips of two labels are needed, found {', '.join(names) or 'none'}")
    return names
