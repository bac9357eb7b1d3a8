"""Clips that hold the same sounds: whoever leaves one out has to leave out its copies too."""

from collections.abc import Hashable, Sequence

import numpy as np


def groups_of(keys: Sequence[Hashable]) -> np.ndarray:
    """Number the clips by their sounds: clips with equal keys, such as digests of samples, get one number.

    >>> groups_of(["x", "y", "x"]).tolist()
    [0, 1, 0]
    """
    first: dict[Hashable, int] = {}
    return np.array([first.setdefault(key, len(first)) for key in keys], dtype=np.int64)


def copies_in(groups: np.ndarray) -> int:
    """Return how many clips repeat one before them.

    >>> copies_in(np.array([0, 1, 0, 0]))
    2
    """
    return len(groups) - len(np.unique(groups))


def fewest_sounds(groups: np.ndarray, targets: np.ndarray, classes: int) -> int:
    """Return how many clips of different sounds the class with the fewest has: below two, it has none to leave out.

    Args:
        groups: the number of each clip's sounds, ``(clips,)``.
        targets: the class of each clip, ``(clips,)``.
        classes: how many classes there are.
    """
    return min(len(np.unique(groups[targets == label])) for label in range(classes))
