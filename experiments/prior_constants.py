"""Do the constants of the method `prior` fit only the speakers on whom they were chosen? Each is halved and doubled.

The speakers of each corpus play the target, heads come from the others (nEMO's never teach); Whisper
tiny.en read after layer 2.
VOICEFIT_DATA and VOICEFIT_MODELS name the folders that hold the corpora and the encoders.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any
from unittest.mock import patch

import numpy as np

import voicefit.adaptation.prior as method_module
import voicefit.heads.discriminants
import voicefit.heads.learn_prior as prior_module
from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.adaptation import find_method
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache, Reading, load_encoder
from voicefit.selection.ranking import learn_together, pool_corpora
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial

TARGETS = ("emovo", "emodb", "ravdess", "nemo")
SHOTS = (2, 8)
CONSTANTS = (
    (method_module, "_KERNEL_SCALE"),
    (method_module, "_KERNEL_POWER"),
    (method_module, "_BIAS_VARIANCE"),
    (method_module, "_UNLABELLED_SHARE"),
    (method_module, "_SHIFT"),
    (method_module, "_SHIFT_UNLABELLED"),
    (prior_module, "WIDTH"),
    (prior_module, "_INVERSE_PENALTY"),
    (voicefit.heads.discriminants, "_SHRINKAGE"),
)


@contextmanager
def scaled(module: Any, name: str, factor: float) -> Iterator[None]:
    """A constant of a module times a factor, for as long as the block runs."""
    value = getattr(module, name)
    with patch.object(module, name, type(value)(value * factor)):
        yield


def score(benches: Sequence[SpeakerBench], methods: dict[str, PlannedMethod], draws: int) -> dict[str, float]:
    """Method → macro F1, mean over speakers of their means over emotions, shots and draws."""
    means: dict[str, list[float]] = {name: [] for name in methods}
    for bench, (name, method) in product(benches, methods.items()):
        episodes, found = bench.episodes, []
        for label, k, draw in product(episodes.labels, SHOTS, range(draws)):
            if episodes.one_vs_rest(label, k, draw) is not None:
                where = (episodes.corpus, "clean", ONE_VS_REST, name, "", episodes.speaker, label, k, draw, 0)
                found.append(run_trial(bench, TrialSpec("", "", "", *where), method)["macro_f1"])
        means[name].append(float(np.mean(found)))
    return {name: float(np.mean(values)) for name, values in means.items()}


def main() -> None:
    """A row per constant and factor: what it adds to macro F1, without and with twelve unlabelled clips, per target."""
    options = parse_options(__doc__)
    data, draws = folder("VOICEFIT_DATA"), 1 if options.quick else 4
    encoder = load_encoder(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=2, frozen_layers=2))
    names = [name for name in FOLDERS if not options.quick or name != "tess"]
    pooled = pool_corpora(encoder, [load_corpus(name, data / FOLDERS[name]) for name in names])[0]
    benches = {
        part.corpus.name: [
            SpeakerBench.of(encoder, FrontCache(encoder), part.corpus, speaker) for speaker in part.corpus.speakers
        ]
        for part in pooled
    }

    def measure(prior_shots: float = 8.0) -> dict[str, dict[str, float]]:
        configured = find_method("prior").configured(prior_shots=prior_shots)
        methods = {"none": PlannedMethod(configured), "12": PlannedMethod(configured, unlabelled=12)}
        found = {}
        for target in TARGETS[: 1 if options.quick else None]:
            prior = learn_together([part for part in pooled if part.corpus.name not in (target, "nemo")])
            for bench in benches[target]:
                bench.prior = prior
            found[target] = score(benches[target], methods, draws)
        return found

    usual = measure()
    rows = [row("as they are", usual, None)]
    for factor in (0.5, 2.0):
        for module, name in CONSTANTS[: 2 if options.quick else None]:
            with scaled(module, name, factor):
                rows.append(row(f"{name.strip('_').lower()} × {factor:g}", measure(), usual))
        rows.append(row(f"prior_shots × {factor:g}", measure(8.0 * factor), usual))
    publish(rows, options, [f"Macro F1, or the difference; mean over speakers, emotions, k = 2 and 8, {draws} draws."])


def row(name: str, found: dict[str, dict[str, float]], usual: dict[str, dict[str, float]] | None) -> dict[str, Any]:
    """What was found, or its difference from the usual."""
    cells: dict[str, Any] = {"constant": name}
    for target, more in product(found, ("none", "12")):
        title = target if more == "none" else f"{target}, 12 unlabelled"
        value = found[target][more]
        cells[title] = f"{value:.3f}" if usual is None else f"{value - usual[target][more]:+.3f}"
    return cells


if __name__ == "__main__":
    main()
