"""Label all recordings of a voice together: what the corpora know, the shots, and the clips without labels.

A mixture of Gaussians, one a label, with one covariance for all, fitted by expectation maximisation (Dempster, Laird &
Rubin 1977) in the discriminants of the start. The first guess of a clip's label is that of the method `prior`; the
shots keep their labels. The means are those of this voice, shrunk towards its centre. The covariance is learnt from
all clips of the voice: it holds what else varies there, such as words, loudness and the room. Gaussians that share a
covariance are told apart by a linear function, so that an adapted model is an ordinary `transformers` classifier.

Without unlabelled clips the method is `prior`. The constants were looked at on all targets of
research/joint.md; research/joint_constants.md has what the other targets would choose for each.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from voicefit.adaptation import prior as posterior
from voicefit.adaptation.method import Method, MethodSettings
from voicefit.adaptation.shots import Shots
from voicefit.heads.head import Head
from voicefit.heads.logistic import fit_logistic, log_softmax, softmax
from voicefit.heads.novelty import posterior_means
from voicefit.heads.prior import Prior

_WIDTH = 64
"""So many leading discriminants are modelled; 128 were no better."""

_ROUNDS = 30

_GUESS_WEIGHT = 0.5
"""Weight of the first guess while clips are labelled together: it is surer than it is right."""

_COVARIANCE_CLIPS = 100.0
"""The covariance of clips of one label in the corpora, the identity, counts as so many clips of the voice."""

_HALF_TRUST = 16.0
"""Unlabelled clips a label at which the mixture counts half."""

_UNLABELLED_IMPORTANCE = 0.25
"""An unlabelled clip counts as this share of a shot where one emotion is told from the rest."""


class Settings(MethodSettings):
    """Nothing can be set."""


def fit(encoder: Any, shots: Shots, settings: Settings, seed: int) -> Head:
    """Return the head that labels the voice's clips together; encoder and seed are not used.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    return joint_head(shots)


def joint_head(shots: Shots) -> Head:
    """Return the head of all clips labelled together.

    Args:
        shots: the labelled clips of one voice, none if need be, and those without labels.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    known = posterior.require_prior(shots, "joint")
    first = posterior.posterior_head(shots, posterior.Settings())
    if not len(shots.unlabelled):
        return first
    points = np.vstack([known.project(shots.pooled), known.project(shots.unlabelled)])
    targets = shots.targets
    weights = first.classifier_weight.astype(np.float64)
    biases = first.classifier_bias.astype(np.float64)
    if shots.one_vs_rest:
        weight, bias = _one_from_the_rest(known, shots, points, targets, weights[1] - weights[0], biases[1] - biases[0])
        weights, biases = np.vstack([-weight, weight]) / 2, np.array([-bias, bias]) / 2
    else:
        allowed = np.ones((len(points), shots.classes), dtype=bool)
        allowed[: len(targets)] = targets[:, None] == np.arange(shots.classes)
        mixture = fit_mixture(known, points, points @ weights.T + biases, allowed, len(shots.unlabelled))
        weights[:, : mixture.weights.shape[1]] += mixture.weights
        biases = biases + mixture.biases
    return Head(first.projector_weight, first.projector_bias, weights, biases)


@dataclass(frozen=True)
class Mixture:
    """Gaussians that share a covariance, as a linear classifier.

    Attributes:
        weights: ``(labels, width)``, what a clip's leading discriminants add to the logit of each label.
        biases: ``(labels,)``.
        responsibilities: ``(clips, labels)``, the probability of each label for each clip; rows add up to 1.
    """

    weights: np.ndarray
    biases: np.ndarray
    responsibilities: np.ndarray


def fit_mixture(prior: Prior, points: np.ndarray, guess: np.ndarray, allowed: np.ndarray, unlabelled: int) -> Mixture:
    """Label clips together by expectation maximisation.

    Args:
        prior: how much labels and speakers differ in the corpora.
        points: clips of one voice, ``(clips, discriminants)``.
        guess: logits of their labels, ``(clips, labels)``.
        allowed: which labels a clip may have, ``(clips, labels)``; a shot has its own alone.
        unlabelled: how many of the clips have no label.
    """
    points, labels = points[:, :_WIDTH], guess.shape[1]
    # With few clips the mixture may follow the words that were said, and not how.
    trust = unlabelled / (unlabelled + _HALF_TRUST * labels)
    barred = np.where(allowed, 0.0, -np.inf)
    start = _GUESS_WEIGHT * log_softmax(guess) + barred
    responsibilities = softmax(log_softmax(guess) + barred)
    for _ in range(_ROUNDS):
        weights, biases = _gaussians(prior, points, responsibilities)
        weights, biases = trust * weights, trust * biases
        responsibilities = softmax(start + points @ weights.T + biases)
    return Mixture(weights, biases, responsibilities)


def _gaussians(prior: Prior, points: np.ndarray, responsibilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-density of each label's Gaussian, up to what all share: weights ``(labels, width)`` and biases."""
    counts, sums = responsibilities.sum(axis=0)[:, None], responsibilities.T @ points
    means, variance = posterior_means(prior, counts[:, 0], sums)
    scatter = points.T @ points - sums.T @ means - means.T @ sums + (means * counts).T @ means
    scatter += np.diag((counts * variance).sum(axis=0) + _COVARIANCE_CLIPS)
    covariance = scatter / (len(points) + _COVARIANCE_CLIPS)
    weights = np.linalg.solve(covariance, means.T).T
    return weights, -(weights * means).sum(axis=1) / 2


def _one_from_the_rest(
    prior: Prior, shots: Shots, points: np.ndarray, targets: np.ndarray, weight: np.ndarray, bias: float
) -> tuple[np.ndarray, float]:
    """Return weight and bias of the log-odds of one label, where the rest has no names.

    The rest is a mixture of the corpora's other labels; a shot of the rest may have any of them. A linear function is
    then fitted to the probabilities of all clips.

    Args:
        prior: what the corpora know of labels.
        shots: one label and the rest.
        points: shots and unlabelled clips, ``(clips, discriminants)``.
        targets: 1 for a shot of the label, 0 for one of the rest, ``(shots,)``.
        weight: of the log-odds by the method `prior`, ``(discriminants,)``.
        bias: likewise.
    """
    log_odds = points @ weight + bias
    others = [row for row, label in enumerate(prior.labels) if label != shots.labels[1]]
    offset = posterior.speaker_offset(prior, prior.project(shots.unlabelled))
    names = (points - offset) @ prior.heads[others].T + prior.biases[others] if others else np.zeros((len(points), 1))
    has_it, has_not = -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)
    guess = np.column_stack([has_it, has_not[:, None] + log_softmax(names)])
    allowed = np.ones(guess.shape, dtype=bool)
    allowed[: len(targets), 0] = targets == 1
    allowed[: len(targets), 1:] = (targets == 0)[:, None]
    found = fit_mixture(prior, points, guess, allowed, len(shots.unlabelled)).responsibilities[:, 0]
    importance = np.full(len(points), _UNLABELLED_IMPORTANCE)
    importance[: len(targets)] = shots.importance()
    ones = np.ones((len(points), 1))
    mean, variance = np.append(weight, bias), posterior.weight_variance(prior)
    fitted = fit_logistic(np.hstack([points, ones]), found, importance, mean, variance)
    return fitted[:-1], float(fitted[-1])


METHOD = Method("joint", fit, Settings, version=1, needs_prior=True, uses_unlabelled=True)
