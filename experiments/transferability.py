"""Scores of how well corpora may serve a voice that were measured to say less than those of `voicefit select`.

Pure functions of arrays, as in :mod:`voicefit.selection.scores`, and all of them for corpora and a voice. Each score is
larger where more transfer is expected, except :func:`proxy_a_distance`.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy.special import expit
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import recall_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from voicefit.heads.prior import Prior
from voicefit.selection.ranking import PooledCorpus
from voicefit.selection.scores import label_names

TITLES: Mapping[str, str] = {
    "h_score": "H-score",
    "nleep": "NLEEP",
    "leep": "LEEP",
    "label_overlap": "overlap",
    "proxy_a_distance": "A-distance",
}
"""The names of :func:`transferability`, as a table shows them."""

_FOLDS = 5
"""Folds of the cross-validation of the classifier that tells corpus from voice."""

_SOURCE_CLIPS = 500
"""The most clips of the corpus that this classifier gets, taken at even distances."""

_ENERGY = 0.8
"""The share of the variance that NLEEP keeps, as its authors do."""


def transferability(group: Sequence[PooledCorpus], prior: Prior, voice: PooledCorpus) -> dict[str, float]:
    """Score corpora together for a voice, by the names of :data:`TITLES`.

    Args:
        group: the corpora.
        prior: what :func:`voicefit.selection.ranking.learn_together` learns from them.
        voice: clips of the target, of at least two labels.

    Raises:
        VoicefitError: fewer than two labels.
    """
    points, labels = prior.project(voice.vectors.numpy()), np.array([str(clip.label) for clip in voice.corpus.clips])
    answers = expit(points @ prior.heads.T + prior.biases)
    source = np.vstack([prior.project(part.vectors.numpy()) for part in group])
    return {
        "h_score": h_score(points, labels),
        "nleep": nleep(points, labels),
        "leep": leep(answers / answers.sum(axis=1, keepdims=True), labels),
        "label_overlap": label_overlap(prior.labels, labels),
        "proxy_a_distance": proxy_a_distance(source, points),
    }


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
    names = label_names(labels)
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
    names = label_names(labels)
    reduced = PCA(_ENERGY, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(len(names), covariance_type="spherical", n_init=5, random_state=seed).fit(reduced)
    return leep(mixture.predict_proba(reduced), labels)


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
