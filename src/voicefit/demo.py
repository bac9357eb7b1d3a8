"""The whole line on synthetic speech: no network, no downloads, a few minutes on two cores."""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pandas as pd
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from voicefit.files import new_directory
from voicefit.prefinetune import Progress
from voicefit.report import build_report
from voicefit.sweep import TrialStore, read_plan, run_sweep
from voicefit.synthesis import DEMO_CORPORA, DEMO_TARGET, synthesise_corpus

_CLIPS_PER_LABEL = 10
_TARGET_CLIPS_PER_LABEL = 36


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        scores: mean macro F1 at k = 2 by (method, start).
        floor: the better of the two scores that need no model.
        report: the HTML page.
    """

    scores: dict[tuple[str, str], float]
    floor: float
    report: Path

    def text(self) -> str:
        """The result in a few lines, for the end of the run."""
        lines = [f"macro F1 with 2 clips of a new voice (floor {self.floor:.3f}):"]
        for method in sorted({method for method, _ in self.scores}):
            mine = {start: value for (name, start), value in self.scores.items() if name == method}
            full = max(mine, key=lambda start: start.count("+"))
            lines.append(
                f"  {method:<10} not pre-finetuned {mine['none']:.3f}, pre-finetuned on {full} {mine[full]:.3f}"
            )
        return "\n".join(lines)


def run_demo(out: Path, *, workers: int, progress: Progress) -> DemoResult:
    """Synthesise four corpora and a target, pre-finetune a small wav2vec 2.0, adapt to every target speaker, report.

    A demo that was stopped goes on where it was.

    Args:
        out: the run directory; speech and encoder go to ``out/material``.
        workers: processes that run trials.
        progress: told of every step.

    Raises:
        VoicefitError: ``praat-parselmouth`` is not installed, or ``out`` holds something else.
    """
    material = out.with_name(out.name + "-material")
    _synthesise(material / "speech", progress)
    if not (material / "encoder").exists():
        write_small_encoder(material / "encoder")
    os.environ["VOICEFIT_DEMO"] = str(material.resolve())
    with resources.as_file(resources.files("voicefit") / "presets" / "demo.toml") as path:
        plan = read_plan(path)
    run_sweep(plan, out, workers=workers, cache_root=material / "cache", progress=progress)
    report = build_report(out)
    with TrialStore(out / "trials.sqlite", read_only=True) as store:
        return _result(store.trials(), report)


def _result(trials: pd.DataFrame, report: Path) -> DemoResult:
    two = trials[trials["k"] == 2]
    means = two.groupby(["method", "start"])["macro_f1"].mean()
    scores = {(str(method), str(start)): float(value) for (method, start), value in means.items()}
    return DemoResult(scores, float(two[["floor_never", "floor_coin"]].mean().max()), report)


def _synthesise(root: Path, progress: Progress) -> None:
    for corpus in (*DEMO_CORPORA, DEMO_TARGET):
        clips = _TARGET_CLIPS_PER_LABEL if corpus is DEMO_TARGET else _CLIPS_PER_LABEL
        synthesise_corpus(
            corpus,
            root / corpus.name,
            clips,
            0,
            lambda done, total, name=corpus.name: progress(f"speaking {name}", done, total),  # type: ignore[misc]
        )


def write_small_encoder(path: Path) -> None:
    """Write a wav2vec 2.0 with random weights from a fixed seed: 50 frames a second like every other, but small."""
    config = Wav2Vec2Config(
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        conv_dim=[96] * 7,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=8,
        feat_extract_norm="group",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        classifier_proj_size=96,
        num_labels=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Wav2Vec2ForSequenceClassification(config)
    with new_directory(path) as folder:
        model.save_pretrained(folder)
        Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)
