"""Heads in training: one linear classifier per corpus, over the projected frames of one encoder."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn


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
