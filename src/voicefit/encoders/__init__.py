"""A pretrained encoder split in a frozen front end and a trainable rest, and the cache of the former."""

from voicefit.encoders.cache import FrontCache
from voicefit.encoders.encoder import Encoder, Precision
from voicefit.encoders.front_end import FrontEnd, Reading
from voicefit.encoders.load import load_encoder

__all__ = ["Encoder", "FrontCache", "FrontEnd", "Precision", "Reading", "load_encoder"]
