"""Fine-tune towards the shots and what was known before them.

Yu, Yao, Su, Li & Seide (2013), "KL-divergence regularized deep neural network adaptation for improved large vocabulary
speech recognition", equations 5 and 6. What was known before is the start's zero-shot answer
(:mod:`voicefit.adaptation.zero_shot`), which is even odds for a label that no corpus has. Keeping the divergence to it
small is the same as learning a mixture of it and the labels.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from voicefit.adaptation import prior
from voicefit.adaptation.fine_tune import FineTuneSettings, fine_tune, standardise_projector
from voicefit.adaptation.method import Method
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.head import Head
from voicefit.heads.logistic import softmax


class Settings(FineTuneSettings):
    """How to fine-tune, and how closely to keep to the start."""

    share: float = Field(0.5, ge=0, lt=1, description="ρ: how much of what is learnt is the start's own answer")


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train ``encoder`` in place (see :meth:`Encoder.restored`), its classifier from the linear head on.

    Raises:
        VoicefitError: the start has no prior.
    """
    known = prior.posterior_head(shots, prior.Settings(), use_shots=False)(shots.pooled)
    standardise_projector(encoder, shots)
    goals = _mixed(shots, torch.from_numpy(softmax(known)), settings.share).to(encoder.device)
    return fine_tune(encoder, shots, settings, seed, encoder.trainable(), goals=goals)


def _mixed(shots: Shots, known: Tensor, share: float) -> Tensor:
    labels = nn.functional.one_hot(torch.from_numpy(shots.targets), shots.classes).to(known)
    return torch.lerp(labels, known, share)


METHOD = Method("kl", fit, Settings, version=3, trains_encoder=True, needs_prior=True)
