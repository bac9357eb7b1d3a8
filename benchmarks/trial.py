"""One trial of full fine-tuning at k = 8: the published recipe, Voicefit, and how fast this machine could be.

The same architecture (wav2vec 2.0 Base), clips and epochs in each; alternating runs, each in a process of its own,
where the second of two trials counts: the first also prepares memory and products, once for thousands of trials.
Runs on a GPU where there is one.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import (
    EVERY_CLIP,
    LABELS,
    alternate,
    build_wav2vec2_base,
    in_own_process,
    median_seconds,
    parse_options,
    publish,
    run_counted,
    write_esd_speaker,
)
from benchmarks.reference_trial import reference_trial
from voicefit.adaptation import METHODS, published
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache, FrontEnd, Reading, load_encoder
from voicefit.sweep.episodes import ONE_VS_REST, SpeakerEpisodes
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench
from voicefit.system.heap import keep_freed_memory
from voicefit.system.machine import devices, has_bfloat16

SPEC = TrialSpec("base", "none", "", "esd", "paper", ONE_VS_REST, "published", "", "0011", LABELS[0], 8, 0, 0)
TRIALS = 2
"""In one process; the last is measured."""

ADAM_BYTES = 4 * 7
"""An optimiser step reads weight, gradient and two moments of a parameter and writes all but the gradient."""


@dataclass(frozen=True)
class Case:
    """What one run needs to know."""

    folder: Path
    epochs: int
    precision: str = "float32"
    train_front_end: bool = False
    clips_at_once: int = published.CLIPS_AT_ONCE


def run_reference(case: Case) -> dict[str, float]:
    """The published recipe, model loading included: it loads one for every trial."""
    corpus = load_corpus("esd-like", case.folder / "clips.csv")
    episode = SpeakerEpisodes(corpus, SPEC.speaker, validation=True).one_vs_rest(SPEC.label, SPEC.k, SPEC.draw)
    assert episode
    splits = {
        "train": (episode.support, episode.support_targets),
        "validation": (episode.validation, episode.validation_targets),
        "test": (episode.test, episode.test_targets),
    }
    for _ in range(TRIALS):
        with tempfile.TemporaryDirectory(dir=case.folder) as out:
            began = time.perf_counter()
            reference_trial(case.folder / "base", splits, case.epochs, Path(out))
            seconds = time.perf_counter() - began
    return {"seconds": seconds}


def run_voicefit(case: Case) -> dict[str, float]:
    """The same trial in Voicefit, as in a sweep: encoder loaded, front end cached, clips of the speaker pooled."""
    keep_freed_memory()  # as workers do
    bench, method = _bench(case), _method(case)
    found = [run_counted(bench, SPEC, method, case.clips_at_once) for _ in range(TRIALS)][-1]
    asked = found["epochs"] * len(bench.episodes.validation)
    return {"seconds": found["seconds"], "heard": found["heard"] / asked}


def _bench(case: Case) -> SpeakerBench:
    front_end = FrontEnd(train=case.train_front_end)
    encoder = load_encoder(case.folder / "base", Reading(front_end=front_end)).to(devices()[0])
    cache = FrontCache(encoder, case.folder / "cache")
    corpus = load_corpus("esd-like", case.folder / "clips.csv")
    cache.fill(corpus.clips)
    return SpeakerBench.of(encoder, cache, corpus, SPEC.speaker, "paper")


def _method(case: Case) -> PlannedMethod:
    settings = {"epochs": case.epochs, "patience": case.epochs, "precision": case.precision}
    return PlannedMethod(METHODS["published"].configured(**settings))


def measure_ceiling(case: Case) -> dict[str, float]:
    """Seconds that evaluation and the whole trial take at least, and what they take, in one process."""
    bench = _bench(case)
    encoder = bench.encoder
    episode = bench.episodes.one_vs_rest(SPEC.label, SPEC.k, SPEC.draw)
    assert episode
    support, validation, test = (
        [bench.frames(clip) for clip in part] for part in (episode.support, episode.validation, episode.test)
    )
    with torch.no_grad():
        evaluating = {name: _flops(encoder, part) for name, part in (("validation", validation), ("test", test))}
    training = _flops(encoder, support, backward=True)
    parameters = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    steps = case.epochs * -(-SPEC.k // 4)
    flops = case.epochs * (training + evaluating["validation"]) + evaluating["test"]
    rate, bandwidth = matmul_rate(case.precision), copy_bandwidth()
    return {
        "rate": rate,
        "bandwidth": bandwidth,
        "evaluation_ceiling": evaluating["test"] / rate,
        "evaluation": median_seconds(lambda: encoder.pool(test, precision=case.precision), rounds=3),
        "trial_compute": flops / rate,
        "trial_memory": steps * parameters * ADAM_BYTES / bandwidth,
        "trial": run_voicefit(case)["seconds"],
    }


def _flops(encoder: Any, clips: list[torch.Tensor], backward: bool = False) -> int:
    """Floating-point operations of passes over clips, each alone: padding is no work that must be done."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        for clip in clips:
            pooled = encoder([clip], "bfloat16")  # counts the same and is done sooner
            if backward:
                nn.functional.normalize(encoder.projector(pooled)).sum().backward()
                encoder.zero_grad(set_to_none=True)
    return counter.get_total_flops()


def matmul_rate(precision: str) -> float:
    """Floating-point operations a second in a product of the size that fills an encoder's feed-forward layers."""
    device = devices()[0]
    frames, width, inner = 1_920 if device == "cpu" else 16_384, 768, 3072
    left, right = (
        torch.randn(shape, dtype=getattr(torch, precision), device=device)
        for shape in ((frames, width), (width, inner))
    )
    return 2 * frames * width * inner / median_seconds(lambda: left @ right, rounds=15)


def copy_bandwidth() -> float:
    """Bytes a second that a large copy reads and writes."""
    source = torch.ones(64 * 2**20, device=devices()[0])
    target = torch.empty_like(source)
    return 2 * source.nbytes / median_seconds(lambda: target.copy_(source))


def comparison_rows(base: Case, rounds: int) -> Iterator[dict[str, Any]]:
    """Reference and variants, alternating; the ratio is the median of the rounds' ratios."""
    variants = {"published recipe, transformers.Trainer": (run_reference, base)}
    for precision in precisions():
        frozen = replace(base, precision=precision)
        named = {
            "front end frozen": frozen,
            "front end trained": replace(frozen, train_front_end=True),
        }
        if devices() == ["cpu"]:  # a GPU hears every clip
            named["front end frozen, every validation clip heard"] = replace(frozen, clips_at_once=EVERY_CLIP)
        variants |= {f"voicefit, {precision}, {name}": (run_voicefit, case) for name, case in named.items()}
    targets = {"frozen": "≥ 10", "trained": "≥ 3"} if devices() == ["cpu"] else {"frozen": "≥ 100"}
    _bench(base)  # fills the cache, which a sweep does once for all trials of a speaker
    runs = alternate(
        {name: lambda run=run, case=case: in_own_process(run, case) for name, (run, case) in variants.items()}, rounds
    )
    reference = [result["seconds"] for result, _ in next(iter(runs.values()))]
    for name, results in runs.items():
        seconds = [result["seconds"] for result, _ in results]
        yield {
            "measured": name,
            "seconds": statistics.median(seconds),
            "times as fast": statistics.median(a / b for a, b in zip(reference, seconds, strict=True)),
            "target": targets.get(name.rpartition(" ")[2], ""),
            "validation clips heard": results[0][0].get("heard", 1.0),
            "peak memory, MB": f"{max(memory for _, memory in results):,.0f}",
        }


def precisions() -> Sequence[str]:
    """Those that this machine's products have."""
    return ("float32", "bfloat16") if has_bfloat16(torch.device(devices()[0])) else ("float32",)


def ceiling_rows(case: Case) -> Iterator[dict[str, Any]]:
    """How near the trial comes to what the machine's matrix products and memory allow."""
    found, _ = in_own_process(measure_ceiling, case)
    rate = f"{found['rate'] / 1e9:,.0f} GFLOP/s, {found['bandwidth'] / 1e9:.0f} GB/s"
    yield {
        "measured": f"evaluation of the test clips, {case.precision} ({rate})",
        "seconds": found["evaluation"],
        "seconds at the ceiling": found["evaluation_ceiling"],
        "share of the ceiling": found["evaluation_ceiling"] / found["evaluation"],
        "target": "≥ 0.60",
    }
    for what, ceiling in (
        ("matrix products alone", found["trial_compute"]),
        ("matrix products and optimiser traffic", found["trial_compute"] + found["trial_memory"]),
    ):
        yield {
            "measured": f"whole trial, {case.precision}, {what}",
            "seconds": found["trial"],
            "seconds at the ceiling": ceiling,
            "share of the ceiling": ceiling / found["trial"],
            "target": "≥ 0.40",
        }


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    layers, validation, test, epochs = (12, 10, 10, 4) if devices() == ["cpu"] else (12, 20, 30, 10)  # ESD's clips
    if options.quick:
        layers, validation, test, epochs = 2, 1, 2, 1
    with tempfile.TemporaryDirectory() as name:
        base = Case(Path(name), epochs)
        build_wav2vec2_base(base.folder / "base", layers)
        write_esd_speaker(base.folder, (8, validation, test))
        rows = list(comparison_rows(base, rounds=1 if options.quick else 2))
        for precision in precisions():
            rows += ceiling_rows(Case(base.folder, 1, precision))
    size = f"{base.epochs} epochs, {5 * validation} validation and {5 * test} test clips of 2.4 s in the mean"
    ceiling = "Beside the ceiling stands a trial of 1 epoch, which hears every validation clip."
    publish(rows, options, [f"wav2vec 2.0 Base, {layers} of its layers, k = {SPEC.k}, {size}. {ceiling}"])


if __name__ == "__main__":
    main()
