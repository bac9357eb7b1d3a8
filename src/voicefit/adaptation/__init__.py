"""Stage 2: adapt to one speaker from a handful of clips. A file per method; tensors in, a head out.

To add a method, write a module with a :class:`Method` named ``METHOD`` and list it in ``_METHODS``.
"""

from collections.abc import Mapping
from typing import Any

from voicefit.adaptation import (
    bitfit,
    full,
    head,
    joint,
    kl,
    l2sp,
    lhuc,
    lora,
    prior,
    prototype,
    published,
    top_layers,
    zero_shot,
)
from voicefit.adaptation.method import ConfiguredMethod, Method
from voicefit.adaptation.shots import Shots
from voicefit.errors import VoicefitError

__all__ = ["METHODS", "ConfiguredMethod", "Method", "Shots", "find_method"]

_METHODS: tuple[Method[Any], ...] = (
    bitfit.METHOD,
    full.METHOD,
    head.METHOD,
    joint.METHOD,
    kl.METHOD,
    l2sp.METHOD,
    lhuc.METHOD,
    lora.METHOD,
    prior.METHOD,
    prototype.METHOD,
    published.METHOD,
    top_layers.METHOD,
    zero_shot.METHOD,
)

METHODS: Mapping[str, Method[Any]] = {method.name: method for method in _METHODS}
"""Name → method; the settings differ in type, so that the type of the registry leaves them open."""


def find_method(name: str) -> Method[Any]:
    """Return the method of that name.

    Raises:
        VoicefitError: there is none.
    """
    if name not in METHODS:
        raise VoicefitError(f"method {name!r} is unknown; there are {', '.join(METHODS)}")
    return METHODS[name]
