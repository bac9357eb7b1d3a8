"""How long a sweep would take: a few of its steps, timed on this machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.adaptation import Method, Shots
from voicefit.audio import AudioError, load_waveform
from voicefit.corpora import Clip, Corpus
from voicefit.encoders import Encoder
from voicefit.episodes import OTHER
from voicefit.machine import devices
from voicefit.prior import learn_prior
from voicefit.scores import score
from voicefit.sweep.plan import NONE, Plan, TrialSpec

_PROBES = 8


@dataclass(frozen=True)
class Estimate:
    """Seconds by stage with one worker: with nothing cached yet, and every epoch of pre-finetuning used."""

    front_end: float
    prefinetuning: float
    trials: float

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.front_end + self.prefinetuning + self.trials


def estimate_time(
    plan: Plan, corpora: Mapping[str, Corpus], targets: Mapping[str, Corpus], trials: Sequence[TrialSpec]
) -> Estimate | None:
    """Time front end, training step, pooling, and each method at its fewest and most shots on a few clips.

    Returns:
        the estimate, or ``None`` if there is no clip to measure on.
    """
    clips = [clip for corpus in (*corpora.values(), *targets.values()) for clip in corpus.clips]
    waveforms = _readable(clips)
    if not waveforms:
        return None
    front, training, testing = 0.0, 0.0, 0.0
    for name, place in plan.encoders.items():
        mine = [trial for trial in trials if trial.encoder == name]
        if not mine:
            continue
        encoder = place.load().to(devices()[0])
        frames = _frames(encoder, waveforms)
        front += len(clips) * _seconds(partial(_frames, encoder, waveforms)) / len(waveforms)
        pooling = _seconds(partial(encoder.pool, frames)) / len(frames)
        step = _seconds(partial(_training_step, encoder, frames)) / len(frames)
        settings = plan.prefinetune_settings(name)
        for start in {trial.start for trial in mine}:
            testing += pooling * sum(len(corpus.clips) for corpus in targets.values())
            if start != NONE:
                size = sum(len(corpora[corpus].clips) for corpus in start.split("+"))
                training += size * step * settings.max_epochs
        testing += _trials_seconds(plan, encoder, frames, mine, targets)
    return Estimate(front, training, testing)


def _readable(clips: Sequence[Clip]) -> list[np.ndarray]:
    found = []
    for index in dict.fromkeys(np.linspace(0, len(clips) - 1, 2 * _PROBES).astype(int)):
        try:
            found.append(load_waveform(clips[index].path, clips[index].start, clips[index].end))
        except AudioError:
            continue
    return found[:_PROBES]


def _trials_seconds(
    plan: Plan,
    encoder: Encoder,
    frames: Sequence[Tensor],
    trials: Sequence[TrialSpec],
    targets: Mapping[str, Corpus],
) -> float:
    """Seconds of all trials: each method timed at its fewest and most shots, and linear in k between."""
    pooled = encoder.pool(frames)
    scoring = _seconds(lambda: score([0, 1] * 50, [0, 1] * 50))
    total = 0.0
    for name in {trial.method for trial in trials}:
        method = plan.method(name)
        counts = np.array([trial.k for trial in trials if trial.method == name])
        ends = [int(counts.min()), int(counts.max())]
        upper, read = _run_by(method, encoder, frames)
        seconds = [_fit_seconds(method, upper, _probe_shots(pooled, read, k)) for k in ends]
        total += float(np.interp(counts, ends, seconds).sum()) + scoring * len(counts)
        if method.module.TRAINS_ENCODER:  # the test clips go through the encoder again in every trial
            speakers = sum(len(corpus.speakers) for corpus in targets.values())
            clips = sum(len(corpus.clips) for corpus in targets.values())
            testing = _seconds(partial(upper.pool, read)) / len(read)
            total += testing * len(counts) * clips / speakers / 3
    return total


def _run_by(method: Method, encoder: Encoder, frames: Sequence[Tensor]) -> tuple[Encoder, Sequence[Tensor]]:
    """What every trial of a method runs of an encoder, and what that reads; what is below runs once for a speaker."""
    layers = method.untouched_layers(encoder)
    if layers <= encoder.frozen_layers:
        return encoder, frames
    return encoder.above(layers), [encoder.said_by(layers, clip, method.settings.precision) for clip in frames]


def _probe_shots(pooled: Tensor, frames: Sequence[Tensor], k: int) -> Shots:
    picked = [index % len(frames) for index in range(k)]
    targets = torch.arange(k, device=pooled.device) % 2
    voices = [Clip("", Path(), speaker=str(index % 2), label=str(index % 3)) for index in range(len(pooled))]
    prior = learn_prior({"probe": pooled}, {"probe": voices})
    names = (OTHER, voices[0].label or "")
    support = [frames[index] for index in picked]
    return Shots(pooled[picked], support, targets, 2, labels=names, unlabelled=pooled, prior=prior)


def _fit_seconds(method: Method, encoder: Encoder, shots: Shots) -> float:
    """Seconds of one fit; one epoch stands for all where a method has epochs, at most so many."""
    if method.module.NEEDS_VALIDATION:
        shots = replace(shots, validation=shots)
    epochs = getattr(method.settings, "epochs", None)
    settings = method.settings.model_copy(update={"epochs": 1}) if epochs else method.settings
    with encoder.restored():
        return (epochs or 1) * _seconds(lambda: method.module.fit(encoder, shots, settings, 0))


def _frames(encoder: Encoder, waveforms: Sequence[np.ndarray]) -> list[Tensor]:
    return [encoder.front(waveform) for waveform in waveforms]


def _training_step(encoder: Encoder, frames: Sequence[Tensor]) -> None:
    nn.functional.normalize(encoder.projector(encoder(frames))).sum().backward()
    encoder.zero_grad(set_to_none=True)


def _seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
