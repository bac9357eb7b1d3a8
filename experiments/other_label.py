"""Clips of `other` beside several labels: a label like the others, or whatever the corpora know beside these?

Three emotions of a voice have names; clips of the rest are in `other`, of one emotion or of all of them. As a label,
`other` is learnt from its clips. As the rest, it is the sum of the corpora's other labels; each of its clips goes to
that of them which it resembles most. All other clips of the voice are tested, with four answers.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.reject import encoders, taught
from voicefit.adaptation import Shots
from voicefit.adaptation.prior import Settings, posterior_head
from voicefit.adaptation.shots import OTHER
from voicefit.heads.prior import Prior
from voicefit.scores import score
from voicefit.selection.ranking import PooledCorpus

NAMED, SHOTS, DRAWS = 3, (2, 5), 6


def as_label(prior: Prior, pooled: np.ndarray, targets: np.ndarray, known: list[str], tested: np.ndarray) -> np.ndarray:
    """Answers of a model for which `other` is the last label."""
    given = Shots(pooled, [], targets, NAMED + 1, labels=(*known, OTHER), prior=prior)
    return posterior_head(given, Settings())(tested).argmax(axis=1)


def as_rest(prior: Prior, pooled: np.ndarray, targets: np.ndarray, known: list[str], tested: np.ndarray) -> np.ndarray:
    """Answers of a model for which `other` is the corpora's other labels."""
    labels = (*known, *(name for name in prior.labels if name not in known))
    named = targets < NAMED

    def fitted(vectors: np.ndarray, rows: np.ndarray) -> Any:
        given = Shots(vectors, [], rows, len(labels), labels=labels, prior=prior, partial=True)
        return posterior_head(given, Settings())

    guessed = fitted(pooled[named], targets[named])(pooled[~named])[:, NAMED:].argmax(axis=1) + NAMED
    spread = targets.copy()
    spread[~named] = guessed
    logits = fitted(pooled, spread)(tested).astype(np.float64)
    rest = np.logaddexp.reduce(logits[:, NAMED:], axis=1)
    return np.column_stack([logits[:, :NAMED], rest]).argmax(axis=1)


def of_corpus(prior: Prior, corpus: PooledCorpus) -> Iterator[dict[str, Any]]:
    """A row per voice, draw, number of clips, what `other` holds, and way."""
    names = np.array([str(clip.label) for clip in corpus.corpus.clips])
    speakers, vectors = np.array([clip.speaker for clip in corpus.corpus.clips]), corpus.vectors.numpy()
    for speaker, draw, shots, holds in product(corpus.corpus.speakers, range(DRAWS), SHOTS, ("one", "all")):
        own, generator = np.flatnonzero(speakers == speaker), np.random.default_rng([draw, shots])
        labels = [name for name in sorted(set(names[own])) if (names[own] == name).sum() >= max(SHOTS) + 2]
        known = sorted(generator.permutation(labels)[:NAMED].tolist())
        rest = [name for name in labels if name not in known]
        if len(rest) < 2:
            continue
        of_other = np.isin(names[own], rest[:1] if holds == "one" else rest)
        groups = [*(own[names[own] == name] for name in known), own[of_other]]
        chosen = [generator.permutation(group)[:shots] for group in groups]
        rows, targets = np.concatenate(chosen), np.repeat(np.arange(NAMED + 1), [len(part) for part in chosen])
        others = np.setdiff1d(own, rows)
        truth = np.array([known.index(name) if name in known else NAMED for name in names[others]])
        for way, answer in (("a label", as_label), ("the rest", as_rest)):
            found = answer(prior, vectors[rows], targets, known, vectors[others])
            yield {
                "clips a label": shots,
                "other holds": f"{holds} of the other emotions",
                "way": way,
                "macro F1": score(truth.tolist(), found.tolist())["macro_f1"],
                "UAR": score(truth.tolist(), found.tolist())["balanced_accuracy"],
                "of other, found": float((found[truth == NAMED] == NAMED).mean()),
                "of named clips, called other": float((found[truth < NAMED] == NAMED).mean()),
            }


def main() -> None:
    """A row per encoder, target, number of clips, what `other` holds, and way: means over voices and draws."""
    options = parse_options(__doc__)
    rows = [
        {"encoder": name, "target": corpus, **row}
        for name, encoder in encoders(options.quick)
        for corpus, one in taught(encoder, name, options.quick).items()
        for row in of_corpus(*one)
    ]
    keys = ["encoder", "target", "clips a label", "other holds", "way"]
    means = pd.DataFrame(rows).groupby(keys, sort=False).mean().map("{:.3f}".format).reset_index()
    publish([{str(key): value for key, value in row.items()} for row in means.to_dict("records")], options)


if __name__ == "__main__":
    main()
