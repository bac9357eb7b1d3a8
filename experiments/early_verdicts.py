"""How much of the validation clips `published` hears to pick its epoch, and what that saves: on real speech.

An epoch is given up once it cannot be the best one any more; beside it, the same trials with every clip heard in every
epoch. Needs nEMO in VOICEFIT_DATA, and VOICEFIT_MODELS.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.common import EVERY_CLIP, parse_options, publish, run_counted
from experiments.real_data import WHISPER_TINY, folder
from voicefit.adaptation import METHODS, published
from voicefit.checkpoints.start import open_start
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache, Reading
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench
from voicefit.system.heap import keep_freed_memory

Counts = dict[str, Any]


def measure(benches: Sequence[SpeakerBench], labels: Sequence[str], ks: Sequence[int]) -> Iterator[Counts]:
    """A row per k."""
    method = PlannedMethod(METHODS["published"].configured())
    for k in ks:
        parts, wholes = [], []
        for bench, label in product(benches, labels):
            speaker = bench.episodes.speaker
            spec = TrialSpec("", "", "", "nemo", "paper", ONE_VS_REST, "published", "", speaker, label, k, 0, 0)
            parts.append(run_counted(bench, spec, method, published.CLIPS_AT_ONCE))
            wholes.append(run_counted(bench, spec, method, EVERY_CLIP))
        yield {
            "k": k,
            "trials": len(parts),
            "epochs, fewest": min(part["epochs"] for part in parts),
            "median": statistics.median(part["epochs"] for part in parts),
            "most": max(part["epochs"] for part in parts),
            "share of the clips heard": sum(p["heard"] for p in parts) / sum(w["heard"] for w in wholes),
            "seconds a trial": statistics.median(part["seconds"] for part in parts),
            "hearing all": statistics.median(whole["seconds"] for whole in wholes),
            "times as fast": statistics.median(w["seconds"] / p["seconds"] for w, p in zip(wholes, parts, strict=True)),
            "scores that differ": sum(p["macro_f1"] != w["macro_f1"] for p, w in zip(parts, wholes, strict=True)),
        }


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    corpus = load_corpus("nemo", folder("VOICEFIT_DATA") / "nEMO")
    speakers, labels, ks = corpus.speakers[:2], ("anger", "sadness"), (2, 8, 32)
    if options.quick:
        speakers, labels, ks = speakers[:1], labels[:1], (2,)
    encoder = open_start(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=1)).encoder
    keep_freed_memory()  # as workers do
    with tempfile.TemporaryDirectory() as name:
        cache = FrontCache(encoder, Path(name))
        benches = [SpeakerBench.of(encoder, cache, corpus, speaker, "paper") for speaker in speakers]
        rows = list(measure(benches, labels, ks))
    clips = len(benches[0].episodes.validation)
    voices = f"{len(speakers)} speakers with {clips} validation clips, {', '.join(labels)}"
    publish(rows, options, [f"Whisper tiny.en, first layer; nEMO, {voices}; 200 epochs at most, patience 30."])


if __name__ == "__main__":
    main()
