"""The whole line on synthetic speech: no network, no downloads, a few minutes on two cores."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from voicefit.demo.synthesis import DEMO_CORPORA, DEMO_TARGET, SyntheticCorpus, synthesise_corpus
from voicefit.distillation.filter_bank import TAPS, filter_bank_dims, set_filter_bank
from voicefit.encoders.load import quiet_transformers
from voicefit.report import build_report
from voicefit.sweep import read_preset, run_sweep
from voicefit.sweep.run_directory import RunDirectory
from voicefit.system.files import new_directory
from voicefit.system.machine import limit_threads
from voicefit.system.progress import Progress

_CLIPS_PER_LABEL = 12
_TARGET_CLIPS_PER_LABEL = 36

_BANDS, _KNEES = 40, 5

_ENCODERS = {
    "small": "random weights behind a fixed filter bank",
    "mini": "the model that comes with Voicefit, made from real speech",
}


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        scores: mean macro F1 at k = 2 by (encoder, method, start).
        floor: the better of the two scores that need no model.
        report: the HTML page.
    """

    scores: dict[tuple[str, str, str], float]
    floor: float
    report: Path

    def text(self) -> str:
        """The result in a few lines, for the end of the run."""
        full = max((start for *_, start in self.scores), key=lambda start: start.count("+"))
        lines = [
            f"macro F1 with 2 clips of a new voice (floor {self.floor:.3f}),",
            f"pre-finetuned on {full} or not:",
        ]
        for encoder, what in _ENCODERS.items():
            lines.append(f"  {encoder}, {what}")
            for method in sorted({method for name, method, _ in self.scores if name == encoder}):
                plain, tuned = self.scores[encoder, method, "none"], self.scores[encoder, method, full]
                lines.append(f"    {method:<10} not pre-finetuned {plain:.3f}, pre-finetuned {tuned:.3f}")
        return "\n".join(lines)


def run_demo(out: Path, *, workers: int, progress: Progress) -> DemoResult:
    """Synthesise four corpora and a target, pre-finetune a small wav2vec 2.0, adapt to every target speaker, report.

    A demo that was stopped resumes.

    Args:
        out: the run directory; speech, encoder and cache go to ``OUT-material`` beside it.
        workers: processes that run trials.
        progress: called at every step.

    Raises:
        VoicefitError: ``praat-parselmouth`` is not installed, or ``out`` holds something else.
    """
    material = out.with_name(out.name + "-material").resolve()
    _synthesise(material / "speech", progress)
    if not (material / "encoder").exists():
        write_small_encoder(material / "encoder")
    speech = {corpus.name.removeprefix("demo-"): material / "speech" / corpus.name for corpus in _corpora()}
    plan = read_preset("demo", encoders={"small": material / "encoder"}, corpora=speech)
    with limit_threads(1):  # layers this small lose much to a second one where another program wants the core
        run_sweep(plan, out, workers=workers, cache_root=material / "cache", progress=progress)
    report = build_report(out)
    with RunDirectory(out).open_store() as store:
        return _result(store.trials(), report)


def _result(trials: pd.DataFrame, report: Path) -> DemoResult:
    two = trials[trials["k"] == 2]
    places = ["encoder", "method", "start"]
    cells = two.groupby(places, as_index=False)["macro_f1"].mean()
    scores = dict(zip(cells[places].itertuples(index=False, name=None), cells["macro_f1"], strict=True))
    return DemoResult(scores, float(two[["floor_never", "floor_coin"]].mean().max()), report)


def _corpora() -> tuple[SyntheticCorpus, ...]:
    return (*DEMO_CORPORA, DEMO_TARGET)


def _synthesise(root: Path, progress: Progress) -> None:
    for corpus in _corpora():
        clips = _TARGET_CLIPS_PER_LABEL if corpus is DEMO_TARGET else _CLIPS_PER_LABEL
        synthesise_corpus(
            corpus,
            root / corpus.name,
            clips,
            0,
            lambda done, total, name=corpus.name: progress(f"speaking {name}", done, total),  # type: ignore[misc]
        )


def write_small_encoder(path: Path) -> None:
    """Write a small wav2vec 2.0 as a plain `transformers` directory, the same every time; 50 frames a second.

    Its weights are random, from a fixed seed, except that the convolutions are a log-mel filter bank: no training
    is done on them, and random ones lose most of what tells emotions apart.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Wav2Vec2ForSequenceClassification(_small_config())
    set_filter_bank(model.wav2vec2.feature_extractor.conv_layers)
    # No normalisation: all clips are recorded alike, as it were, and loudness is a cue to emotion.
    feature_extractor = Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False)
    with new_directory(path) as folder, quiet_transformers():
        model.save_pretrained(folder)
        feature_extractor.save_pretrained(folder)


def _small_config() -> Wav2Vec2Config:
    return Wav2Vec2Config(
        conv_dim=filter_bank_dims(_BANDS, _KNEES),
        conv_kernel=(TAPS, 8, 1, 1),
        conv_stride=(80, 4, 1, 1),
        conv_bias=True,
        feat_extract_norm="group",
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=8,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        classifier_proj_size=96,
        num_labels=2,
    )
