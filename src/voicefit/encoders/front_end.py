"""How an encoder reads clips: its front end, its depth, and the digest that tells two front ends apart."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from voicefit.system.settings import Settings

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["float32", "bfloat16"]
"""The precision of matrix products. On hardware without bfloat16, ``bfloat16`` means float32."""


class FrontEnd(Settings):
    """Settings of the front end, which turns a clip into frames. The last three are for the published code."""

    max_seconds: float = Field(
        default=5.0, gt=0, description="longer clips are cut, as in the publication (section 4.1)"
    )
    resample: bool = Field(
        default=True,
        description="to 16 kHz; false takes samples as they are: 22,050 Hz then sounds 1.38 times slower",
    )
    pad_first: bool = Field(
        default=False,
        description="pad with silence to max_seconds, then normalise, and let the silence count as speech",
    )
    train: bool = Field(
        default=False, description="train the convolutions too; nothing but the waveform can be cached then"
    )


class Reading(Settings):
    """How much of an encoder is run, and how clips reach it."""

    depth: int | None = Field(default=None, ge=1, description="transformer layers that are run; all if left out")
    frozen_layers: int = Field(default=0, ge=0, description="transformer layers that join the frozen front end")
    weighted_layers: bool = Field(
        default=False, description="all layers are read at once, in a weighted mean that is learnt with the heads"
    )
    front_end: FrontEnd = Field(default=FrontEnd(), description="how clips become what the encoder reads")


FRONT_SETTINGS = (
    "model_type",
    "conv_kernel",
    "conv_stride",
    "feat_extract_norm",
    "feat_extract_activation",
    "num_attention_heads",
    "hidden_act",
    "activation_function",
    "layer_norm_eps",
    "do_stable_layer_norm",
    "max_bucket_distance",
)
"""With the same weights, the front end computes something else if one of these settings of the config changes."""


def digest(settings: Mapping[str, Any], parts: Iterable["nn.Module"]) -> str:
    """Return 32 hexadecimal digits of settings and of the weights of modules."""
    state = hashlib.blake2b(digest_size=16)
    state.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for part in parts:
        for name, tensor in sorted(part.state_dict().items()):
            state.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()
