"""Which recordings to label next: those that the method `joint` would learn most from.

A label without a clip comes first: the recording that is likeliest to have it. Then come the recordings that the model
is least sure of (uncertainty sampling, Lewis & Gale 1994). research/suggestion.md has what it is worth beside chance.
"""

import numpy as np

from voicefit.adaptation.joint import joint_head, temperature
from voicefit.adaptation.shots import Shots
from voicefit.heads.logistic import softmax


def suggest(shots: Shots, count: int) -> tuple[list[int], np.ndarray]:
    """Choose recordings to label next.

    Args:
        shots: of a start with a prior. Classes may lack a clip; without any, the corpora's heads alone tell them.
        count: how many to choose; fewer where there are fewer recordings.

    Returns:
        rows of ``shots.unlabelled``, the most useful first; and the probability of each class for all recordings,
        ``(clips, classes)``.

    Raises:
        VoicefitError: the starting point has no prior.
    """
    logits = joint_head(shots)(shots.unlabelled).astype(np.float64)
    chances = softmax(logits)
    clips_of_label = np.bincount(shots.targets, minlength=shots.classes)
    unseen = [int(label) for label in np.argsort(-chances.sum(axis=0), kind="stable") if not clips_of_label[label]]
    chosen: list[int] = []
    for label in unseen[:count]:
        free = np.setdiff1d(np.arange(len(chances)), chosen)
        if len(free):
            chosen.append(int(free[chances[free, label].argmax()]))
    entropy = -(chances * np.log(np.maximum(chances, 1e-300))).sum(axis=1)
    least_sure_first = np.argsort(-entropy, kind="stable")
    rest = [int(row) for row in least_sure_first if int(row) not in chosen]
    cooled = temperature(len(shots.targets) / shots.classes, len(logits), shots.classes)
    return [*chosen, *rest][:count], softmax(logits / cooled)
