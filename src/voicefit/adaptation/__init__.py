"""Stage 2: adapt to one speaker from a handful of clips. A file per method; tensors in, a head out.

Whoever adds a method writes one module with ``VERSION``, ``TRAINS_ENCODER``, ``NEEDS_VALIDATION``, ``NEEDS_PRIOR``,
``Settings`` and ``fit``, and adds it to :data:`METHODS`.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from voicefit.adaptation import (
    bitfit,
    full,
    head,
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
from voicefit.adaptation.shots import Shots
from voicefit.encoders import Encoder
from voicefit.errors import VoicefitError

__all__ = ["METHODS", "Method", "Shots", "find_method"]

METHODS: dict[str, ModuleType] = {
    "bitfit": bitfit,
    "full": full,
    "head": head,
    "kl": kl,
    "l2sp": l2sp,
    "lhuc": lhuc,
    "lora": lora,
    "prior": prior,
    "prototype": prototype,
    "published": published,
    "top-layers": top_layers,
    "zero-shot": zero_shot,
}
"""Name → module with ``fit(encoder, shots, settings, seed) -> Head``.

``TRAINS_ENCODER`` tells whether ``fit`` changes the encoder's trainable weights in place (its ``Settings`` then have
the ``precision`` that clips are tested in), ``NEEDS_VALIDATION`` whether it picks its epoch on labelled clips beyond
the shots, which the ``paper`` protocol alone has (``epochs(settings, k)`` then tells how many it takes),
``NEEDS_PRIOR`` whether it begins at what the start's corpora know, so that no plain encoder will do. A method that
leaves lower layers as they are has ``untouched_layers(encoder, settings)``, their number: what they say is then
computed once for all trials of a speaker. ``VERSION`` is raised when a change of the code changes its results, so that
stored trials of the old code are run again.
"""


def find_method(name: str) -> ModuleType:
    """The method of that name.

    Raises:
        VoicefitError: there is none.
    """
    if name not in METHODS:
        raise VoicefitError(f"method {name!r} is unknown; there are {', '.join(METHODS)}")
    return METHODS[name]


@dataclass(frozen=True)
class Method:
    """A method and how it is set; ``settings`` is an instance of its ``Settings``."""

    name: str
    settings: Any

    @property
    def module(self) -> ModuleType:
        """The module of the registry."""
        return find_method(self.name)

    def untouched_layers(self, encoder: Encoder) -> int:
        """How many of an encoder's first layers need not be run again in every trial: the frozen ones at least.

        Where layers are weighed, all are.
        """
        count = getattr(self.module, "untouched_layers", None)
        return count(encoder, self.settings) if count and not encoder.layer_weights else encoder.frozen_layers
