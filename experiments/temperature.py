"""Does confidence mean what it says after a few clips, and does a temperature learnt on other corpora help?

Voices are adapted with 1, 2 and 5 clips a label; their other clips are tested. The expected calibration error is of
each voice, with ten bins, and of all voices of a corpus together: a voice with few clips has an error by chance alone.
The temperature (Guo et al. 2017) has the least log loss on the voices of the other corpora.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from benchmarks.common import parse_options, publish
from experiments.reject import encoders, taught
from voicefit.adaptation import Shots, find_method
from voicefit.encoders import Encoder
from voicefit.heads.logistic import log_softmax, softmax
from voicefit.heads.prior import Prior
from voicefit.scores import calibration_error, reliability
from voicefit.selection.ranking import PooledCorpus

SHOTS, DRAWS = (1, 2, 5), 2
METHODS = ("head", "prior", "joint")
"""`joint` has the voice's other clips without their labels."""

Tested = tuple[np.ndarray, np.ndarray]
"""Logits ``(clips, labels)`` of a voice's other clips, and their labels."""


def tested(prior: Prior, pooled: PooledCorpus, encoder: Encoder, method: str, shots: int) -> Iterator[Tested]:
    """Every voice and draw of a corpus."""
    names = np.array([str(clip.label) for clip in pooled.corpus.clips])
    speakers, vectors = np.array([clip.speaker for clip in pooled.corpus.clips]), pooled.vectors.numpy()
    for speaker, draw in product(pooled.corpus.speakers, range(DRAWS)):
        own, generator = speakers == speaker, np.random.default_rng([draw, shots])
        labels = [name for name in sorted(set(names[own])) if (own & (names == name)).sum() >= max(SHOTS) + 2]
        rows = np.concatenate([generator.permutation(np.flatnonzero(own & (names == name)))[:shots] for name in labels])
        others = np.setdiff1d(np.flatnonzero(own & np.isin(names, labels)), rows)
        targets = np.repeat(np.arange(len(labels)), shots)
        more = vectors[others] if method == "joint" else vectors[:0]
        given = Shots(vectors[rows], [], targets, len(labels), labels=tuple(labels), prior=prior, unlabelled=more)
        logits = find_method(method).configured().fit(encoder, given, draw)(vectors[others]).astype(np.float64)
        yield logits, np.array([labels.index(name) for name in names[others]])


def log_loss(voices: Sequence[Tested], temperature: float) -> float:
    """Mean over voices of the surprise at the right label."""
    return float(
        np.mean([-log_softmax(logits / temperature)[np.arange(len(truth)), truth].mean() for logits, truth in voices])
    )


def error(voices: Sequence[Tested], temperature: float, together: bool) -> float:
    """Expected calibration error, of all voices together or as a mean over them."""
    bins = [np.array(reliability(logits / temperature, truth)) for logits, truth in voices]
    groups = [np.sum(bins, axis=0)] if together else bins
    return float(np.mean([calibration_error(one.tolist()) for one in groups]))


def rows(quick: bool) -> Iterator[dict[str, Any]]:
    """A row per encoder, method, shots and target."""
    for name, encoder in encoders(quick):
        targets = taught(encoder, name, quick)
        for method, shots in product(METHODS, SHOTS):
            voices = {corpus: list(tested(*one, encoder, method, shots)) for corpus, one in targets.items()}
            for corpus, mine in voices.items():
                elsewhere = [voice for other, found in voices.items() if other != corpus for voice in found]
                best = minimize_scalar(lambda log: log_loss(elsewhere, np.exp(log)), bounds=(-2, 2), method="bounded")  # noqa: B023
                temperature = float(np.exp(best.x))
                right = np.mean([(logits.argmax(axis=1) == truth).mean() for logits, truth in mine])
                sure = np.mean([softmax(logits).max(axis=1).mean() for logits, _ in mine])
                yield {"encoder": name, "method": method, "clips a label": shots, "target": corpus} | {
                    "right": f"{right:.3f}",
                    "sure": f"{sure:.3f}",
                    "error, a voice": f"{error(mine, 1, False):.3f}",
                    "error, together": f"{error(mine, 1, True):.3f}",
                    "log loss": f"{log_loss(mine, 1):.3f}",
                    "temperature": f"{temperature:.2f}",
                    "error, a voice, with it": f"{error(mine, temperature, False):.3f}",
                    "error, together, with it": f"{error(mine, temperature, True):.3f}",
                    "log loss with it": f"{log_loss(mine, temperature):.3f}",
                }


if __name__ == "__main__":
    options = parse_options(__doc__)
    publish(list(rows(options.quick)), options, ["Means over voices and two draws."])
