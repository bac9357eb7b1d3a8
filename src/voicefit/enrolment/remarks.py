"""What a person should know of an adapted model, a sentence each."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from voicefit.adaptation import ConfiguredMethod
from voicefit.adaptation.shots import OTHER
from voicefit.checkpoints.start import Start
from voicefit.heads.head import Head


def found_in_recordings(head: Head, labels: Sequence[str], unlabelled: np.ndarray) -> Iterator[str]:
    """What the model makes of the recordings without labels, pooled vectors ``(clips, size)``."""
    if len(unlabelled):
        counts = np.bincount(head(unlabelled).argmax(axis=1), minlength=len(labels)).tolist()
        found = ", ".join(f"{count} {label}" for label, count in zip(labels, counts, strict=True))
        recordings = "1 recording" if len(unlabelled) == 1 else f"{len(unlabelled)} recordings"
        yield f"{recordings} without labels took part; as the model has it: {found}"


def labels_without_clips(labels: set[str], taught: set[str]) -> Iterator[str]:
    """Labels of which no clip can be used; those of ``taught`` the model knows from the corpora."""
    for label in sorted(labels):
        yield (
            f"no clip of {label} can be used: the model knows this label from the start's corpora alone"
            if label in taught
            else f"no clip of {label} can be used: the model does not know this label"
        )


def nothing_to_train(configured: ConfiguredMethod[Any], begin: Start) -> Iterator[str]:
    """A method that trains the encoder, and a start whose layers are all frozen."""
    if configured.method.trains_encoder and not begin.encoder.trained_layers():
        yield (
            f"every layer of {begin.source} is frozen, so that method {configured.name} has trained little but the "
            "classifier; another start, or method prior, may do better"
        )


def other_is_a_label(labels: Sequence[str]) -> Iterator[str]:
    """What clips of ``other`` do beside those of several labels."""
    if OTHER in labels and len(labels) > 2:
        yield (
            f"{OTHER} is a label beside the others: clips like those in it are called {OTHER}. Put clips of every kind "
            "in it that the model may hear; noise and music need none, since `voicefit predict --reject` tells them"
        )
