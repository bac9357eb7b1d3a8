"""A handful of recordings, even or uneven: is `joint` below `prior` with the same clips by more than chance?

Whisper tiny.en and base, read after layer 2. Several emotions at once with one labelled clip an emotion, and one
against the rest with k = 8, where the rest has no names.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.common import parse_options, publish
from experiments.joint import (
    TARGETS,
    TEACHERS,
    Voice,
    encoders,
    fitted,
    mostly_neutral,
    pooled_corpora,
    scored,
    uneven,
    voices,
)
from voicefit.corpora import Clip
from voicefit.selection.ranking import learn_together
from voicefit.sweep.episodes import Episode

COUNTS = (4, 8, 12, 16, 20)
DRAWS = 30
"""Of several emotions at once; a tenth of them of each emotion against the rest."""


def conditions(task: str) -> dict[str, Callable[[list[Clip]], list[Clip]]]:
    """Which recordings are taken, by name."""
    first: dict[str, Callable[[list[Clip]], list[Clip]]] = {str(n): lambda clips, n=n: clips[:n] for n in COUNTS}
    if task == "multiclass":
        first |= {"uneven": uneven, "four fifths neutral": mostly_neutral}
    return first


def episodes(voice: Voice, task: str, draws: int) -> Iterator[tuple[Episode, int]]:
    """Shots and tested clips of a voice, as far as it has enough of them."""
    labels = voice.episodes.labels
    for draw in range(draws if task == "multiclass" else max(1, draws // 10)):
        found = (
            [voice.episodes.multiclass(len(labels), draw)]
            if task == "multiclass"
            else [voice.episodes.one_vs_rest(label, 8, draw) for label in labels]
        )
        yield from ((episode, draw) for episode in found if episode is not None)


def gains(speakers: Sequence[Voice], task: str, draws: int) -> dict[str, list[tuple[float, float, float]]]:
    """Recordings, macro F1 by `prior` and by `joint`: for each condition the means of every speaker."""
    means: dict[str, list[tuple[float, float, float]]] = {}
    for voice in speakers:
        trials: dict[str, list[tuple[float, float, float]]] = {}
        for episode, draw in episodes(voice, task, draws):
            more = voice.recordings(episode, draw)
            for name, choose in conditions(task).items():
                chosen = choose(more)
                prior, joint = (
                    scored(voice, episode, fitted(voice, method, episode, chosen))["macro_f1"]
                    for method in ("prior", "joint")
                )
                trials.setdefault(name, []).append((len(chosen), prior, joint))
        for name, found in trials.items():
            count, prior, joint = np.mean(found, axis=0)
            means.setdefault(name, []).append((float(count), float(prior), float(joint)))
    return means


def rows(where: dict[str, Any], means: dict[str, list[tuple[float, float, float]]]) -> Iterator[dict[str, Any]]:
    """A row for each condition; t intervals over speakers."""
    for name, found in means.items():
        count, prior, joint = np.array(found).T
        cells = {"recordings": name, "how many": f"{count.mean():.0f}", "speakers": len(found)}
        low, high = stats.t.interval(0.95, len(found) - 1, np.mean(joint - prior), stats.sem(joint - prior))
        yield {
            **where,
            **cells,
            "prior": f"{prior.mean():.3f}",
            "joint less prior": f"{np.mean(joint - prior):+.3f} [{low:+.3f}, {high:+.3f}]",
        }


def main() -> None:
    """Rows of every encoder, target and task."""
    options = parse_options(__doc__)
    table: list[dict[str, Any]] = []
    for encoder_name, encoder, _ in list(encoders())[: 1 if options.quick else 2]:
        pooled = pooled_corpora(encoder)
        for target in TARGETS[2:3] if options.quick else TARGETS:
            prior = learn_together([pooled[name] for name in TEACHERS if name != target])
            speakers = list(voices(encoder, pooled[target], prior))
            for task in ("multiclass", "one-vs-rest"):
                where = {"encoder": encoder_name, "target": target, "task": task}
                table += rows(where, gains(speakers, task, 2 if options.quick else DRAWS))
    publish(table, options)


if __name__ == "__main__":
    main()
