"""How far a clip lies from every label of a voice: speech that is unlike all of them, noise, music.

Each label of a voice is a Gaussian in the leading discriminants of the corpora. Its mean is that of the voice's clips,
shrunk towards the voice's centre; its variance is that of clips of one label, which is 1, and what so few clips leave
open of the mean. A clip's distance is the mean squared distance from the nearest label, in these variances
(Mahalanobis; Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples"). The probability
of the answer does not tell noise: see research/reject.md, which has the error rates and how the limit was chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior

NONE = "none of these"
"""The answer for a clip that lies beyond the limit of every label."""

WIDTH = 32
"""So many leading discriminants are looked at."""

_LIMIT = 3.0
"""Distance at which a clip is of none of the labels; 1 is that of the mean clip."""


@dataclass(frozen=True)
class Novelty:
    """The labels of a voice, as far as its clips tell.

    Attributes:
        prior: what the corpora know of labels and speakers.
        means: ``(labels, width)``, in the leading discriminants.
        variances: ``(labels, width)``, of a clip about these.
    """

    prior: Prior
    means: np.ndarray
    variances: np.ndarray

    @classmethod
    def of_shots(cls, prior: Prior, pooled: np.ndarray, targets: np.ndarray, classes: int) -> "Novelty":
        """Learn a voice from its clips.

        Args:
            prior: of the start.
            pooled: ``(clips, hidden_size)``.
            targets: the label of each, 0 … classes - 1.
            classes: how many labels there are; one may have no clip.
        """
        points = prior.project(pooled)[:, :WIDTH]
        members = (targets[:, None] == np.arange(classes)).astype(np.float64)
        means, variance = posterior_means(prior, members.sum(axis=0), members.T @ points)
        return cls(prior, means, 1 + variance)

    @classmethod
    def of_record(cls, prior: Prior, record: Mapping[str, Any], name: str) -> "Novelty":
        """Read what :meth:`to_record` gave.

        Args:
            prior: of the model.
            record: its record.
            name: the model, for messages.

        Raises:
            VoicefitError: the record has nothing of it, or something else.
        """
        if "novelty" not in record:
            raise VoicefitError(
                f"{name}: cannot tell what is none of its labels; adapt anew, from a pre-finetuned checkpoint and by a "
                "method that leaves the encoder as it is"
            )
        try:
            means, variances = (np.array(record["novelty"][key], dtype=np.float64) for key in ("means", "variances"))
            if means.shape != variances.shape or means.shape[1] > prior.basis.shape[1]:
                raise ValueError("shapes")
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise VoicefitError(f"{name}: its record's novelty is damaged; adapt anew") from error
        return cls(prior, means, variances)

    def to_record(self) -> dict[str, Any]:
        """Plain data for a model's record; the prior is a file of the model."""
        return {"means": np.round(self.means, 4).tolist(), "variances": np.round(self.variances, 5).tolist()}

    def distance(self, pooled: np.ndarray) -> np.ndarray:
        """Return how far clips ``(clips, hidden_size)`` lie from the nearest label, ``(clips,)``; 1 is the limit."""
        points = self.prior.project(pooled)[:, None, : self.means.shape[1]]
        return np.asarray(((points - self.means) ** 2 / self.variances).mean(axis=2).min(axis=1) / _LIMIT)


def posterior_means(prior: Prior, counts: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of a voice's labels, shrunk towards its centre, and the variance that is left of each.

    Args:
        prior: how much labels and speakers differ in the corpora.
        counts: clips of each label, ``(…, labels)``, or shares of clips.
        sums: the sum of their leading discriminants, ``(…, labels, width)``.

    Returns:
        both ``(…, labels, width)``.
    """
    width, counts = sums.shape[-1], counts[..., None]
    signal, speakers = prior.signal[:width], prior.speakers[:width]
    precision = counts / (1 + counts * signal)  # of a label's mean as a witness of the voice's centre
    witnesses = (precision * sums / np.maximum(counts, 1e-9)).sum(axis=-2)
    centre = speakers * witnesses / (1 + speakers * precision.sum(axis=-2))
    variance = 1 / (counts + 1 / signal)
    return variance * (sums + (centre / signal)[..., None, :]), variance
