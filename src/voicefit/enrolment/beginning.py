"""The start of a voice's model: opened so that a saved model can repeat it, and asked what it knows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicefit.adaptation import ConfiguredMethod
from voicefit.checkpoints.start import Start, open_start
from voicefit.errors import VoicefitError

if TYPE_CHECKING:
    from voicefit.encoders import Encoder


def open_repeatable(source: str | Path) -> Start:
    """Open a start.

    Raises:
        VoicefitError: there is none, or a saved model cannot repeat how it reads clips.
    """
    start = open_start(source)
    if start.front_end.pad_first or not start.front_end.resample:
        raise VoicefitError(
            f"{source}: was pre-finetuned with quirks of the published code (pad_first, resample) that a saved model "
            "cannot repeat; pre-finetune without them"
        )
    return start


def on_first_device(start: Start) -> "Encoder":
    """Return the start's encoder in PyTorch, on the first device of the machine."""
    from voicefit.system.machine import devices

    return start.to(devices()[0]).encoder


def taught_by_corpora(configured: ConfiguredMethod[Any], begin: Start) -> set[str]:
    """Return the labels that a model can have without a clip of them."""
    begins_at_prior = configured.method.needs_prior and not configured.method.trains_encoder
    begins_at_prior &= getattr(configured.settings, "prior_shots", 1) > 0
    return set(begin.prior.labels) if begin.prior and begins_at_prior else set()
