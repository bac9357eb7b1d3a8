"""Fine-tune biases and layer norms alone, with a new head: Ben Zaken, Ravfogel & Goldberg (2022), "BitFit"."""

from pydantic import Field
from torch import nn

from voicefit.adaptation.fine_tune import FineTuneSettings, fine_tune, standardise_projector
from voicefit.adaptation.method import Method
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.heads.head import Head

_NORMS = (nn.LayerNorm, nn.GroupNorm)


class Settings(FineTuneSettings):
    """How to fine-tune; the rate is higher than that of whole matrices."""

    lr: float = Field(1e-3, gt=0, description="peak learning rate of biases and norms")


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train biases and norms of ``encoder`` in place (see :meth:`Encoder.restored`), beside a new classifier."""
    standardise_projector(encoder, shots)
    chosen = {
        id(p)
        for module in encoder.modules()
        for name, p in module.named_parameters(recurse=False)
        if name == "bias" or isinstance(module, _NORMS)
    }
    return fine_tune(encoder, shots, settings, seed, [p for p in encoder.trainable() if id(p) in chosen])


METHOD = Method("bitfit", fit, Settings, version=3, trains_encoder=True)
