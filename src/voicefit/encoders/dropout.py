"""Dropout on a processor, where PyTorch draws one slow number for every element."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "voicefit"
"""The name under which `transformers` finds :func:`attend`."""

_STEPS = 2**16
"""16 bits an element: a share to be dropped is rounded to 1 / 65,536."""


def drop(values: Tensor, share: float) -> Tensor:
    """Zeros in place of about a ``share`` of ``values``, 0 … 1, and the others divided by the rest of it.

    Srivastava et al. (2014), "Dropout". Drawn from PyTorch's own generator, so that its seed fixes them.
    """
    if values.device.type != "cpu" or share in (0, 1):
        return nn.functional.dropout(values, share)
    dropped = round(share * _STEPS)
    words = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.int16)[: values.numel()].view(values.shape) >= dropped - _STEPS // 2
    return values * kept * (_STEPS / (_STEPS - dropped))


class Dropout(nn.Dropout):
    """:func:`drop` in place of PyTorch's own."""

    def forward(self, values: Tensor) -> Tensor:
        """``values``, of which some are dropped in training."""
        return drop(values, self.p) if self.training else values


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention as `transformers` calls it, with :func:`drop` where weights are dropped on a processor.

    Args:
        module: the attention layer.
        query: ``(clips, heads, frames, width)``, as are ``key`` and ``value``.
        attention_mask: true where frames are heard, or added to the weights, ``(clips, 1, 1 or frames, frames)``.
        dropout: share of the weights to drop, 0 … 1.
        scaling: of the products; the inverse root of the width where it is left out.

    Returns:
        ``(clips, frames, heads, width)``, and no weights.
    """
    if not dropout or query.device.type != "cpu":
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **settings
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    weights = (query * scale) @ key.transpose(2, 3)
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            weights = weights.masked_fill(~attention_mask, -torch.inf)
        else:
            weights = weights + attention_mask.to(weights.dtype)
    return (drop(weights.softmax(-1), dropout) @ value).transpose(1, 2), None


def install_dropout(model: Any) -> None:
    """Let the dropouts of a `transformers` model be :func:`drop`.

    Others stay: WavLM drops attention weights within PyTorch, and Whisper what its layers say by a function.
    """
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(ATTENTION, attend)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
