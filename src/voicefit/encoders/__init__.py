"""Pretrained encoders, split in a frozen front end and a trainable rest, and the cache of the front end."""

from voicefit.encoders.cache import FrontCache
from voicefit.encoders.encoder import Encoder
from voicefit.encoders.front_end import FrontEnd, Reading
from voicefit.encoders.load import load_encoder
from voicefit.encoders.precision import Precision

__all__ = ["Encoder", "FrontCache", "FrontEnd", "Precision", "Reading", "load_encoder"]
