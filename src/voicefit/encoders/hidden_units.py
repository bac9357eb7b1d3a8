"""A transformer layer cut in two at the hidden units of its feed-forward block.

A method that changes nothing before what reads these units needs to run the first part of the layer once for a clip.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def first_part(run: Callable[[], object], layer: Any, reader: nn.Linear) -> Tensor:
    """Return what the second part of a layer needs of the first.

    Args:
        run: runs the whole layer; what it returns is not used.
        layer: the layer. Its ``final_layer_norm`` reads the sum before the feed-forward block, or that with the block's
            output: of every family in `transformers` one or the other holds.
        reader: the linear layer that reads the hidden units. Its output is taken for 0, so that the two are the same.

    Returns:
        float32 tensor ``(clips, frames, hidden_size + units)``: what the block's output is added to, and the units.
    """
    sums: list[Tensor] = []
    units: list[Tensor] = []
    hooks = (
        layer.final_layer_norm.register_forward_pre_hook(lambda _, inputs: sums.append(inputs[0])),
        reader.register_forward_pre_hook(lambda _, inputs: units.append(inputs[0])),
        reader.register_forward_hook(lambda _, inputs, output: torch.zeros_like(output)),
    )
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat([sums[0].float(), units[0].float()], -1)


def block_sum(frames: Tensor, reader: nn.Linear) -> Tensor:
    """Return the sum with the block's output, ``(clips, frames, hidden_size)``, from :func:`first_part`'s result."""
    residual, units = frames.tensor_split([reader.out_features], dim=-1)
    return residual + reader(units)
