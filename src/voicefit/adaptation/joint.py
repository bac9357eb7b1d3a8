"""Label all recordings of a voice together: what the corpora know, the shots, and the clips without labels.

A mixture of Gaussians, one a label, with one covariance for all, fitted by expectation maximisation (Dempster, Laird &
Rubin 1977) in the discriminants of the start. The first guess of a clip's label is that of the method `prior`; the
shots keep their labels. The means are those of this voice, shrunk towards its centre. The covariance is learnt from
all clips of the voice: it holds what else varies there, such as words, loudness and the room. Gaussians that share a
covariance are told apart by a linear function, so that an adapted model is an ordinary `transformers` classifier.

Without unlabelled clips the method is `prior`; with few it lies between `prior` and the mixture. The constants were
looked at on all targets of research/joint.md; research/joint_constants.md has what the other targets would choose for
each.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from voicefit.adaptation import prior as posterior
from voicefit.adaptation.method import Method, MethodSettings, fit_alone
from voicefit.adaptation.shots import Shots, ShotsBatch
from voicefit.heads.head import Head, Heads
from voicefit.heads.logistic import fit_logistic, log_softmax, softmax, transposed
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

_RECORDINGS_A_LABEL = 4.0
"""Unlabelled clips a label from which the mixture counts in full; with fewer the head is nearer to that of `prior`."""

_UNLABELLED_IMPORTANCE = 0.25
"""An unlabelled clip counts as this share of a shot where one emotion is told from the rest."""


_COOLED, _COOLED_BY_FEW = 1.0, 7.5
"""By how much the temperature of a mixture that counts in full is above 1: with many shots, and with none more."""


class Settings(MethodSettings):
    """Nothing can be set."""


def fit_many(encoder: Any, shots: ShotsBatch, settings: Settings) -> Heads:
    """Return the heads that label the voice's clips together, as sure as they are right; the encoder is not used.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    heads = joint_heads(shots)
    (_, k), recordings = shots.rows.shape, shots.unlabelled.shape[1]
    if shots.one_vs_rest:
        labels = len(posterior.require_prior(shots, "joint").labels)  # the rest is a mixture of them
        return heads.cooled(temperature(k / 2, recordings, labels, one_vs_rest=True))
    return heads.cooled(temperature(k / shots.classes, recordings, shots.classes))


def trust(unlabelled: int, labels: Any) -> Any:
    """Return the weight of the mixture beside the first guess, 0 … 1: with few clips it may follow what was said."""
    return unlabelled / (unlabelled + _HALF_TRUST * labels)


def share(unlabelled: int, labels: Any) -> Any:
    """Return how much of what the mixture would change is changed, 0 … 1: a few clips of a label tell little of it."""
    return np.minimum(1.0, unlabelled / (_RECORDINGS_A_LABEL * labels))


def temperature(shots: float, unlabelled: int, labels: int, *, one_vs_rest: bool = False) -> float:
    """Return what to divide logits by, 1 where there are no recordings: the mixture is surer than it is right.

    Args:
        shots: labelled clips a label.
        unlabelled: recordings without labels that are labelled together.
        labels: how many labels there are.
        one_vs_rest: whether one is told from the others: the head is then fitted to the mixture, and less sure.
    """
    above = float(share(unlabelled, labels) * trust(unlabelled, labels) ** 0.5) * (
        _COOLED + _COOLED_BY_FEW / (1 + shots)
    )
    return 1 + above / (3 if one_vs_rest else 1)


def joint_head(shots: Shots) -> Head:
    """Return :func:`joint_heads` of shots alone."""
    return joint_heads(shots.alone())[0]


def joint_heads(shots: ShotsBatch) -> Heads:
    """Return the heads of all clips labelled together, before their temperature.

    Args:
        shots: the labelled clips of one voice, none if need be, and those without labels.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    known = posterior.require_prior(shots, "joint")
    first = posterior.posterior_heads(shots, posterior.Settings())
    (trials, unlabelled), k = shots.unlabelled.shape, shots.rows.shape[1]
    if not unlabelled:
        return first
    points = shots.voice.points[np.hstack([shots.rows, shots.unlabelled])]
    weights, biases = first.weights.astype(np.float64), first.biases.astype(np.float64)
    if shots.one_vs_rest:
        log_odds = weights[:, 1] - weights[:, 0], biases[:, 1] - biases[:, 0]
        weight, bias = _one_from_the_rest(known, shots, points, *log_odds)
        weights, biases = np.concatenate([-weight, weight], axis=1) / 2, np.concatenate([-bias, bias], axis=1) / 2
    else:
        allowed = np.ones((trials, k + unlabelled, shots.classes), dtype=bool)
        allowed[:, :k] = shots.targets[:, :, None] == np.arange(shots.classes)
        guess = points @ transposed(weights) + biases[:, None]
        labels = np.full(trials, shots.classes)
        mixture = fit_mixtures(known, points, guess, allowed, unlabelled, labels)
        weights[:, :, : mixture.weights.shape[2]] += mixture.weights
        biases = biases + mixture.biases
    return Heads(first.projection, weights, biases)


@dataclass(frozen=True)
class Mixture:
    """Gaussians that share a covariance, as linear classifiers, one for each trial.

    Attributes:
        weights: ``(trials, labels, width)``, what a clip's leading discriminants add to the logit of each label.
        biases: ``(trials, labels)``.
        responsibilities: ``(trials, clips, labels)``, the probability of each label for each clip; rows add up to 1.
    """

    weights: np.ndarray
    biases: np.ndarray
    responsibilities: np.ndarray


def fit_mixtures(
    prior: Prior, points: np.ndarray, guess: np.ndarray, allowed: np.ndarray, unlabelled: int, labels: np.ndarray
) -> Mixture:
    """Label clips together by expectation maximisation, in each trial by itself.

    Args:
        prior: how much labels and speakers differ in the corpora.
        points: clips of one voice, ``(trials, clips, discriminants)``.
        guess: logits of their labels, ``(trials, clips, labels)``.
        allowed: which labels a clip may have, likewise; a shot has its own alone.
        unlabelled: how many of the clips have no label.
        labels: how many labels each trial has, ``(trials,)``; others are allowed to no clip.
    """
    points = np.ascontiguousarray(points[:, :, :_WIDTH])
    weight = trust(unlabelled, labels)
    barred = np.where(allowed, 0.0, -np.inf)
    start = _GUESS_WEIGHT * log_softmax(guess) + barred
    responsibilities = softmax(log_softmax(guess) + barred)
    squares = transposed(points) @ points
    for _ in range(_ROUNDS):
        weights, biases = _gaussians(prior, points, squares, responsibilities)
        weights, biases = weight[:, None, None] * weights, weight[:, None] * biases
        responsibilities = softmax(start + points @ transposed(weights) + biases[:, None])
    part = share(unlabelled, labels)
    return Mixture(part[:, None, None] * weights, part[:, None] * biases, responsibilities)


def _gaussians(
    prior: Prior, points: np.ndarray, squares: np.ndarray, responsibilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-density of each label's Gaussian, up to what all share: weights and biases.

    Args:
        prior: see :func:`fit_mixtures`.
        points: ``(trials, clips, width)``.
        squares: their products, summed over the clips, ``(trials, width, width)``.
        responsibilities: ``(trials, clips, labels)``.
    """
    (_, clips, _), diagonal = points.shape, range(points.shape[2])
    counts, sums = responsibilities.sum(axis=1)[:, :, None], transposed(responsibilities) @ points
    means, variance = posterior_means(prior, counts[:, :, 0], sums)
    cross = transposed(sums) @ means
    scatter = squares - cross - transposed(cross) + transposed(means * counts) @ means
    scatter[:, diagonal, diagonal] += (counts * variance).sum(axis=1) + _COVARIANCE_CLIPS
    covariance = scatter / (clips + _COVARIANCE_CLIPS)
    weights = transposed(np.linalg.solve(covariance, transposed(means)))
    return weights, -(weights * means).sum(axis=2) / 2


def _one_from_the_rest(
    prior: Prior, shots: ShotsBatch, points: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights ``(trials, 1, discriminants)`` and biases of the log-odds of one label; the rest has no names.

    The rest is a mixture of the corpora's other labels; a shot of the rest may have any of them. A linear function is
    then fitted to the probabilities of all clips.

    Args:
        prior: what the corpora know of labels.
        shots: one label and the rest.
        points: shots and unlabelled clips, ``(trials, clips, discriminants)``.
        weight: of the log-odds by the method `prior`, ``(trials, discriminants)``.
        bias: likewise, ``(trials,)``.
    """
    k = shots.rows.shape[1]
    log_odds = (points @ weight[:, :, None])[:, :, 0] + bias[:, None]
    has_it, has_not = -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)
    names, is_other = _names_of_the_rest(prior, shots, points)
    guess = np.concatenate([has_it[:, :, None], has_not[:, :, None] + log_softmax(names)], axis=2)
    allowed = np.ones(guess.shape, dtype=bool)
    allowed[:, :, 1:] = is_other[:, None]
    allowed[:, :k, 0] = shots.targets == 1
    allowed[:, :k, 1:] &= (shots.targets == 0)[:, :, None]
    labels = 1 + is_other.sum(axis=1)
    unlabelled = shots.unlabelled.shape[1]
    found = fit_mixtures(prior, points, guess, allowed, unlabelled, labels).responsibilities[:, :, 0]
    importance = np.full(found.shape, _UNLABELLED_IMPORTANCE)
    importance[:, :k] = shots.importance()
    variance = posterior.weight_variance(prior)
    weight, bias = weight[:, None], bias[:, None]
    to_weight, to_bias = fit_logistic(
        points, found[:, None], importance, weight, variance[:-1], bias, float(variance[-1])
    )
    part = share(unlabelled, labels)[:, None]
    return weight + part[:, None] * (to_weight - weight), bias + part * (to_bias - bias)


def _names_of_the_rest(prior: Prior, shots: ShotsBatch, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return logits of the corpora's labels, ``(trials, clips, labels)``, and which may be the rest's.

    A trial's own label is not. Where corpora know no other, the rest is one label without a name.
    """
    is_other = np.array([[label != labels[1] for label in prior.labels] for labels in shots.labels])
    is_other[~is_other.any(axis=1)] = True
    offsets = posterior.speaker_offsets(prior, shots.voice.points[shots.unlabelled])
    names = (points - offsets[:, None]) @ prior.heads.T + prior.biases
    return np.where(is_other[:, None], names, -np.inf), is_other


fit = partial(fit_alone, fit_many)

METHOD = Method("joint", fit, Settings, version=4, needs_prior=True, uses_unlabelled=True, fit_many=fit_many)
