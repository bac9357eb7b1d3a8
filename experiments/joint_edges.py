"""The method `joint` where recordings or labels are not as one would wish, beside `prior` with the same clips.

One labelled clip an emotion, Whisper tiny.en read after layer 2: clips of a second voice among the recordings, labels
that no corpus knows, and labels of which one has no recording.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.joint import Voice, scored, taught_voices
from voicefit.adaptation import find_method

SECOND_VOICE_SHARES = (0.1, 0.3, 0.5)
"""Of the recordings."""


def rows_of(voice: Voice, other: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """A row per condition, method and draw."""
    labels = voice.episodes.labels
    for draw in range(draws):
        episode = voice.episodes.multiclass(len(labels), draw)
        if episode is None:
            continue
        more = voice.recordings(episode, draw)
        shots = voice.shots(episode, more)
        conditions = {
            "as they are": shots,
            "labels of one's own": replace(shots, labels=tuple("abcdefghij"[: len(labels)])),
        }
        strangers = other.episodes.unlabelled(len(more), draw)
        for share in SECOND_VOICE_SHARES:
            count = min(len(strangers), round(len(more) * share / (1 - share)))
            mixed = np.concatenate([voice.pooled(more), other.pooled(strangers[:count])])
            conditions[f"{share:.0%} of a second voice"] = replace(shots, unlabelled=mixed)
        missing = labels[draw % len(labels)]
        kept = [clip for clip in more if clip.label != missing]
        conditions["no recording of one emotion"] = replace(shots, unlabelled=voice.pooled(kept))
        for (condition, given), method in ((pair, name) for pair in conditions.items() for name in ("prior", "joint")):
            head = find_method(method).configured().fit(voice.encoder, given, 0)
            yield {"condition": condition, "method": method, "macro_f1": scored(voice, episode, head)["macro_f1"]}


def pairs(found: Sequence[Voice]) -> Iterator[tuple[Voice, Voice]]:
    """Every speaker, and the next one."""
    yield from zip(found, [*found[1:], found[0]], strict=True)


def main() -> None:
    """A row per condition and method, a column per target: macro F1, mean over speakers of their means over draws."""
    options = parse_options(__doc__)
    rows: list[dict[str, Any]] = []
    for target, found in taught_voices(options.quick):
        for voice, other in pairs(found):
            draws = 1 if options.quick else 10
            where = {"target": target, "speaker": voice.episodes.speaker}
            rows += [{**where, **row} for row in rows_of(voice, other, draws)]
    keys = ["condition", "method", "target"]
    means = (
        pd.DataFrame(rows).groupby([*keys, "speaker"], sort=False)["macro_f1"].mean().groupby(keys, sort=False).mean()
    )
    table: dict[tuple[str, str], dict[str, str]] = {}
    for (condition, method, target), value in means.items():
        row = table.setdefault((condition, method), {"recordings": condition, "method": method})
        row[target] = f"{value:.3f}"
    publish(list(table.values()), options)


if __name__ == "__main__":
    main()
