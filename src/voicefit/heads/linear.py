"""Classification heads: linear layers over pooled, projected frames, as `transformers` classifies audio."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Adapter:
    """Changes of an encoder's weights kept apart from them, as the library `peft` writes and loads them.

    Attributes:
        weights: the tensors of ``adapter_model.safetensors`` for the encoder, by `peft`'s names.
        config: the content of ``adapter_config.json``, plain data.
    """

    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """A linear classifier of pooled vectors, in the two steps that a `transformers` audio classifier takes.

    Attributes:
        projector_weight: ``(width, hidden_size)``.
        projector_bias: ``(width,)``.
        classifier_weight: ``(labels, width)``.
        classifier_bias: ``(labels,)``.
        adapter: the changes of the encoder that belong to the head, if the method keeps them apart.
    """

    projector_weight: Tensor
    projector_bias: Tensor
    classifier_weight: Tensor
    classifier_bias: Tensor
    adapter: Adapter | None = field(default=None, kw_only=True)

    def __call__(self, pooled: Tensor) -> Tensor:
        """Return logits ``(clips, labels)`` of pooled vectors ``(clips, hidden_size)``."""
        projected = nn.functional.linear(pooled, self.projector_weight, self.projector_bias)
        return nn.functional.linear(projected, self.classifier_weight, self.classifier_bias)


class CorpusHeads(nn.Module):
    """One linear head per corpus over the same projected vectors.

    Args:
        labels: corpus name → its labels in the order of the logits.
        width: the size of a projected vector.
    """

    def __init__(self, labels: Mapping[str, Sequence[str]], width: int):
        super().__init__()
        self.labels = {corpus: list(names) for corpus, names in labels.items()}
        # A ModuleDict would refuse names with a dot, and names such as "type" or "keys".
        self.linear = nn.ModuleList(nn.Linear(width, len(names)) for names in self.labels.values())

    def forward(self, projected: Tensor, corpus: str) -> Tensor:
        """Return logits ``(clips, labels of the corpus)`` of projected vectors ``(clips, width)``."""
        return self.linear[list(self.labels).index(corpus)](projected)

    def stacked(self) -> tuple[Tensor, Tensor, list[str]]:
        """Return all heads as one: weight ``(all labels, width)``, bias and labels, each written ``corpus/label``.

        One matrix is what a `transformers` classifier can hold; the rows of a corpus are its head.
        """
        weight = torch.cat([head.weight.detach() for head in self._heads()])
        bias = torch.cat([head.bias.detach() for head in self._heads()])
        names = [f"{corpus}/{label}" for corpus, labels in self.labels.items() for label in labels]
        return weight, bias, names

    def _heads(self) -> Iterator[nn.Linear]:
        return (head for head in self.linear if isinstance(head, nn.Linear))
