"""Begin at what the corpora know of the label, and move to what the shots say: a Gaussian process classifier.

Logistic likelihood, linear kernel over linear discriminants (Rasmussen & Williams 2006, "Gaussian Processes for Machine
Learning", sections 2.7 and 3.4). Its mean is the corpora's head of the label (:mod:`voicefit.heads.prior`), which
counts as a few shots and fades as shots come; a label that no corpus has begins at 0. Unlabelled clips of the speaker
move the head into the speaker's frame of reference and, by self-training, take part in the fit. The mode is linear in
pooled frames, so that an adapted model is an ordinary `transformers` classifier.

The constants were chosen on EMOVO and EmoDB speakers; docs/evidence.md has their measurements on others.
"""

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit

from voicefit.adaptation.shots import OTHER, Shots
from voicefit.encoders import Encoder
from voicefit.errors import VoicefitError
from voicefit.heads.linear import Head
from voicefit.heads.prior import Prior

VERSION = 3
TRAINS_ENCODER = False
NEEDS_VALIDATION = False
NEEDS_PRIOR = True

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


class Settings(BaseModel):
    """What to begin at, and in a sweep which clips come without labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prior_shots: float = Field(
        default=8.0, ge=0, description="the corpora's head counts as this many shots; 0 leaves it out"
    )
    unlabelled: int = Field(
        default=0, ge=0, description="in a sweep: clips of the speaker's pool that come without labels"
    )
    unlabelled_label: str = Field(
        default="", description="in a sweep: draw these from one emotion alone, as from neutral speech"
    )


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """The mode of the posterior (convex: the seed is not used); more than two classes are told apart one by one.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    return posterior_head(shots, settings)


def require_prior(shots: Shots, method: str) -> Prior:
    """What the start's corpora know of labels.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    if shots.prior is None:
        raise VoicefitError(f"method {method} needs a pre-finetuned start, which knows the corpora's labels; take head")
    return shots.prior


def posterior_head(shots: Shots, settings: Settings, listen: bool = True) -> Head:
    """The mode for the classes of ``shots``, by the shots too or, unless ``listen``, by what was known before them.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    prior = require_prior(shots, "prior")
    count = len(shots.pooled) if listen else 0
    points, more = prior.project(shots.pooled)[:count], prior.project(shots.unlabelled)
    targets, narrow = shots.targets.cpu().numpy()[:count], _narrowness(prior, more)
    offset = _speaker_offset(prior, more, narrow)
    # Neutral speech teaches nothing that many shots do not.
    doubt = narrow * count / (_FEW + count) if len(more) else 1.0
    names = shots.labels or ("",) * shots.classes

    def row(index: int, odds: float, shift: float) -> tuple[np.ndarray, float]:
        positive, share = targets == index, _UNLABELLED_SHARE * (1 - doubt)
        return _posterior(prior, points, positive, names[index], more, share, offset, odds, shift, settings)

    if shots.classes == 2 and names[0] == OTHER:
        weight, bias = row(1, odds=0.0, shift=_SHIFT * prior.log_odds)
        bias -= (_SHIFT_UNLABELLED + doubt * (_SHIFT - _SHIFT_UNLABELLED)) * prior.log_odds
        weights, biases = np.vstack([-weight, weight]) / 2, np.array([-bias, bias]) / 2
    else:
        rows = [row(index, -np.log(shots.classes - 1), 0.0) for index in range(shots.classes)]
        weights, biases = np.vstack([weight for weight, _ in rows]), np.array([bias for _, bias in rows])
    parts = (prior.basis.T, -prior.origin @ prior.basis, weights, biases)
    return Head(*(torch.tensor(part, dtype=torch.float32, device=shots.pooled.device) for part in parts))


def _narrowness(prior: Prior, more: np.ndarray) -> float:
    """How little unlabelled clips vary: 1 where no more than clips of one emotion, as in neutral speech alone.

    0 where at least half as much as clips of evenly mixed emotions, and what is between for something between.
    """
    directions = prior.shared - 1
    if len(more) < 2 or directions < 1:
        return 0.0
    mixed = (more[:, :directions].var(axis=0, ddof=1) - 1).sum() / prior.signal[:directions].sum()
    return float(np.clip(1 - 2 * mixed, 0, 1))


def _speaker_offset(prior: Prior, more: np.ndarray, narrow: float) -> np.ndarray:
    """Posterior mean of the speaker's mean about the origin, each discriminant by itself; 0 without unlabelled clips.

    Narrow clips are taken for neutral speech. The shots say nothing here: half of them carry the emotion, and the bias
    is free to follow them.
    """
    count = len(more)
    if not count:
        return np.zeros(len(prior.signal))
    trust = prior.speakers / (prior.speakers + (1 + prior.signal) / count)
    return trust * (more.mean(axis=0) - narrow * prior.neutral)


def _posterior(
    prior: Prior,
    points: np.ndarray,
    positive: np.ndarray,
    label: str,
    more: np.ndarray,
    share: float,
    offset: np.ndarray,
    odds: float,
    shift: float,
    settings: Settings,
) -> tuple[np.ndarray, float]:
    """Mode of weight and bias of ``label`` against the rest, in discriminants.

    ``odds`` are those of the shots; unlabelled clips have it with odds lower by ``shift``.
    """
    k = len(points)
    weight, bias = np.zeros(len(offset)), odds
    if label in prior.labels:
        row, trust = prior.labels.index(label), settings.prior_shots / (settings.prior_shots + k)
        weight = trust * prior.heads[row]
        bias += trust * float(prior.biases[row] - prior.heads[row] @ offset)
    power = (prior.signal / prior.signal[0]) ** _KERNEL_POWER
    spread = _KERNEL_SCALE * power / power.sum()  # prior variance of each weight
    every = np.vstack([points, more])
    kernel, mean = (every * spread) @ every.T + _BIAS_VARIANCE, every @ weight + bias
    dual = _newton(kernel[:k, :k], mean[:k], positive.astype(float), np.ones(k))
    importance = np.concatenate([np.ones(k), np.full(len(more), share * k / max(1, len(more)))])
    for _ in range(_ROUNDS if len(more) else 0):
        logits = mean[k:] + kernel[k:, : len(dual)] @ dual
        guess = expit(logits - shift)
        dual = _newton(kernel, mean, np.concatenate([positive, guess]), importance)
    return weight + spread * (every[: len(dual)].T @ dual), bias + _BIAS_VARIANCE * float(dual.sum())


def _newton(kernel: np.ndarray, mean: np.ndarray, goal: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """The dual weights ``a`` at the mode, where logits are ``mean + kernel @ a`` (Rasmussen & Williams, algorithm 3.1).

    Steps that overshoot are halved.
    """

    def cost(dual: np.ndarray) -> float:
        rise = kernel @ dual
        return float(dual @ rise / 2 + importance @ (np.logaddexp(0, mean + rise) - goal * (mean + rise)))

    dual = np.zeros(len(mean))
    value = cost(dual)
    for _ in range(50):
        chance = expit(mean + kernel @ dual)
        curve = np.maximum(importance * chance * (1 - chance), 1e-8)
        target = kernel @ dual + importance * (goal - chance) / curve
        step = np.linalg.solve(kernel + np.diag(1 / curve), target) - dual
        length, new = 1.0, cost(dual + step)
        while new > value and length > 1e-4:
            length /= 2
            new = cost(dual + length * step)
        gain = value - new
        if gain > 0:
            dual, value = dual + length * step, new
        if gain < 1e-8 * (1 + abs(value)):
            break
    return dual
