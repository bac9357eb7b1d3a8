"""Which constants of the method `joint` would other corpora choose? A grid, judged on three targets for the fourth.

Whisper tiny.en read after layer 2; several emotions at once, with all recordings, as in :mod:`experiments.joint`. The
constants that ship were looked at on these four targets together; here each target is reported with the constants that
are best on the other three.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import product
from unittest.mock import patch

import numpy as np

from benchmarks.common import parse_options, publish
from experiments.joint import Voice, fitted, scored, taught_voices
from voicefit.adaptation import joint

GRID: Mapping[str, tuple[float, ...]] = {
    "_WIDTH": (32, 64, 128),
    "_GUESS_WEIGHT": (0.25, 0.5, 1.0),
    "_COVARIANCE_CLIPS": (30.0, 100.0, 300.0),
    "_HALF_TRUST": (8.0, 16.0, 32.0),
}
SHIPPED = (64, 0.5, 100.0, 16.0)
SHOTS_AN_EMOTION = (0, 1, 2, 4, 8)
PRIOR = "prior"

Scores = dict[tuple[object, int], float]
"""Constants or :data:`PRIOR`, and shots an emotion → macro F1, mean over speakers of their means over draws."""


@contextmanager
def constants(values: tuple[float, ...]) -> Iterator[None]:
    """The method with other constants, for as long as the block runs."""
    with ExitStack() as stack:
        for name, value in zip(GRID, values, strict=True):
            stack.enter_context(patch.object(joint, name, value))
        yield


def measure(found: list[Voice], settings: list[tuple[float, ...]], draws: int) -> Scores:
    """Every setting on every speaker of a target."""
    means: dict[tuple[object, int], list[float]] = {}
    for voice, each in product(found, SHOTS_AN_EMOTION):
        scores: dict[object, list[float]] = {}
        for draw in range(draws if each else 1):
            episode = voice.episodes.multiclass(max(each, 1) * len(voice.episodes.labels), draw)
            if episode is None:
                continue
            if each:
                more = voice.recordings(episode, draw)
                head = fitted(voice, "prior", episode, more)
                scores.setdefault(PRIOR, []).append(scored(voice, episode, head)["macro_f1"])
            else:
                more = [clip for clips in voice.episodes.pool.values() for clip in clips]
            shots = voice.shots(episode if each else replace(episode, support=(), support_targets=()), more)
            for values in settings:
                with constants(values):
                    head = joint.joint_head(shots)
                scores.setdefault(values, []).append(scored(voice, episode, head)["macro_f1"])
        for name, values_of_draws in scores.items():
            means.setdefault((name, each), []).append(float(np.mean(values_of_draws)))
    return {key: float(np.mean(values)) for key, values in means.items()}


def total(scores: Scores, setting: object) -> float:
    """What constants are judged by: the mean over numbers of shots."""
    return float(np.mean([value for (name, _), value in scores.items() if name == setting]))


def main() -> None:
    """Three rows per target: `prior`, the constants that ship, and those that the other targets choose."""
    options = parse_options(__doc__)
    settings = [SHIPPED] if options.quick else list(product(*GRID.values()))
    scores = {}
    for target, found in taught_voices(options.quick):
        scores[target] = measure(found, settings, 1 if options.quick else 3)
    rows = []
    for target, own in scores.items():
        others = [found for name, found in scores.items() if name != target]
        chosen = max(settings, key=lambda setting: sum(total(found, setting) for found in others))
        for name, setting in (("prior", PRIOR), ("joint as it ships", SHIPPED), ("joint as others choose", chosen)):
            cells = {str(each): f"{own[setting, each]:.3f}" for each in SHOTS_AN_EMOTION if (setting, each) in own}
            words = ", ".join(f"{value:g}" for value in setting) if isinstance(setting, tuple) else ""
            rows.append({"target": target, "method": name, "constants": words, **cells})
    order = ", ".join(name.strip("_").lower() for name in GRID)
    publish(rows, options, [f"Macro F1 by labelled clips an emotion, with all recordings. Constants: {order}."])


if __name__ == "__main__":
    main()
