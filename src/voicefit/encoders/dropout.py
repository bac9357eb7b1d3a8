"""Dropout that is fast on a processor, where PyTorch draws one slow number for every element."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "voicefit"
"""`transformers` finds :func:`attend` under this name."""

_DROPOUT_STEPS = 2**16
"""Each element takes 16 random bits: the share to drop is rounded to a multiple of 1 / 65,536."""


def drop(values: Tensor, share: float) -> Tensor:
    """Set about a ``share`` of ``values``, 0 … 1, to zero, and divide the others by ``1 - share``.

    Srivastava et al. (2014), "Dropout". PyTorch's own generator draws them, so its seed fixes the result.
    """
    if values.device.type != "cpu" or share in (0, 1):
        return nn.functional.dropout(values, share)
    dropped = round(share * _DROPOUT_STEPS)
    words = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)  # 4 elements each
    kept_mask = words.view(torch.int16)[: values.numel()].view(values.shape) >= dropped - _DROPOUT_STEPS // 2
    return values * kept_mask * (_DROPOUT_STEPS / (_DROPOUT_STEPS - dropped))


class Dropout(nn.Dropout):
    """:func:`drop` in place of PyTorch's own."""

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values``; some are dropped in training."""
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
    """Compute attention as `transformers` calls it, with :func:`drop` for its weights on a processor.

    Args:
        module: the attention layer.
        query: ``(clips, heads, frames, width)``.
        key: of the same shape.
        value: of the same shape.
        attention_mask: ``(clips, 1, 1 or frames, frames)``; true on frames to attend to, or added to the weights.
        dropout: the share of the weights to drop, 0 … 1.
        scaling: the factor of the products; ``None`` is the inverse root of the width.
        **settings: passed on to PyTorch's attention if :func:`drop` is not needed.

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
    """Replace the dropouts of a `transformers` model by :func:`drop`.

    Two are not replaced: WavLM drops attention weights within PyTorch, and Whisper calls a function on its layers'
    outputs.
    """
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(ATTENTION, attend)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
