"""Encoders side by side as they are, and log-mel statistics: how far a few clips of a new voice get with each.

Four corpora teach heads alone (no weight of an encoder is trained), and speakers of a fifth are adapted to. Give encoders
as NAME=SOURCE@DEPTH; the default is what VOICEFIT_MODELS holds, and mini. VOICEFIT_DATA names the folder of the corpora.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from common import publish
from torch import Tensor
from transformers import WhisperFeatureExtractor

from voicefit.adaptation import Method, find_method
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import Clip, Corpus, load_corpus
from voicefit.encoders import FrontCache, load_encoder
from voicefit.episodes import ONE_VS_REST, SpeakerEpisodes
from voicefit.prefinetune import cache_corpora
from voicefit.prior import learn_prior
from voicefit.sweep.plan import NONE, TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial

FOLDERS = {"ravdess": "RAVDESS", "tess": "TESS", "emodb": "EmoDB", "emovo": "EMOVO", "nemo": "nEMO"}
SHOTS = (2, 4, 8, 16, 32, 64)
SECONDS = 5.0


class LogMelStatistics:
    """Mean and standard deviation over time of 80 log-mel bands, in the place of an encoder and of its cache."""

    device = torch.device("cpu")
    hidden_size = 160

    def __init__(self) -> None:
        self._extract = WhisperFeatureExtractor(chunk_length=int(SECONDS))
        self._held: dict[Clip, Tensor] = {}
        self.projector = torch.nn.Linear(self.hidden_size, self.hidden_size, bias=False)
        torch.nn.init.eye_(self.projector.weight)

    def frames(self, clip: Clip) -> Tensor:
        """One frame for the whole clip, ``(1, 160)``."""
        if clip not in self._held:
            waveform = load_waveform(clip.path, clip.start, clip.end)[: int(SECONDS * SAMPLE_RATE)]
            features = self._extract(waveform, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features[0]
            spoken = features[:, : max(2, len(waveform) // 160)]
            self._held[clip] = torch.from_numpy(np.concatenate([spoken.mean(1), spoken.std(1)]))[None]
        return self._held[clip]

    def pool(self, frames: Sequence[Tensor]) -> Tensor:
        """``(clips, 160)``."""
        return torch.cat([torch.as_tensor(clip) for clip in frames]).float()


def measure(name: str, encoder: Any, cache: Any, corpora: Sequence[Corpus], target: Corpus, draws: int) -> pd.DataFrame:
    """A row per trial: encoder, method, speaker, k, macro_f1."""
    pooled = {c.name: encoder.pool([cache.frames(clip) for clip in c.clips]) for c in corpora}
    prior = learn_prior(pooled, {c.name: c.clips for c in corpora})
    methods = {m: Method(m, find_method(m).Settings()) for m in ("prior", "head", "zero-shot")}
    rows = []
    for speaker in sorted({clip.speaker for clip in target.clips}):
        bench = SpeakerBench(encoder, cache, SpeakerEpisodes(target, speaker), prior)
        for label in sorted(bench.episodes.pool):
            for k in SHOTS:
                for draw in range(draws):
                    spec = TrialSpec(name, NONE, "", target.name, "clean", ONE_VS_REST, "", "", speaker, label, k, draw, 0)
                    if bench.episodes.make(ONE_VS_REST, label, k, draw) is None:
                        continue
                    for method in ("prior", "head") if k > 2 or draw else methods:
                        score = run_trial(bench, spec, methods[method])["macro_f1"]
                        row_k = 0 if method == "zero-shot" else k
                        rows.append((name, method, speaker, label, row_k, score))
    return pd.DataFrame(rows, columns=["encoder", "method", "speaker", "label", "k", "macro_f1"])


def main() -> None:
    """Measure each encoder and print mean macro F1 over speakers and emotions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", nargs="*", help="NAME=SOURCE@DEPTH")
    parser.add_argument("--target", default="nemo", choices=FOLDERS)
    parser.add_argument("--corpora", default="ravdess,tess,emodb,emovo")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--no-log-mel", action="store_true")
    parser.add_argument("--quick", action="store_true", help="under a minute, on a smaller case: to see that it runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = Path(os.environ["VOICEFIT_DATA"])
    names = [name for name in options.corpora.split(",") if name != options.target]
    corpora = [load_corpus(name, data / FOLDERS[name]) for name in names]
    target = load_corpus(options.target, data / FOLDERS[options.target])
    models = Path(os.environ.get("VOICEFIT_MODELS", "."))
    given = options.encoder or [f"tiny-1={models}/whisper-tiny.en-encoder-5s@1", "mini=mini@1"]
    found = []
    for each in given:
        name, _, rest = each.partition("=")
        source, _, depth = rest.rpartition("@")
        encoder = load_encoder(source, depth=int(depth), frozen_layers=int(depth))
        cache = FrontCache(encoder)
        usable, _ = cache_corpora(cache, [*corpora, target], lambda *_: None)
        found.append(measure(name, encoder, cache, usable[:-1], usable[-1], 1 if options.quick else options.draws))
        print(table(found[-1]), flush=True)
    if not options.no_log_mel:
        plain = LogMelStatistics()
        found.append(measure("log-mel", plain, plain, corpora, target, 1 if options.quick else options.draws))
    print(table(pd.concat(found)).round(3).to_string())


def table(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean macro F1 by encoder and method, over speakers of their means over emotions and draws."""
    by_speaker = trials.groupby(["encoder", "method", "k", "speaker"])["macro_f1"].mean()
    return by_speaker.groupby(["encoder", "method", "k"]).mean().unstack("k")


if __name__ == "__main__":
    main()
