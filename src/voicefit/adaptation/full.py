"""Fine-tune the trainable rest of the encoder, its projector and a new head: Chen & Yu (2023), section 3."""

from voicefit.adaptation.fine_tune import FineTuneSettings, fine_tune, standardise_projector
from voicefit.adaptation.method import Method
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.head import Head


class Settings(FineTuneSettings):
    """How to fine-tune."""


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train ``encoder`` in place (see :meth:`Encoder.restored`), its classifier from the linear head on."""
    standardise_projector(encoder, shots)
    return fine_tune(encoder, shots, settings, seed, encoder.trainable())


METHOD = Method("full", fit, Settings, version=6, trains_encoder=True)
