"""What every adaptation method is given."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Shots:
    """The labelled clips of one voice.

    Attributes:
        pooled: the encoder's output for each clip before any adaptation, float32 ``(k, hidden_size)``.
        frames: the front end's output for each clip, ``(frames, width)``; read by methods that train the encoder.
        targets: class of each clip, int64 ``(k,)``, 0 … classes - 1.
        classes: how many classes there are.
    """

    pooled: Tensor
    frames: Sequence[Tensor]
    targets: Tensor
    classes: int
