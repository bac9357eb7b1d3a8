"""One trial: adapt on an episode's support clips, score on its test clips."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from torch import Tensor

from voicefit.adaptation import Shots, find_method
from voicefit.corpora import Clip, Corpus
from voicefit.encoders import Encoder, FrontCache
from voicefit.episodes import SpeakerEpisodes
from voicefit.errors import VoicefitError
from voicefit.sweep.plan import TrialSpec


@dataclass
class SpeakerBench:
    """What the trials of one speaker share: the encoder at its starting point and the clips, pooled once.

    Attributes:
        encoder: at the starting point; trials leave it as they found it.
        cache: the front end's outputs.
        episodes: the speaker's episodes.
        pooled: the encoder's output for the clips asked for so far.
    """

    encoder: Encoder
    cache: FrontCache
    episodes: SpeakerEpisodes
    pooled: dict[Clip, Tensor]

    @classmethod
    def of(cls, encoder: Encoder, cache: FrontCache, corpus: Corpus, speaker: str) -> "SpeakerBench":
        """A bench with nothing pooled yet."""
        return cls(encoder, cache, SpeakerEpisodes(corpus, speaker), {})

    def pool(self, clips: Sequence[Clip]) -> Tensor:
        """The unadapted encoder's output for ``clips``, ``(clips, hidden_size)``; each clip goes through it once."""
        new = list(dict.fromkeys(clip for clip in clips if clip not in self.pooled))
        if new:
            outputs = self.encoder.pool([self.cache.frames(clip) for clip in new])
            self.pooled |= dict(zip(new, outputs, strict=True))
        return torch.stack([self.pooled[clip] for clip in clips])


def run_trial(bench: SpeakerBench, spec: TrialSpec, settings: Any) -> dict[str, Any]:
    """Adapt and score.

    Returns:
        ``macro_f1``, ``accuracy``, ``balanced_accuracy`` (0 … 1), the floors of this test set, ``support`` (clip ids in
        the order drawn), ``test_clips`` and ``seconds``.

    Raises:
        VoicefitError: the speaker has too few clips for the spec.
    """
    began = time.perf_counter()
    episode = bench.episodes.make(spec.task, spec.label, spec.k, spec.draw)
    if episode is None:
        raise VoicefitError(f"speaker {spec.speaker} has too few clips of {spec.label or 'each emotion'} for k = {spec.k}")
    method = find_method(spec.method)
    shots = Shots(
        bench.pool(episode.support),
        _LazyFrames(episode.support, bench.cache.frames),
        torch.tensor(episode.support_targets),
        len(episode.labels),
    )
    if method.TRAINS_ENCODER:
        with bench.encoder.restored():
            head = method.fit(bench.encoder, shots, settings, spec.method_seed)
            pooled = bench.encoder.pool([bench.cache.frames(clip) for clip in episode.test])
    else:
        head = method.fit(bench.encoder, shots, settings, spec.method_seed)
        pooled = bench.pool(episode.test)
    predicted = head(pooled).argmax(1).tolist()
    return {
        **score(episode.test_targets, predicted),
        **floors(episode.test_targets),
        "support": [clip.id for clip in episode.support],
        "test_clips": len(episode.test),
        "seconds": time.perf_counter() - began,
    }


@dataclass(frozen=True)
class _LazyFrames(Sequence[Tensor]):
    clips: Sequence[Clip]
    read: Callable[[Clip], Tensor]

    def __getitem__(self, index: Any) -> Any:
        return self.read(self.clips[index])

    def __len__(self) -> int:
        return len(self.clips)


def score(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Macro F1, accuracy and balanced accuracy, each 0 … 1; a class that is never predicted has F1 0."""
    return {
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(truth, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(truth, predicted)),
    }


def floors(truth: Sequence[int]) -> Mapping[str, float]:
    """Macro F1 that needs no model: of answering the commonest class always, and of guessing evenly.

    For a class with share p of the clips and guesses spread evenly over n classes, precision is p and recall 1/n.

    >>> {name: round(value, 3) for name, value in floors([1] + [0] * 4).items()}
    {'floor_never': 0.444, 'floor_coin': 0.451}
    """
    shares = np.bincount(truth) / len(truth)
    even = 1 / len(shares)
    never = 2 * shares.max() / (1 + shares.max()) / len(shares)
    return {"floor_never": float(never), "floor_coin": float(np.mean(2 * shares * even / (shares + even)))}
