"""Scale hidden units by amplitudes of the speaker's own, with a new head.

Swietojanski & Renals (2014), "Learning hidden unit contributions for unsupervised speaker adaptation of neural network
acoustic models", equations 1 and 2. An amplitude is 2 / (1 + exp(-a)), between 0 and 2, and begins at 1. Scaled are the
hidden units of the feed-forward blocks of trained layers, and the pooled vector. Amplitudes are put into the weights
that read these units, so that an adapted model is an ordinary `transformers` classifier.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from voicefit.adaptation.fine_tune import FineTuneSettings, fine_tune, standardise_projector
from voicefit.adaptation.method import Method
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.head import Head


class Settings(FineTuneSettings):
    """How to fine-tune; the rate is that of the amplitudes' logits."""

    lr: float = Field(1e-2, gt=0, description="peak learning rate of the amplitudes' logits a")
    weight_decay: float = Field(0.0, ge=0)


class _Amplitudes(nn.Module):
    """Multiplies the columns of a weight ``(out, in)``, each of which reads one hidden unit."""

    def __init__(self, units: int, device: torch.device) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(units, device=device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (2 * torch.sigmoid(self.logits))


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train amplitudes and fold them into ``encoder`` (see :meth:`Encoder.restored`), beside a new classifier."""
    standardise_projector(encoder, shots)
    readers = [*encoder.feed_forward_outputs(), encoder.projector]
    amplitudes = []
    for reader in readers:
        amplitudes.append(_Amplitudes(reader.in_features, encoder.device))
        parametrize.register_parametrization(reader, "weight", amplitudes[-1])
    try:
        head = fine_tune(encoder, shots, settings, seed, [scales.logits for scales in amplitudes])
    finally:
        for reader in readers:
            parametrize.remove_parametrizations(reader, "weight")
    return head


METHOD = Method("lhuc", fit, Settings, version=4, trains_encoder=True, begins_at_hidden_units=True)
