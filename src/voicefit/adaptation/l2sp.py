"""Fine-tune with a penalty on the distance to the starting point.

Li, Grandvalet & Davoine (2018), "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", equation 2
(L²-SP).
"""

import torch
from pydantic import Field
from torch import Tensor

from voicefit.adaptation.fine_tune import FineTuneSettings, fine_tune, standardise_projector
from voicefit.adaptation.method import Method
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.head import Head


class Settings(FineTuneSettings):
    """How to fine-tune; the penalty takes the place of weight decay."""

    weight_decay: float = Field(0.0, ge=0)
    strength: float = Field(1.0, gt=0, description="α in α/2 ‖w - w⁰‖², w⁰ the weights of the start")


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train ``encoder`` in place (see :meth:`Encoder.restored`), its classifier from the linear head on."""
    standardise_projector(encoder, shots)
    trained = encoder.trainable()
    begin = [p.detach().clone() for p in trained]

    def penalty() -> Tensor:
        pairs = zip(trained, begin, strict=True)
        return settings.strength / 2 * torch.stack([(p - start).square().sum() for p, start in pairs]).sum()

    return fine_tune(encoder, shots, settings, seed, trained, penalty=penalty)


METHOD = Method("l2sp", fit, Settings, version=3, trains_encoder=True)
