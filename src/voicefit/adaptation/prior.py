"""Begin at what the corpora know of the label, and move to what the shots say: a Gaussian process classifier.

Logistic likelihood, linear kernel over linear discriminants (Rasmussen & Williams 2006, "Gaussian Processes for Machine
Learning", sections 2.7 and 3.4). Its mean is the corpora's head of the label (:mod:`voicefit.heads.prior`), which
counts as a few shots and fades as shots come; a label that no corpus has begins at 0. Unlabelled clips of the speaker
move the head into the speaker's frame of reference and, by self-training, take part in the fit. The mode is linear in
pooled frames, so that an adapted model is an ordinary `transformers` classifier.

The constants were chosen on EMOVO and EmoDB speakers; research/prior.md has their measurements on others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydantic import Field

from voicefit.adaptation.method import Method, MethodSettings, fit_alone
from voicefit.adaptation.shots import Shots, ShotsBatch
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head, Heads, Projection
from voicefit.heads.logistic import expit, fit_logistic
from voicefit.heads.prior import Prior

_KERNEL_SCALE = 64.0
"""Prior variance of the logit of a clip that varies only as clips of one emotion do, the bias apart."""

_KERNEL_POWER = 0.25
"""Directions in which emotions differ more are learnt faster: variance ∝ signal ** power."""

_BIAS_VARIANCE = 10.0

_UNLABELLED_SHARE, _ROUNDS = 0.25, 3
"""All unlabelled clips together weigh as much as this share of the shots; rounds of self-training."""

_FEW = 8
"""Shots at which unlabelled clips of neutral speech count half."""

_SHIFT, _SHIFT_UNLABELLED = 0.5, 0.25
"""Decision threshold, in log-odds against one label among those that corpora share; self-training brings a part."""


class Settings(MethodSettings):
    """What to begin at."""

    prior_shots: float = Field(
        default=8.0, ge=0, description="the corpora's head counts as this many shots; 0 leaves it out"
    )


def fit_many(encoder: Any, shots: ShotsBatch, settings: Settings) -> Heads:
    """Return the modes of the posteriors (convex); several classes are fitted one by one. The encoder is not used.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    return posterior_heads(shots, settings)


def require_prior(shots: ShotsBatch, method: str) -> Prior:
    """Return what the start's corpora know of labels.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    if shots.voice.prior is None:
        raise VoicefitError(f"method {method} needs a pre-finetuned start, which knows the corpora's labels; take head")
    return shots.voice.prior


@dataclass(frozen=True)
class _Evidence:
    """What the trials of a voice are given of it, in discriminants.

    Attributes:
        prior: what the corpora know of labels.
        points: the shots, ``(trials, k, discriminants)``.
        importance: how many clips each shot counts as, ``(trials, k)``.
        unlabelled: the clips without labels, ``(trials, clips, discriminants)``.
        offsets: the voice's mean about the corpora's origin, ``(trials, discriminants)``.
        doubt: 0 … 1, how little the unlabelled clips teach beside the shots, ``(trials,)``; 1 without any.
    """

    prior: Prior
    points: np.ndarray
    importance: np.ndarray
    unlabelled: np.ndarray
    offsets: np.ndarray
    doubt: np.ndarray


def posterior_head(shots: Shots, settings: Settings, use_shots: bool = True) -> Head:
    """Return :func:`posterior_heads` of shots alone."""
    return posterior_heads(shots.alone(), settings, use_shots)[0]


def posterior_heads(shots: ShotsBatch, settings: Settings, use_shots: bool = True) -> Heads:
    """Return the modes for the classes of ``shots``.

    Args:
        shots: the labelled clips of one voice, and those without labels.
        settings: how much the corpora's heads count.
        use_shots: fit the heads to the shots too; otherwise they name the classes and nothing more.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    prior = require_prior(shots, "prior")
    given = _evidence(shots, prior, use_shots)
    targets = shots.targets[:, : given.points.shape[1]]
    if shots.one_vs_rest:
        names = [[labels[1]] for labels in shots.labels]
        shift = _SHIFT * prior.log_odds
        weight, bias = _posterior_modes(given, names, (targets == 1)[:, None], 0.0, shift, settings.prior_shots)
        bias = bias - ((_SHIFT_UNLABELLED + given.doubt * (_SHIFT - _SHIFT_UNLABELLED)) * prior.log_odds)[:, None]
        weights, biases = np.concatenate([-weight, weight], axis=1) / 2, np.concatenate([-bias, bias], axis=1) / 2
    else:
        names = [list(labels or ("",) * shots.classes) for labels in shots.labels]
        own = targets[:, None] == np.arange(shots.classes)[:, None]
        log_odds = -float(np.log(shots.classes - 1))
        weights, biases = _posterior_modes(given, names, own, log_odds, 0.0, settings.prior_shots)
    return Heads(Projection(prior.basis.T, -prior.origin @ prior.basis), weights, biases)


def _evidence(shots: ShotsBatch, prior: Prior, use_shots: bool) -> _Evidence:
    """Return what the shots, if they are used, and all unlabelled clips tell of their voice."""
    count = shots.rows.shape[1] if use_shots else 0
    points, unlabelled = (shots.voice.points.take(rows, axis=0) for rows in (shots.rows[:, :count], shots.unlabelled))
    doubt = np.ones(len(points))
    if unlabelled.shape[1]:  # neutral speech teaches nothing that many shots do not
        doubt = _narrowness(prior, unlabelled) * count / (_FEW + count)
    offsets = speaker_offsets(prior, unlabelled)
    return _Evidence(prior, points, shots.importance()[:, :count], unlabelled, offsets, doubt)


def _narrowness(prior: Prior, unlabelled: np.ndarray) -> np.ndarray:
    """Return how little unlabelled clips vary, ``(trials,)``: 1 where no more than clips of one emotion.

    Neutral speech alone does so. It is 0 where they vary at least half as much as clips of evenly mixed emotions, and
    what is between for something between.
    """
    directions = prior.shared - 1
    if unlabelled.shape[1] < 2 or directions < 1:
        return np.zeros(len(unlabelled))
    mixed = (unlabelled[:, :, :directions].var(axis=1, ddof=1) - 1).sum(axis=1) / prior.signal[:directions].sum()
    return np.asarray(np.clip(1 - 2 * mixed, 0, 1))


def speaker_offsets(prior: Prior, unlabelled: np.ndarray) -> np.ndarray:
    """Return the posterior mean of the speaker's mean about the origin, each discriminant by itself; 0 without clips.

    Narrow clips are taken for neutral speech. The shots do not count here: half of them carry the emotion, and the bias
    is free to follow them.

    Args:
        prior: how much speakers differ in the corpora.
        unlabelled: clips of the speaker, ``(trials, clips, discriminants)``.
    """
    count = unlabelled.shape[1]
    if not count:
        return np.zeros((len(unlabelled), len(prior.signal)))
    trust = prior.speakers / (prior.speakers + (1 + prior.signal) / count)
    return np.asarray(trust * (unlabelled.mean(axis=1) - _narrowness(prior, unlabelled)[:, None] * prior.neutral))


def _posterior_modes(
    given: _Evidence,
    names: Sequence[Sequence[str]],
    positive: np.ndarray,
    log_odds: float,
    unlabelled_shift: float,
    prior_shots: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights ``(trials, labels, discriminants)`` and biases at the modes for labels, each against the rest.

    Args:
        given: what is known of the speaker.
        names: of the labels of each trial; one that no corpus has begins at 0.
        positive: which shots carry it, ``(trials, labels, k)``.
        log_odds: of a label among the shots.
        unlabelled_shift: by how much they are lower among the unlabelled clips.
        prior_shots: the corpora's head counts as this many shots.
    """
    k, clips = given.points.shape[1], given.unlabelled.shape[1]
    mean, bias = _means(given, names, log_odds, prior_shots / (prior_shots + k) if prior_shots else 0.0)
    variance = weight_variance(given.prior)
    variances = variance[:-1], float(variance[-1])
    fitted = fit_logistic(
        given.points, positive.astype(float), given.importance, mean, variances[0], bias, variances[1]
    )
    # Without a shift the guesses are what the weights say already: they teach nothing.
    if not clips or not unlabelled_shift:
        return fitted
    points = np.concatenate([given.points, given.unlabelled], axis=1)
    share = (_UNLABELLED_SHARE * (1 - given.doubt) * k / clips)[:, None]
    importance = np.concatenate([given.importance, np.repeat(share, clips, axis=1)], axis=1)
    for _ in range(_ROUNDS):
        weight, offset = fitted
        guess = expit(weight @ given.unlabelled.swapaxes(1, 2) + (offset - unlabelled_shift)[:, :, None])
        goal = np.concatenate([positive, guess], axis=2)
        fitted = fit_logistic(points, goal, importance, mean, variances[0], bias, variances[1])
    return fitted


def _means(
    given: _Evidence, names: Sequence[Sequence[str]], log_odds: float, trust: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of weights ``(trials, labels, discriminants)`` and biases before any shot."""
    prior = given.prior
    heads = np.concatenate([prior.heads, np.zeros((1, prior.heads.shape[1]))])  # the last is of a label without any
    biases = np.append(prior.biases, 0.0)
    row_of = {label: row for row, label in enumerate(prior.labels)}
    rows = np.array([[row_of.get(name, -1) for name in trial] for trial in names])
    weights = heads[rows]
    moved = (weights @ given.offsets[:, :, None])[:, :, 0]
    return trust * weights, log_odds + trust * (biases[rows] - moved)


def weight_variance(prior: Prior) -> np.ndarray:
    """Return the variance of each weight before any shot, and last that of the bias, ``(discriminants + 1,)``."""
    power = (prior.signal / prior.signal[0]) ** _KERNEL_POWER
    return np.append(_KERNEL_SCALE * power / power.sum(), _BIAS_VARIANCE)


fit = partial(fit_alone, fit_many)

METHOD = Method("prior", fit, Settings, version=4, needs_prior=True, uses_unlabelled=True, fit_many=fit_many)
