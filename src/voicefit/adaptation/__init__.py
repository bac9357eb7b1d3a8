"""Stage 2: adapt to one speaker from a handful of clips. A file per method; pooled vectors in, a head out.

To add a method, write a module with a :class:`Method` named ``METHOD`` and list it in ``METHODS``.
"""

import importlib
from collections import UserDict
from typing import Any

from voicefit.adaptation.method import ConfiguredMethod, Method
from voicefit.adaptation.shots import Shots
from voicefit.errors import VoicefitError
from voicefit.system.extras import require
from voicefit.system.settings import unknown_name

__all__ = ["METHODS", "ConfiguredMethod", "Method", "Shots", "find_method"]


class _Methods(UserDict[str, Any]):
    """Name → method. Its module is imported on first use: those that train the encoder import torch."""

    def __getitem__(self, name: str) -> Method[Any]:
        value = super().__getitem__(name)
        if isinstance(value, str):
            value = self.data[name] = importlib.import_module(f"voicefit.adaptation.{value}").METHOD
        return value


METHODS = _Methods(
    {
        "bitfit": "bitfit",
        "full": "full",
        "head": "head",
        "joint": "joint",
        "kl": "kl",
        "l2sp": "l2sp",
        "lhuc": "lhuc",
        "lora": "lora",
        "prior": "prior",
        "prototype": "prototype",
        "published": "published",
        "top-layers": "top_layers",
        "zero-shot": "zero_shot",
    }
)
"""Name → method, in the order of their names; the settings differ in type, so that the registry leaves them open."""

LIGHT_METHODS = ("head", "joint", "prior", "prototype", "zero-shot")
"""These leave the encoder as it is, and need no PyTorch."""


def find_method(name: str) -> Method[Any]:
    """Return the method of that name.

    Raises:
        VoicefitError: there is none, or it trains the encoder and PyTorch is not installed.
    """
    if name not in METHODS:
        raise VoicefitError(unknown_name("method", name, METHODS))
    if name not in LIGHT_METHODS:
        require("train", f"method {name} trains the encoder")
    return METHODS[name]
