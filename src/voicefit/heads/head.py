"""Classification heads: linear layers over pooled frames, as `transformers` classifies audio."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Projection(NamedTuple):
    """A linear layer from pooled vectors to those that a classifier reads.

    Attributes:
        weight: ``(width, hidden_size)``.
        bias: ``(width,)``.
    """

    weight: np.ndarray
    bias: np.ndarray

    def project(self, pooled: np.ndarray) -> np.ndarray:
        """Return vectors ``(clips, width)`` of pooled vectors ``(clips, hidden_size)``."""
        return np.asarray(pooled @ self.weight.T + self.bias)


@dataclass(frozen=True)
class Adapter:
    """Changes of an encoder's weights kept apart from them, as the library `peft` writes and loads them.

    Attributes:
        weights: the tensors of ``adapter_model.safetensors`` for the encoder, by `peft`'s names.
        config: the content of ``adapter_config.json``, plain data.
    """

    weights: Mapping[str, np.ndarray]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """A linear classifier of pooled vectors, in the two steps that a `transformers` audio classifier takes; float32.

    Attributes:
        projector_weight: ``(width, hidden_size)``.
        projector_bias: ``(width,)``.
        classifier_weight: ``(labels, width)``.
        classifier_bias: ``(labels,)``.
        adapter: the changes of the encoder that belong to the head, if the method keeps them apart.
        temperature: what the logits were divided by, so that confidence means what it says (Guo et al. 2017, "On
            Calibration of Modern Neural Networks"); the classifier's arrays hold them divided.
    """

    projector_weight: np.ndarray
    projector_bias: np.ndarray
    classifier_weight: np.ndarray
    classifier_bias: np.ndarray
    adapter: Adapter | None = field(default=None, kw_only=True)
    temperature: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        """Hold float32, whatever precision the head was fitted in."""
        for name in HEAD_ARRAYS:
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))

    def __call__(self, pooled: np.ndarray) -> np.ndarray:
        """Return logits ``(clips, labels)`` of pooled vectors ``(clips, hidden_size)``, float32."""
        projected = pooled.astype(np.float32, copy=False) @ self.projector_weight.T + self.projector_bias
        return np.asarray(projected @ self.classifier_weight.T + self.classifier_bias)


@dataclass(frozen=True)
class Heads:
    """Several heads behind one projector; float32.

    Attributes:
        projection: what all of them read.
        weights: of their classifiers, ``(heads, labels, width)``.
        biases: ``(heads, labels)``.
        temperature: as that of :class:`Head`.
    """

    projection: Projection
    weights: np.ndarray
    biases: np.ndarray
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Hold float32, as :class:`Head` does."""
        single = (np.ascontiguousarray(part, dtype=np.float32) for part in self.projection)
        object.__setattr__(self, "projection", Projection(*single))
        for name in ("weights", "biases"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))

    def __call__(self, pooled: np.ndarray) -> np.ndarray:
        """Return logits ``(heads, clips, labels)`` of pooled vectors ``(clips, hidden_size)``, float32."""
        projected = self.projection.project(pooled.astype(np.float32, copy=False))
        return np.asarray(projected @ self.weights.swapaxes(1, 2) + self.biases[:, None])

    def __getitem__(self, index: int) -> Head:
        """Return one of them."""
        return Head(*self.projection, self.weights[index], self.biases[index], temperature=self.temperature)

    def cooled(self, temperature: float) -> "Heads":
        """Return the heads with their logits divided by a temperature > 0, which changes no answer."""
        weights, biases = self.weights / temperature, self.biases / temperature
        return Heads(self.projection, weights, biases, self.temperature * temperature)


HEAD_ARRAYS = ("projector_weight", "projector_bias", "classifier_weight", "classifier_bias")
"""The names of a head's arrays; its file stores them as ``projector.weight`` …."""
