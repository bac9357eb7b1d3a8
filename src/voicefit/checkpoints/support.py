"""``shots.safetensors``: what a model was adapted on, so that it can grow; pooled vectors and names, never audio.

A clip is known by the samples that a model hears of it, whatever its file is called and wherever it lies.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from voicefit.errors import VoicefitError
from voicefit.system.hub import Located

SHOTS = "shots.safetensors"
"""The name of the file beside a model's weights."""


@dataclass(frozen=True)
class Support:
    """The clips of a voice, as the encoder of a start gives them.

    Attributes:
        ids: the name of each labelled clip, ``k`` of them.
        labels: the label of each.
        digests: what tells the samples of each from those of others.
        pooled: ``(k, hidden_size)``, float32.
        unlabelled_digests: likewise of the recordings without labels.
        unlabelled: ``(recordings, hidden_size)``, float32.
        named: all labels, those without a clip included, sorted.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    digests: tuple[str, ...]
    pooled: np.ndarray
    unlabelled_digests: tuple[str, ...]
    unlabelled: np.ndarray
    named: tuple[str, ...]

    def sorted(self) -> Self:
        """Return the same in an order that follows from the clips alone, so that sums of them are the same too."""
        rows = sorted(range(len(self.digests)), key=lambda row: (self.digests[row], self.labels[row]))
        order = sorted(range(len(self.unlabelled_digests)), key=lambda row: self.unlabelled_digests[row])
        return self._rows(rows)._unlabelled_rows(order)

    def without(self, digests: Collection[str]) -> Self:
        """Return the support without the labelled clips of these digests."""
        return self._rows([row for row, digest in enumerate(self.digests) if digest not in digests])

    def without_label(self, label: str) -> Self:
        """Return the support without a label and its clips."""
        kept = self._rows([row for row, other in enumerate(self.labels) if other != label])
        return replace(kept, named=tuple(other for other in self.named if other != label))

    def without_unlabelled(self, digests: Collection[str]) -> Self:
        """Return the support without the recordings of these digests."""
        return self._unlabelled_rows(
            [row for row, digest in enumerate(self.unlabelled_digests) if digest not in digests]
        )

    def with_unlabelled(self, digests: Sequence[str], pooled: np.ndarray) -> Self:
        """Return the support with more recordings without labels; the vectors are ``(recordings, hidden_size)``."""
        if not len(pooled):
            return self
        return replace(
            self,
            unlabelled_digests=(*self.unlabelled_digests, *digests),
            unlabelled=np.concatenate([self.unlabelled, pooled]) if len(self.unlabelled) else pooled,
        )

    def joined(self, more: "Support") -> Self:
        """Return the labelled clips and the labels of both."""
        return replace(
            self,
            ids=self.ids + more.ids,
            labels=self.labels + more.labels,
            digests=self.digests + more.digests,
            pooled=np.concatenate([self.pooled, more.pooled]),
            named=tuple(sorted({*self.named, *more.named})),
        )

    def _rows(self, rows: Sequence[int]) -> Self:
        ids, labels, digests = (tuple(values[row] for row in rows) for values in (self.ids, self.labels, self.digests))
        return replace(self, ids=ids, labels=labels, digests=digests, pooled=self.pooled[list(rows)])

    def _unlabelled_rows(self, rows: Sequence[int]) -> Self:
        digests = tuple(self.unlabelled_digests[row] for row in rows)
        return replace(self, unlabelled_digests=digests, unlabelled=self.unlabelled[list(rows)])

    def save(self, path: Path, encoder: str) -> None:
        """Write the support; ``encoder`` is the digest of the encoder that gave the vectors."""
        facts = {
            "encoder": encoder,
            "clips": list(zip(self.ids, self.labels, self.digests, strict=True)),
            "recordings": self.unlabelled_digests,
            "labels": self.named,
        }
        arrays = {"pooled": self.pooled, "unlabelled": self.unlabelled.reshape(-1, self.pooled.shape[1])}
        save_file(
            {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in arrays.items()},
            path,
            metadata={"support": json.dumps(facts)},  # one entry: of several, the order is not always the same
        )


def read_support(located: Located) -> tuple[Support, str] | None:
    """Return what a model was adapted on, and the digest of its encoder; ``None`` where it does not say.

    Raises:
        VoicefitError: the file is damaged.
    """
    path = located.file(SHOTS)
    if path is None:
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["support"])
            pooled, unlabelled = file.get_tensor("pooled"), file.get_tensor("unlabelled")
        ids, labels, digests = ([str(clip[part]) for clip in facts["clips"]] for part in range(3))
        recordings, named, encoder = map(str, facts["recordings"]), map(str, facts["labels"]), str(facts["encoder"])
        found = Support(tuple(ids), tuple(labels), tuple(digests), pooled, tuple(recordings), unlabelled, tuple(named))
        if len(found.ids) != len(pooled) or len(found.unlabelled_digests) != len(unlabelled):
            raise ValueError("names and vectors differ in number")
    except Exception as error:  # some versions of safetensors do not export the class that they raise
        raise VoicefitError(f"{path}: is damaged; adapt anew ({error})") from error
    return found, encoder
