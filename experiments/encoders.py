"""Encoders side by side as they are, and log-mel statistics: how far a few clips of a new voice get with each.

Four corpora teach heads alone (no weight of an encoder is trained), and speakers of a fifth are adapted to. Give
encoders as NAME=SOURCE@DEPTH, or @1+2 for several layers side by side; the default is mini and what VOICEFIT_MODELS
holds. VOICEFIT_DATA has the corpora.
"""

import argparse
import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from benchmarks.common import Options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.adaptation import find_method
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import Clip, Corpus, load_corpus
from voicefit.encoders import FrontCache, Reading, load_encoder
from voicefit.heads.head import Projection
from voicefit.heads.learn_prior import learn_prior
from voicefit.prefinetuning.prefinetune import cache_corpora
from voicefit.sweep.episodes import ONE_VS_REST, SpeakerEpisodes
from voicefit.sweep.plan import NONE
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial

SHOTS = (2, 4, 8, 16, 32, 64)
SECONDS = 5.0


class Described:
    """Clips told by one vector each, in the place of an encoder and of its cache.

    Args:
        describe: a clip's vector, ``(size,)``.
        size: of the vector.
    """

    device = torch.device("cpu")

    def __init__(self, describe: Callable[[Clip], Tensor], size: int):
        self._describe = functools.cache(describe)
        self.hidden_size = size
        self.projection = Projection(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))

    def frames(self, clip: Clip) -> Tensor:
        """One frame for the whole clip, ``(1, size)``."""
        return self._describe(clip)[None]

    def pool(self, frames: Iterable[Tensor]) -> Tensor:
        """``(clips, size)``."""
        return torch.cat([torch.as_tensor(clip) for clip in frames]).float()


def log_mel_statistics() -> Described:
    """Mean and standard deviation over time of 80 log-mel bands."""
    extract = WhisperFeatureExtractor(chunk_length=int(SECONDS))

    def describe(clip: Clip) -> Tensor:
        waveform = load_waveform(clip.path, clip.start, clip.end)[: int(SECONDS * SAMPLE_RATE)]
        features = extract(waveform, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features[0]
        spoken = features[:, : max(2, len(waveform) // 160)]
        return torch.from_numpy(np.concatenate([spoken.mean(1), spoken.std(1)]))

    return Described(describe, 160)


def several_layers(source: str, depths: Sequence[int]) -> Described:
    """The pooled vectors after each of several layers, side by side: what any weighting of them is a part of."""
    encoders = [load_encoder(source, Reading(depth=depth)) for depth in depths]
    cache = FrontCache(encoders[0])

    def describe(clip: Clip) -> Tensor:
        return torch.cat([encoder.pool([cache.frames(clip)])[0] for encoder in encoders])

    return Described(describe, sum(encoder.hidden_size for encoder in encoders))


def measure(name: str, encoder: Any, cache: Any, corpora: Sequence[Corpus], target: Corpus, draws: int) -> pd.DataFrame:
    """A row per trial: encoder, method, speaker, k, macro_f1."""
    pooled = {c.name: encoder.pool(map(cache.frames, c.clips)) for c in corpora}
    prior = learn_prior(pooled, {c.name: c.clips for c in corpora})
    methods = {m: PlannedMethod(find_method(m).configured()) for m in ("prior", "head", "zero-shot")}
    rows = []
    for speaker in sorted({clip.speaker for clip in target.clips}):
        bench = SpeakerBench(encoder, cache, SpeakerEpisodes(target, speaker), prior)
        for label, k, draw in product(sorted(bench.episodes.pool), SHOTS, range(draws)):
            if bench.episodes.make(ONE_VS_REST, label, k, draw) is None:
                continue
            spec = TrialSpec(name, NONE, "", target.name, "clean", ONE_VS_REST, "", "", speaker, label, k, draw, 0)
            first = (k, draw) == (SHOTS[0], 0) and label in prior.labels
            for method in methods if first else ("prior", "head"):
                score = run_trial(bench, spec, methods[method])["macro_f1"]
                rows.append((name, method, speaker, label, 0 if method == "zero-shot" else k, score))
    return pd.DataFrame(rows, columns=["encoder", "method", "speaker", "label", "k", "macro_f1"])


def main() -> None:
    """Measure each encoder; macro F1, mean over speakers of their means over emotions and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="*", metavar="NAME=SOURCE@DEPTH")
    parser.add_argument("--target", default="nemo", choices=FOLDERS)
    parser.add_argument("--corpora", default="ravdess,tess,emodb,emovo", help="without the target")
    parser.add_argument("--quick", action="store_true", help="one draw, without the encoders of VOICEFIT_MODELS")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    arguments = parser.parse_args()
    data = folder("VOICEFIT_DATA")
    *corpora, target = (
        load_corpus(name, data / FOLDERS[name])
        for name in (*(n for n in arguments.corpora.split(",") if n != arguments.target), arguments.target)
    )
    draws = 1 if arguments.quick else 10
    given = arguments.encoders or ["mini=mini@1", *([] if arguments.quick else _pretrained())]
    found = []
    for name, source, depths in map(_parse, given):
        encoder = load_encoder(source, Reading(depth=depths[0]))
        cache = FrontCache(encoder)
        *usable, usable_target = cache_corpora(cache, [*corpora, target], lambda *_: None)[0]
        if len(depths) > 1:
            encoder = cache = several_layers(source, depths)
        found.append(measure(name, encoder, cache, usable, usable_target, draws))
    statistics = log_mel_statistics()
    found.append(measure("log-mel statistics", statistics, statistics, corpora, target, draws))
    by_speaker = pd.concat(found).groupby(["encoder", "method", "k", "speaker"], sort=False)["macro_f1"].mean()
    means = by_speaker.groupby(["encoder", "method", "k"], sort=False).mean().unstack("k").sort_index(axis=1)
    rows = [
        {"encoder": encoder, "method": method, **{f"k={k}": round(v, 3) for k, v in row.items() if v == v}}
        for (encoder, method), row in means.iterrows()
    ]
    publish(
        rows,
        Options(arguments.quick, arguments.json),
        [f"{', '.join(c.name for c in corpora)} teach heads; {target.name}, {draws} draws"],
    )


def _pretrained() -> list[str]:
    models = folder("VOICEFIT_MODELS")
    return [f"whisper-tiny.en={models / WHISPER_TINY}@{depth}" for depth in (1, 2)]


def _parse(argument: str) -> tuple[str, str, list[int]]:
    name, _, rest = argument.partition("=")
    source, _, depths = rest.rpartition("@")
    return f"{name}, layer {depths}", source, [int(depth) for depth in depths.split("+")]


if __name__ == "__main__":
    main()
