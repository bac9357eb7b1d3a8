"""Low-rank changes of the encoder's weights, with a new head: Hu et al. (2022), "LoRA", by the library `peft`.

The changes are added to the weights in the end, so that an adapted model is an ordinary `transformers` classifier; the
head carries them along, so that they can be stored alone as well.
Adapted is every linear layer of the trained transformer layers (Dettmers et al. 2023, "QLoRA", section 4: adapting all
of them matters more than the rank).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import nn

from voicefit.adaptation.fine_tune import FineTuneSettings, fine_tune, standardise_projector
from voicefit.adaptation.method import Method
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.errors import VoicefitError
from voicefit.heads.head import Adapter, Head

if TYPE_CHECKING:
    from peft import LoraConfig


class Settings(FineTuneSettings):
    """How to fine-tune, and how much the weights may change."""

    lr: float = Field(1e-4, gt=0, description="peak learning rate of the low-rank factors")
    rank: int = Field(8, ge=1)
    alpha: float = Field(16.0, gt=0, description="the change is alpha / rank times the product of the factors")
    weight_decay: float = Field(0.0, ge=0)


def fit(encoder: Encoder, shots: Shots, settings: Settings, seed: int) -> Head:
    """Train low-rank changes and add them to ``encoder`` in place (see :meth:`Encoder.restored`), beside a classifier.

    The seed also fixes the factors' start.

    Raises:
        VoicefitError: `peft` is not installed, or no transformer layer of the start may be trained.
    """
    try:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel
    except ImportError as error:
        raise VoicefitError("method lora needs the library peft: pip install 'voicefit[lora]'") from error
    inside = {id(module) for layer in encoder.trained_layers() for module in layer.modules()}
    names = [n for n, m in encoder.model.named_modules() if id(m) in inside and isinstance(m, nn.Linear)]
    if not names:
        raise VoicefitError(
            "method lora: the start keeps every transformer layer frozen; take another start, or pre-finetune one with "
            "fewer frozen layers"
        )
    standardise_projector(encoder, shots)
    trained = [(p, p.requires_grad) for p in encoder.parameters()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=names)
        adapted = LoraModel(encoder.model, config, "default")
    try:
        factors = [p for name, p in encoder.model.named_parameters() if "lora_" in name]
        head = fine_tune(encoder, shots, settings, seed, factors)
        head = replace(head, adapter=_adapter(encoder, config))
    finally:
        adapted.merge_and_unload()
        for p, needed in trained:  # peft freezes what it wraps
            p.requires_grad_(needed)
    return head


def _adapter(encoder: Encoder, config: "LoraConfig") -> Adapter:
    """The factors by the names that `peft` stores them under."""
    factors = {
        f"base_model.model.{name.replace('.default.', '.')}": p.detach().cpu().numpy().copy()
        for name, p in encoder.model.named_parameters()
        if "lora_" in name
    }
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.to_dict().items()}
    return Adapter(factors, plain)


METHOD = Method("lora", fit, Settings, version=3, trains_encoder=True)
