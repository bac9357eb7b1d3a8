"""Does `voicefit suggest` find better recordings to label than chance does?

Whisper tiny.en read after layer 2; the corpora teach as in :mod:`experiments.joint`. A speaker's pool has no labels at
first, and the emotions' names are known. Labels are given one recording at a time, or as many at once as there are
emotions; the method `joint` is then scored on the test clips. Chance draws from the pool without knowing labels.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.joint import Voice, taught_voices
from voicefit.adaptation import Shots
from voicefit.adaptation.joint import joint_head
from voicefit.adaptation.suggestion import suggest
from voicefit.corpora import Clip
from voicefit.scores import score

LABELS_AN_EMOTION = (1, 2, 4, 8)


def with_labels(voice: Voice, pool: list[Clip], labelled: list[int]) -> Shots:
    """Shots of the pool's clips that have a label by now; the others are recordings."""
    labels = voice.episodes.labels
    rest = [clip for index, clip in enumerate(pool) if index not in set(labelled)]
    targets = np.array([labels.index(str(pool[index].label)) for index in labelled], dtype=np.int64)
    return Shots(
        voice.pooled([pool[index] for index in labelled]),
        [],
        targets,
        len(labels),
        labels=tuple(labels),
        unlabelled=voice.pooled(rest),
        prior=voice.prior,
        partial=True,
    )


def macro_f1(voice: Voice, shots: Shots) -> float:
    """Of the method `joint` on the test clips."""
    truth = [voice.episodes.labels.index(str(clip.label)) for clip in voice.episodes.test]
    answers = joint_head(shots)(voice.pooled(voice.episodes.test)).argmax(axis=1).tolist()
    return score(truth, answers)["macro_f1"]


def suggested(voice: Voice, pool: list[Clip], at_once: int, budgets: list[int]) -> Iterator[float]:
    """Macro F1 at each budget, where labels are asked for ``at_once`` at a time."""
    labelled: list[int] = []
    for budget in budgets:
        while len(labelled) < budget:
            rest = [index for index in range(len(pool)) if index not in set(labelled)]
            rows, _ = suggest(with_labels(voice, pool, labelled), min(at_once, budget - len(labelled)))
            labelled += [rest[row] for row in rows]
        yield macro_f1(voice, with_labels(voice, pool, labelled))


def by_chance(voice: Voice, pool: list[Clip], draws: int, budgets: list[int]) -> Iterator[float]:
    """Likewise for recordings drawn at random, mean over draws."""
    orders = [np.random.default_rng(draw).permutation(len(pool)).tolist() for draw in range(draws)]
    for budget in budgets:
        yield float(np.mean([macro_f1(voice, with_labels(voice, pool, order[:budget])) for order in orders]))


def main() -> None:
    """A row per way to choose, a column per target and budget: macro F1, mean over speakers."""
    options = parse_options(__doc__)
    rows: list[dict[str, Any]] = []
    for target, found in taught_voices(options.quick):
        for voice in found:
            pool, size = voice.episodes.unlabelled(10**9, 0), len(voice.episodes.labels)
            # At least a fifth of the pool stays without labels.
            budgets = [each * size for each in LABELS_AN_EMOTION if each * size <= 0.8 * len(pool)]
            ways: dict[str, Callable[[], Iterator[float]]] = {
                "chance": lambda v=voice, p=pool, b=budgets: by_chance(v, p, 1 if options.quick else 10, b),
                "suggest, one at a time": lambda v=voice, p=pool, b=budgets: suggested(v, p, 1, b),
                "suggest, as many as emotions": lambda v=voice, p=pool, b=budgets, n=size: suggested(v, p, n, b),
            }
            for way, choose in ways.items():
                for budget, value in zip(budgets, choose(), strict=True):
                    where = {"target": target, "speaker": voice.episodes.speaker, "way": way}
                    rows.append({**where, "labels": budget // size, "macro_f1": value})
    means = pd.DataFrame(rows).groupby(["way", "target", "labels"], sort=False)["macro_f1"].mean()
    table: dict[str, dict[str, str]] = {}
    for (way, target, labels), value in means.items():
        table.setdefault(way, {"recordings chosen by": way})[f"{target} × {labels}"] = f"{value:.3f}"
    publish(list(table.values()), options, ["Columns: target × labels an emotion, on average; mean over speakers."])


if __name__ == "__main__":
    main()
