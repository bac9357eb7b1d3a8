"""How long a sweep would take: a few of its steps, timed on this machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from voicefit.adaptation import ConfiguredMethod, Shots
from voicefit.adaptation.shots import OTHER
from voicefit.audio import AudioError, load_waveform
from voicefit.corpora import Clip, Corpus
from voicefit.encoders import Encoder
from voicefit.heads.learn_prior import learn_prior
from voicefit.scores import floors_of, reliabilities, score_all
from voicefit.sweep.episodes import SpeakerEpisodes
from voicefit.sweep.plan import NONE, Plan
from voicefit.sweep.specs import TrialSpec
from voicefit.system.machine import devices

_PROBES = 8

_MOST_TOGETHER = 64
"""Trials of a batch that are timed: a larger batch is no quicker, trial for trial."""


@dataclass(frozen=True)
class Estimate:
    """Seconds by stage with one worker.

    Attributes:
        front_end: with nothing cached yet.
        prefinetuning: at most, with every epoch used.
        trials: at most, as well.
        trials_by_patience: where no epoch after the first is better, for methods that then end early. Epochs that
            read a part of the validation clips alone, or are perfect, are in neither.
    """

    front_end: float
    prefinetuning: float
    trials: float
    trials_by_patience: float

    @property
    def total(self) -> float:
        """Seconds in all, at most."""
        return self.front_end + self.prefinetuning + self.trials


@dataclass
class _TrialsSeconds:
    """Seconds of trials: where no epoch after the first is better, and at most."""

    by_patience: float = 0.0
    at_most: float = 0.0

    def add(self, seconds: float) -> None:
        """Add seconds that do not depend on the number of epochs."""
        self.by_patience += seconds
        self.at_most += seconds


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
    front, training, testing = 0.0, 0.0, _TrialsSeconds()
    for name, encoder_plan in plan.encoders.items():
        own_trials = [trial for trial in trials if trial.encoder == name]
        if not own_trials:
            continue
        encoder = encoder_plan.load().to(devices()[0])
        frames = _frames(encoder, waveforms)
        front += len(clips) * _seconds(partial(_frames, encoder, waveforms)) / len(waveforms)
        pooling = _seconds(partial(encoder.pool, frames)) / len(frames)
        step = _seconds(partial(_training_step, encoder, frames)) / len(frames)
        settings = plan.prefinetune_settings(name)
        for start in {trial.start for trial in own_trials}:
            testing.add(pooling * sum(len(corpus.clips) for corpus in targets.values()))
            if start != NONE:
                size = sum(len(corpora[corpus].clips) for corpus in start.split("+"))
                training += size * step * settings.max_epochs
        _add_trials(testing, plan, encoder, frames, own_trials, targets)
    return Estimate(front, training, testing.at_most, testing.by_patience)


def _readable(clips: Sequence[Clip]) -> list[np.ndarray]:
    waveforms = []
    for index in dict.fromkeys(np.linspace(0, len(clips) - 1, 2 * _PROBES).astype(int)):
        try:
            clip = clips[index]
            waveforms.append(load_waveform(clip.path, clip.start, clip.end, channel=clip.channel))
        except AudioError:
            continue
    return waveforms[:_PROBES]


def _add_trials(
    testing: _TrialsSeconds,
    plan: Plan,
    encoder: Encoder,
    frames: Sequence[Tensor],
    trials: Sequence[TrialSpec],
    targets: Mapping[str, Corpus],
) -> None:
    """Add the seconds of all trials to ``testing``.

    Each method is timed at its fewest and most shots, for one epoch where it has any, and is linear in k between.
    """
    pooled = encoder.pool(frames)
    validation, test = _held_out(trials, targets)
    for name in {trial.method for trial in trials}:
        configured = plan.method(name).configured
        own = [trial for trial in trials if trial.method == name]
        counts, together = np.array([trial.k for trial in own]), _trials_together(own, configured)
        scoring = _scoring_seconds(together)
        ends = [int(counts.min()), int(counts.max())]
        upper, read = _run_by(configured, encoder, frames)
        pooling = 0.0
        if configured.method.trains_encoder:  # held-out clips go through the encoder again in every trial
            pooling = _seconds(partial(upper.pool, read, configured.precision)) / len(read)
        ends_seconds = [_fit_seconds(configured, upper, _probe_shots(pooled, read, k), together) for k in ends]
        seconds = np.interp(counts, ends, ends_seconds)
        if configured.method.needs_validation:
            seconds += validation * pooling
        by_patience, at_most = np.array([configured.epochs(k) for k in counts]).T
        testing.add((scoring + test * pooling) * len(counts))
        testing.by_patience += float(seconds @ by_patience)
        testing.at_most += float(seconds @ at_most)


def _held_out(trials: Sequence[TrialSpec], targets: Mapping[str, Corpus]) -> np.ndarray:
    """Validation and test clips of a speaker, in the mean of those with trials, ``(2,)``."""
    speakers = {(trial.target, trial.speaker) for trial in trials}
    episodes = [SpeakerEpisodes(targets[target], speaker, validation=True) for target, speaker in speakers]
    return np.mean([(len(held.validation), len(held.test)) for held in episodes], axis=0)


def _run_by(
    configured: ConfiguredMethod[Any], encoder: Encoder, frames: Sequence[Tensor]
) -> tuple[Encoder, Sequence[Tensor]]:
    """Return what every trial runs of an encoder, and what that reads; what is below runs once for a speaker."""
    layers = configured.untouched_layers(encoder)
    if layers <= encoder.frozen_layers:
        return encoder, frames
    return encoder.upper_layers(layers), [encoder.lower_layers(layers, clip, configured.precision) for clip in frames]


def _probe_shots(pooled: Tensor, frames: Sequence[Tensor], k: int) -> Shots:
    picked = [index % len(frames) for index in range(k)]
    voices = [Clip("", Path(), speaker=str(index % 2), label=str(index % 3)) for index in range(len(pooled))]
    prior = learn_prior({"probe": pooled}, {"probe": voices})
    names = (OTHER, voices[0].label or "")
    support = [frames[index] for index in picked]
    vectors = pooled.cpu().numpy()
    return Shots(vectors[picked], support, np.arange(k) % 2, 2, labels=names, unlabelled=vectors, prior=prior)


def _trials_together(trials: Sequence[TrialSpec], configured: ConfiguredMethod[Any]) -> int:
    """Return how many trials of a method run as one batch, in the mean."""
    if not configured.method.fit_many:
        return 1
    batches = {(trial.start, trial.target, trial.speaker, trial.task, trial.k) for trial in trials}
    return min(_MOST_TOGETHER, -(-len(trials) // len(batches)))


def _scoring_seconds(together: int) -> float:
    """Return the seconds that it takes to score a trial of 100 test clips, of a batch of so many."""
    truth = np.tile([0, 1], (together, 50))
    logits = np.zeros((together, 100, 2), np.float32)

    def score() -> None:
        score_all(truth, truth, 2)
        floors_of(truth)
        reliabilities(logits, truth)

    return _seconds(score) / together


def _fit_seconds(configured: ConfiguredMethod[Any], encoder: Encoder, shots: Shots, together: int) -> float:
    """Return the seconds of one fit, or of an epoch of it without most of the validation clips, if it has them.

    Args:
        configured: the method.
        encoder: what it trains, if it does.
        shots: what it is fitted to.
        together: so many fits are made at once.
    """
    if fit_many := configured.method.fit_many:
        return _seconds(partial(fit_many, encoder, shots.alone().repeated(together), configured.settings)) / together
    if configured.method.needs_validation:
        settings = configured.settings.model_copy(update={"epochs": 1, "shorter_above_8": False})
        configured = replace(configured, settings=settings)
        two = replace(shots, pooled=shots.pooled[:2], frames=shots.frames[:2], targets=shots.targets[:2])
        shots = replace(shots, validation=two)
    with encoder.restored():
        return _seconds(lambda: configured.fit(encoder, shots, 0))


def _frames(encoder: Encoder, waveforms: Sequence[np.ndarray]) -> list[Tensor]:
    return [encoder.front(waveform) for waveform in waveforms]


def _training_step(encoder: Encoder, frames: Sequence[Tensor]) -> None:
    nn.functional.normalize(encoder.projector(encoder(frames))).sum().backward()
    encoder.zero_grad(set_to_none=True)


def _seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
