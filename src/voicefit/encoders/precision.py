"""The precision of matrix products, and what a device has of it."""

import torch

from voicefit.encoders.front_end import Precision
from voicefit.system.machine import has_bfloat16


def available_precision(precision: Precision, device: torch.device) -> Precision:
    """Return ``precision``, or ``float32`` if ``device`` has no other."""
    return "bfloat16" if precision == "bfloat16" and has_bfloat16(device) else "float32"


def autocast(precision: Precision, device: torch.device, cache: bool | None = None) -> torch.autocast:
    """Return a context in which matrix products are computed in ``precision``.

    Args:
        precision: as :func:`available_precision` returns it.
        device: where the products are computed.
        cache: whether weights are converted once in the block; ``None`` leaves it to PyTorch.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=cache)
