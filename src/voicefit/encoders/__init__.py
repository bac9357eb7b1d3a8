"""Pretrained encoders, split in a frozen front end and a trainable rest, and the cache of the front end."""

from typing import TYPE_CHECKING

from voicefit.system.lazy import lazy_names

if TYPE_CHECKING:
    from voicefit.encoders.cache import FrontCache
    from voicefit.encoders.encoder import Encoder
    from voicefit.encoders.front_end import FrontEnd, Precision, Reading
    from voicefit.encoders.load import load_encoder

__all__ = ["Encoder", "FrontCache", "FrontEnd", "Precision", "Reading", "load_encoder"]

# Most import torch, which takes seconds and is not there in the light installation.
_HOMES = {
    "Encoder": "voicefit.encoders.encoder",
    "FrontCache": "voicefit.encoders.cache",
    "FrontEnd": "voicefit.encoders.front_end",
    "Precision": "voicefit.encoders.front_end",
    "Reading": "voicefit.encoders.front_end",
    "load_encoder": "voicefit.encoders.load",
}

__getattr__ = lazy_names(__name__, _HOMES)
