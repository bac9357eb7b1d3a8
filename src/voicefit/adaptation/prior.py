"""Begin at what the corpora know of the label, and move to what the shots say: a Gaussian process classifier.

Logistic likelihood, linear kernel over linear discriminants (Rasmussen & Williams 2006, "Gaussian Processes for Machine
Learning", sections 2.7 and 3.4). Its mean is the corpora's head of the label (:mod:`voicefit.heads.prior`), which
counts as a few shots and fades as shots come; a label that no corpus has begins at 0. Unlabelled clips of the speaker
move the head into the speaker's frame of reference and, by self-training, take part in the fit. The mode is linear in
pooled frames, so that an adapted model is an ordinary `transformers` classifier.

The constants were chosen on EMOVO and EmoDB speakers; research/prior.md has their measurements on others.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from voicefit.adaptation.method import Method, MethodSettings
from voicefit.adaptation.shots import Shots
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head
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


def fit(encoder: Any, shots: Shots, settings: Settings, seed: int) -> Head:
    """Return the mode of the posterior (convex); several classes are fitted one by one. Encoder and seed are not used.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    return posterior_head(shots, settings)


def require_prior(shots: Shots, method: str) -> Prior:
    """Return what the start's corpora know of labels.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    if shots.prior is None:
        raise VoicefitError(f"method {method} needs a pre-finetuned start, which knows the corpora's labels; take head")
    return shots.prior


@dataclass(frozen=True)
class _Voice:
    """What is known of a voice, in discriminants.

    Attributes:
        prior: what the corpora know of labels.
        points: the shots, ``(k, discriminants)``.
        importance: how many clips each shot counts as, ``(k,)``.
        unlabelled: the clips without labels, ``(clips, discriminants)``.
        offset: the voice's mean about the corpora's origin, ``(discriminants,)``.
        doubt: 0 … 1, how little the unlabelled clips teach beside the shots; 1 without any.
    """

    prior: Prior
    points: np.ndarray
    importance: np.ndarray
    unlabelled: np.ndarray
    offset: np.ndarray
    doubt: float


def posterior_head(shots: Shots, settings: Settings, use_shots: bool = True) -> Head:
    """Return the mode for the classes of ``shots``.

    Args:
        shots: the labelled clips of one voice, and those without labels.
        settings: how much the corpora's heads count.
        use_shots: fit the head to the shots too; otherwise they name the classes and nothing more.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    prior = require_prior(shots, "prior")
    voice = _voice(prior, shots, len(shots.pooled) if use_shots else 0)
    targets = shots.targets[: len(voice.points)]
    names = shots.labels or ("",) * shots.classes

    def mode(index: int, log_odds: float, unlabelled_shift: float) -> tuple[np.ndarray, float]:
        return _posterior_mode(
            voice,
            names[index],
            targets == index,
            log_odds=log_odds,
            unlabelled_shift=unlabelled_shift,
            prior_shots=settings.prior_shots,
        )

    if shots.one_vs_rest:
        weight, bias = mode(1, 0.0, _SHIFT * prior.log_odds)
        bias -= (_SHIFT_UNLABELLED + voice.doubt * (_SHIFT - _SHIFT_UNLABELLED)) * prior.log_odds
        weights, biases = np.vstack([-weight, weight]) / 2, np.array([-bias, bias]) / 2
    else:
        modes = [mode(index, -np.log(shots.classes - 1), 0.0) for index in range(shots.classes)]
        weights, biases = np.vstack([weight for weight, _ in modes]), np.array([bias for _, bias in modes])
    return Head(prior.basis.T, -prior.origin @ prior.basis, weights, biases)


def _voice(prior: Prior, shots: Shots, count: int) -> _Voice:
    """Return what the first ``count`` shots and all unlabelled clips tell of their voice."""
    points, unlabelled = prior.project(shots.pooled)[:count], prior.project(shots.unlabelled)
    narrowness = _narrowness(prior, unlabelled)
    # Neutral speech teaches nothing that many shots do not.
    doubt = narrowness * count / (_FEW + count) if len(unlabelled) else 1.0
    return _Voice(prior, points, shots.importance()[:count], unlabelled, speaker_offset(prior, unlabelled), doubt)


def _narrowness(prior: Prior, unlabelled: np.ndarray) -> float:
    """Return how little unlabelled clips vary: 1 where no more than clips of one emotion, as in neutral speech alone.

    0 where at least half as much as clips of evenly mixed emotions, and what is between for something between.
    """
    directions = prior.shared - 1
    if len(unlabelled) < 2 or directions < 1:
        return 0.0
    mixed = (unlabelled[:, :directions].var(axis=0, ddof=1) - 1).sum() / prior.signal[:directions].sum()
    return float(np.clip(1 - 2 * mixed, 0, 1))


def speaker_offset(prior: Prior, unlabelled: np.ndarray) -> np.ndarray:
    """Return the posterior mean of the speaker's mean about the origin, each discriminant by itself; 0 without clips.

    Narrow clips are taken for neutral speech. The shots do not count here: half of them carry the emotion, and the bias
    is free to follow them.
    """
    count = len(unlabelled)
    if not count:
        return np.zeros(len(prior.signal))
    trust = prior.speakers / (prior.speakers + (1 + prior.signal) / count)
    return trust * (unlabelled.mean(axis=0) - _narrowness(prior, unlabelled) * prior.neutral)


def _posterior_mode(
    voice: _Voice,
    label: str,
    positive: np.ndarray,
    *,
    log_odds: float,
    unlabelled_shift: float,
    prior_shots: float,
) -> tuple[np.ndarray, float]:
    """Return weight ``(discriminants,)`` and bias at the mode for ``label`` against the rest.

    Args:
        voice: what is known of the speaker.
        label: its name; one that no corpus has begins at 0.
        positive: which shots carry it, ``(k,)``.
        log_odds: of the label among the shots.
        unlabelled_shift: by how much its log-odds are lower among the unlabelled clips.
        prior_shots: the corpora's head counts as this many shots.
    """
    prior, k, clips = voice.prior, len(voice.points), len(voice.unlabelled)
    weight, bias = np.zeros(len(voice.offset)), log_odds
    if label in prior.labels:
        row, trust = prior.labels.index(label), prior_shots / (prior_shots + k)
        weight = trust * prior.heads[row]
        bias += trust * float(prior.biases[row] - prior.heads[row] @ voice.offset)
    points = np.vstack([voice.points, voice.unlabelled])
    points = np.hstack([points, np.ones((len(points), 1))])
    mean, variance = np.append(weight, bias), weight_variance(prior)
    found = fit_logistic(points[:k], positive.astype(float), voice.importance, mean, variance)
    share = _UNLABELLED_SHARE * (1 - voice.doubt)
    importance = np.concatenate([voice.importance, np.full(clips, share * k / max(1, clips))])
    # Without a shift the guesses are what the weights say already: they teach nothing.
    for _ in range(_ROUNDS if clips and unlabelled_shift else 0):
        guess = expit(points[k:] @ found - unlabelled_shift)
        found = fit_logistic(points, np.concatenate([positive, guess]), importance, mean, variance)
    return found[:-1], float(found[-1])


def weight_variance(prior: Prior) -> np.ndarray:
    """Return the variance of each weight before any shot, and last that of the bias, ``(discriminants + 1,)``."""
    power = (prior.signal / prior.signal[0]) ** _KERNEL_POWER
    return np.append(_KERNEL_SCALE * power / power.sum(), _BIAS_VARIANCE)


METHOD = Method("prior", fit, Settings, version=4, needs_prior=True, uses_unlabelled=True)
