"""The prior that corpora teach of each label, before a new speaker's first shot: linear heads and their coordinates.

The encoder's pooled vectors ``(clips, hidden_size)`` are projected on linear discriminants, in which clips of one
speaker and emotion have unit variance. All other quantities are in these coordinates. Each corpus has the same weight,
and so has each label of a speaker.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from voicefit.errors import VoicefitError


@dataclass(frozen=True)
class Prior:
    """The prior of a checkpoint, in ``w`` discriminants of ``d`` = ``hidden_size`` dimensions.

    Attributes:
        labels: the labels of all corpora.
        shared: the number of labels that at least two corpora have; all of them if there is one corpus.
        origin: ``(d,)``, the mean of the corpora's means.
        basis: ``(d, w)``, the discriminants.
        signal: ``(w,)``, the variance of a speaker's label means along each discriminant, falling.
        speakers: ``(w,)``, the variance of speakers' means about the origin.
        neutral: ``(w,)``, the mean of neutral clips about their speaker's mean; 0 if no corpus has any.
        heads: ``(labels, w)``, the weights of the log-odds of each label against the others, at even odds.
        biases: ``(labels,)``, the biases of these log-odds.
    """

    labels: tuple[str, ...]
    shared: int
    origin: np.ndarray
    basis: np.ndarray
    signal: np.ndarray
    speakers: np.ndarray
    neutral: np.ndarray
    heads: np.ndarray
    biases: np.ndarray

    def project(self, pooled: np.ndarray) -> np.ndarray:
        """Return discriminant coordinates ``(clips, w)`` of pooled vectors ``(clips, d)``, float64."""
        return np.asarray((pooled.reshape(-1, len(self.origin)).astype(np.float64) - self.origin) @ self.basis)

    @property
    def log_odds(self) -> float:
        """The log-odds against one of the ``shared`` labels, if all are equally likely."""
        return float(np.log(max(self.shared - 1, 1)))

    def save(self, path: Path) -> None:
        """Write a safetensors file, float32."""
        tensors = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float32) for name in _ARRAYS}
        save_file(tensors, path, metadata={"labels": json.dumps(self.labels), "shared": str(self.shared)})

    @classmethod
    def load(cls, path: Path) -> "Prior":
        """Read what :meth:`save` wrote.

        Raises:
            VoicefitError: the file is damaged, or no prior.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata()
                arrays = {name: file.get_tensor(name).astype(np.float64) for name in _ARRAYS}
            return cls(tuple(json.loads(metadata["labels"])), int(metadata["shared"]), **arrays)
        except Exception as error:  # some versions of safetensors do not export the class that they raise
            raise VoicefitError(f"{path}: is damaged, or not what pre-finetuning writes ({error})") from error


_ARRAYS = tuple(field.name for field in fields(Prior) if field.type is np.ndarray)
"""The names of the arrays of a prior, which its file stores."""
