"""What leaving each shot out says of an adapted model: its accuracy, and whether a temperature fitted to it helps.

Shots of every speaker of nEMO, several draws; probabilities are tested on the speaker's other clips. The temperature is
that of Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2, fitted to the left-out shots, and
their expected calibration error, of 10 equal bins, is the measure.

Needs nEMO in VOICEFIT_DATA, and the checkpoint that `voicefit sweep experiments/plans/nemo-prior.toml
--out runs/nemo-prior` leaves at runs/nemo-prior/checkpoints/layer-2/ravdess+tess+emodb+emovo.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from benchmarks.common import parse_options, publish
from experiments.real_data import folder
from voicefit.adaptation import ConfiguredMethod, Shots, find_method
from voicefit.adaptation.leave_one_out import leave_one_out
from voicefit.audio import load_waveform
from voicefit.checkpoints.start import open_start
from voicefit.corpora import load_corpus
from voicefit.heads.logistic import log_softmax, softmax

CHECKPOINT = Path("runs/nemo-prior/checkpoints/layer-2/ravdess+tess+emodb+emovo")
LABELS = {2: ("anger", "neutral"), 6: ("anger", "fear", "happiness", "neutral", "sadness", "surprise")}
DRAWS = 10
FEWEST_TESTED = 5
BINS = 10


def calibration_error(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over bins of confidence, weighted by their clips."""
    right = (logits.argmax(axis=1) == targets).astype(np.float64)
    table = pd.DataFrame({"confidence": softmax(logits).max(axis=1), "right": right})
    groups = table.groupby(np.minimum((BINS * table["confidence"]).astype(int), BINS - 1))
    return float(
        sum(len(part) * abs(part["right"].mean() - part["confidence"].mean()) for _, part in groups) / len(table)
    )


def log_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean surprise at the right class."""
    return float(-log_softmax(logits)[np.arange(len(targets)), targets].mean())


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """What to divide logits by for the least log loss, from 0.1 to 10."""

    def loss(log_temperature: float) -> float:
        return log_loss(logits.astype(np.float64) / np.exp(log_temperature), targets)

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded").x))


def draw_shots(targets: np.ndarray, k: int, draw: int) -> tuple[list[int], list[int]]:
    """``k`` clips of each class, and all others."""
    generator = np.random.default_rng([draw, k])
    chosen = [int(i) for c in range(targets.max() + 1) for i in generator.permutation(np.flatnonzero(targets == c))[:k]]
    return chosen, [index for index in range(len(targets)) if index not in set(chosen)]


def measure(
    method: ConfiguredMethod[Any], start: Any, pooled: np.ndarray, names: list[str], k: int, draw: int
) -> dict[str, float]:
    """One adaptation: what the left-out shots say, and what the other clips say."""
    labels = sorted(set(names))
    targets = np.array([labels.index(name) for name in names])
    chosen, others = draw_shots(targets, k, draw)
    encoder, prior = start
    shots = Shots(pooled[chosen], [], targets[chosen], len(labels), labels=tuple(labels), prior=prior)
    left_out = leave_one_out(method, encoder, shots, draw)
    assert left_out is not None
    logits = method.fit(encoder, shots, draw)(pooled[others]).astype(np.float64)
    temperature = fit_temperature(left_out.logits, left_out.targets)
    return {
        "right when left out": left_out.right / len(chosen),
        "right on other clips": float((logits.argmax(axis=1) == targets[others]).mean()),
        "calibration error": calibration_error(logits, targets[others]),
        "error with temperature": calibration_error(logits / temperature, targets[others]),
        "log loss": log_loss(logits, targets[others]),
        "log loss with temperature": log_loss(logits / temperature, targets[others]),
    }


def rows(quick: bool) -> Iterator[dict[str, Any]]:
    """A row per number of labels, method and k: means over speakers and draws."""
    start = open_start(CHECKPOINT)
    encoder, prior = start.encoder, start.prior
    corpus = load_corpus("nemo", folder("VOICEFIT_DATA") / "nEMO")
    speakers = corpus.speakers[:1] if quick else corpus.speakers
    clips = [clip for clip in corpus.clips if clip.speaker in speakers]
    pooled = np.stack([encoder.embed(load_waveform(clip.path)) for clip in clips])
    for count, name, k in product(LABELS, ("prior", "head", "prototype"), (2, 4, 8)):
        method, found = find_method(name).configured(), []
        for speaker, draw in product(speakers, range(1 if quick else DRAWS)):
            own = [i for i, clip in enumerate(clips) if clip.speaker == speaker and clip.label in LABELS[count]]
            names = [str(clips[index].label) for index in own]
            if min(names.count(label) for label in set(names)) >= k + FEWEST_TESTED:
                found.append(measure(method, (encoder, prior), pooled[own], names, k, draw))
        yield {"labels": count, "method": name, "clips a label": k} | pd.DataFrame(found).mean().to_dict()


if __name__ == "__main__":
    options = parse_options(__doc__)
    if not CHECKPOINT.exists():
        raise SystemExit((__doc__ or "").rpartition("\n\n")[2].strip())
    publish(list(rows(options.quick)), options)
