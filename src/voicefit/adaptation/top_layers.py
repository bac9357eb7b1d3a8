"""Fine-tune the last transformer layers, what follows them and a new head; lower layers stay as they are.

Layers near the input differ least between tasks (Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text
Classification", section 3.3; Lee et al. 2019, "What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning").
"""

from pydantic import Field

from voicefit.adaptation.fine_tune import FineTuneSettings, fine_tune, standardise_projector
from voicefit.adaptation.method import Method
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.head import Head


class Settings(FineTuneSettings):
    """How to fine-tune, and how much of the encoder."""

    layers: int = Field(1, ge=0, description="transformer layers to train, counted from the last; 0: what follows them")


def untouched_layers(encoder: Encoder, settings: Settings) -> int:
    """Return the number of first layers that stay as they are, and with them all that comes before."""
    return max(encoder.frozen_layers, encoder.depth - settings.layers)


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train the top of ``encoder`` in place (see :meth:`Encoder.restored`), its classifier from the linear head on."""
    standardise_projector(encoder, shots)
    upper = encoder.upper_layers(untouched_layers(encoder, settings))
    return fine_tune(encoder, shots, settings, seed, upper.trainable())


METHOD = Method("top-layers", fit, Settings, version=4, trains_encoder=True, untouched_layers=untouched_layers)
