"""What bfloat16 does to scores: fine-tuning trials in both precisions, beside what other seeds and shots do to them.

Needs nEMO in VOICEFIT_DATA, and the checkpoint that `voicefit sweep experiments/plans/nemo.toml --out runs/nemo` leaves
at runs/nemo/checkpoints/layer-2/ravdess+tess+emodb+emovo.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import parse_options, publish
from experiments.real_data import folder
from voicefit.adaptation import METHODS
from voicefit.checkpoints.start import open_start
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial
from voicefit.system.machine import has_bfloat16

CHECKPOINT = Path("runs/nemo/checkpoints/layer-2/ravdess+tess+emodb+emovo")
VARIANTS = {
    "float32": ("float32", 0, 0),
    "float32, another seed": ("float32", 1, 0),
    "float32, other shots": ("float32", 0, 1),
    "bfloat16": ("bfloat16", 0, 0),
}


def score(bench: SpeakerBench, label: str, k: int, precision: str, seed: int, draw: int) -> float:
    """Macro F1 of one trial of full fine-tuning; the seed fixes the order of the shots, the draw which they are."""
    spec = TrialSpec("", "", "", "nemo", "clean", ONE_VS_REST, "full", "", bench.episodes.speaker, label, k, draw, seed)
    return run_trial(bench, spec, PlannedMethod(METHODS["full"].configured(precision=precision)))["macro_f1"]


def measure(benches: list[SpeakerBench], k: int) -> Iterator[dict[str, Any]]:
    """A row per variant, on the same speakers and labels."""
    tasks = [(b, label) for b in benches for label in b.episodes.labels if b.episodes.one_vs_rest(label, k, 1)]
    base = np.zeros(0)
    for name, variant in VARIANTS.items():
        began = time.perf_counter()
        found = np.array([score(bench, label, k, *variant) for bench, label in tasks])
        base = base if len(base) else found
        yield {
            "k": k,
            "trials": f"{len(tasks)} in {name}",
            "macro F1": float(found.mean()),
            "difference": float((found - base).mean()),
            "absolute difference, mean": float(np.abs(found - base).mean()),
            "seconds a trial": (time.perf_counter() - began) / len(tasks),
        }


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    data = folder("VOICEFIT_DATA")
    if not CHECKPOINT.exists():
        raise SystemExit((__doc__ or "").partition("\n\n")[2].strip())
    if not has_bfloat16(torch.device("cpu")):
        raise SystemExit("this processor has no products in bfloat16: float32 would be compared with itself")
    corpus = load_corpus("nemo", data / "nEMO")
    encoder = open_start(CHECKPOINT).encoder
    speakers, ks = (corpus.speakers[:1], [2]) if options.quick else (corpus.speakers[:3], [2, 8, 32])
    with tempfile.TemporaryDirectory() as name:
        cache = FrontCache(encoder, Path(os.environ.get("VOICEFIT_CACHE", name)))
        benches = [SpeakerBench.of(encoder, cache, corpus, speaker) for speaker in speakers]
        rows = [row for k in ks for row in measure(benches, k)]
    where = f"{len(speakers)} nEMO speakers, one thread"
    publish(rows, options, [f"Full fine-tuning of Whisper tiny.en, second of two layers, four corpora; {where}."])


if __name__ == "__main__":
    main()
