"""How long a sweep would take: a few of its steps, timed on this machine."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.adaptation import ConfiguredMethod, Shots
from voicefit.adaptation.fine_tune import FineTuneSettings
from voicefit.adaptation.shots import OTHER
from voicefit.audio import AudioError, load_waveform
from voicefit.corpora import Clip, Corpus
from voicefit.encoders import Encoder
from voicefit.heads.prior import Prior
from voicefit.scores import floors_of, reliabilities, score_all
from voicefit.sweep.episodes import ONE_VS_REST, SpeakerEpisodes
from voicefit.sweep.plan import NONE, Plan
from voicefit.sweep.specs import TrialSpec
from voicefit.system.machine import devices, limit_threads
from voicefit.system.progress import Progress, silent

_PROBES = 8

_TIMED_STEPS = 2
"""Of a method with a fixed number of steps, so many are timed."""

_SHORT_SECONDS = 2.0

_DISCRIMINANTS = 128
"""As many as a prior that was learnt has at most; to learn one here would import scikit-learn."""

_MOST_TOGETHER = 64
"""Trials of a batch that are timed: a larger batch is no quicker, trial for trial."""


@dataclass(frozen=True)
class Estimate:
    """Seconds by stage with one worker.

    Attributes:
        front_end: of the clips that the front-end cache lacks.
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
    plan: Plan,
    corpora: Mapping[str, Corpus],
    targets: Mapping[str, Corpus],
    trials: Sequence[TrialSpec],
    uncached: Mapping[str, int],
    progress: Progress = silent,
) -> Estimate | None:
    """Time front end, training step, pooling, and each method at its fewest and most shots on a few clips.

    Args:
        plan: the plan.
        corpora: name → pre-finetuning corpus.
        targets: name → target corpus.
        trials: what would be run.
        uncached: encoder → number of clips that the front-end cache lacks.
        progress: called after each thing that is timed.

    Returns:
        the estimate, or ``None`` if there is no clip to measure on.
    """
    clips = [clip for corpus in (*corpora.values(), *targets.values()) for clip in corpus.clips]
    waveforms = _readable(clips)
    if not waveforms:
        return None
    front, training, testing = 0.0, 0.0, _TrialsSeconds()
    kinds = {(trial.encoder, trial.method, trial.task) for trial in trials}
    timed = count(1)

    def tell() -> None:
        progress("timing methods", next(timed), len(kinds))

    for name, encoder_plan in plan.encoders.items():
        own_trials = [trial for trial in trials if trial.encoder == name]
        if not own_trials:
            continue
        encoder = encoder_plan.load().to(devices()[0])
        frames = _frames(encoder, waveforms)
        front += uncached.get(name, 0) * _seconds(partial(_frames, encoder, waveforms), is_warm=True) / len(waveforms)
        pooling = _seconds(partial(encoder.pool, frames)) / len(frames)
        settings = plan.prefinetune_settings(name)
        trains = settings.train_encoder or encoder.layer_weights
        step = _seconds(partial(_training_step, encoder, frames)) / len(frames) if trains else pooling
        for start in {trial.start for trial in own_trials}:
            testing.add(pooling * sum(len(corpus.clips) for corpus in targets.values()))
            if start != NONE:
                size = sum(len(corpora[corpus].clips) for corpus in start.split("+"))
                training += size * step * settings.max_epochs
        with limit_threads(torch.get_num_threads()):  # as trials run
            _add_trials(testing, plan, encoder, frames, own_trials, targets, tell)
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
    tell: Callable[[], None],
) -> None:
    """Add the seconds of all trials to ``testing``; call ``tell`` after each method.

    Each method is timed as :func:`_timed_shots` has it, for one epoch where it has any, and is linear between.
    """
    pooled = encoder.pool(frames)
    clips = _clips_of_speakers(trials, targets)
    kinds = defaultdict(list)
    for trial in trials:
        kinds[trial.method, trial.task].append(trial)
    is_warm = False  # one method that trains the encoder warms up for the others
    for (name, task), own in kinds.items():
        planned = plan.method(name)
        configured, unlabelled = planned.configured, min(planned.unlabelled, round(clips.pool))
        classes = 2 if task == ONE_VS_REST else round(clips.labels)
        ks, together = np.array([trial.k for trial in own]), _trials_together(own, configured)
        upper, read = _run_by(configured, encoder, frames)
        pooling = 0.0
        if configured.method.trains_encoder:  # held-out clips go through the encoder again in every trial
            pooling = _seconds(partial(upper.pool, read, configured.precision), is_warm) / len(read)
        sizes, ends = _timed_shots(configured, ks)
        shots = [_probe_shots(pooled, read, k, min(k, classes), unlabelled) for k in ends]
        # The fewest shots come first, and warm up for the most, which take longest.
        trains = configured.method.trains_encoder
        fits = []
        for at, given in enumerate(shots):
            fits.append(_fit_seconds(configured, upper, given, together, at > 0 or (is_warm and trains)))
        is_warm = is_warm or trains
        seconds = np.interp(sizes, ends, fits) * (sizes / ends[0] if len(ends) == 1 else 1)
        if configured.method.needs_validation:
            seconds += clips.validation * pooling
        by_patience, at_most = np.array([configured.epochs(k) for k in ks]).T
        testing.add((_scoring_seconds(together, classes) + clips.test * pooling) * len(ks))
        testing.by_patience += float(seconds @ by_patience)
        testing.at_most += float(seconds @ at_most)
        tell()


def _timed_shots(configured: ConfiguredMethod[Any], ks: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return for each k the shots in which the seconds of a fit are linear, and at how many of these it is timed.

    Where the number of steps is fixed, these are the shots of a step. Steps of much the same size take time in
    proportion to it, and only the largest is timed.
    """
    if not isinstance(configured.settings, FineTuneSettings):
        return ks, sorted({int(ks.min()), int(ks.max())})
    sizes = np.minimum(ks, configured.settings.batch_size)
    fewest, most = int(sizes.min()), int(sizes.max())
    return sizes, [most] if 2 * fewest >= most else [fewest, most]


@dataclass(frozen=True)
class _SpeakerClips:
    """Numbers of a speaker's clips and labels, in the mean of the speakers with trials."""

    labels: float
    pool: float
    validation: float
    test: float


def _clips_of_speakers(trials: Sequence[TrialSpec], targets: Mapping[str, Corpus]) -> _SpeakerClips:
    speakers = {(trial.target, trial.speaker) for trial in trials}
    held_out = trials[0].protocol == "paper"
    episodes = [SpeakerEpisodes(targets[target], speaker, validation=held_out) for target, speaker in speakers]
    counts = [
        (len(own.labels), sum(map(len, own.pool.values())), len(own.validation), len(own.test)) for own in episodes
    ]
    return _SpeakerClips(*np.mean(counts, axis=0).tolist())


def _run_by(
    configured: ConfiguredMethod[Any], encoder: Encoder, frames: Sequence[Tensor]
) -> tuple[Encoder, Sequence[Tensor]]:
    """Return what every trial runs of an encoder, and what that reads; what is below runs once for a speaker."""
    layers, at_units = configured.untouched_layers(encoder), configured.begins_at_hidden_units(encoder)
    if layers <= encoder.frozen_layers and not at_units:
        return encoder, frames
    read = [encoder.lower_layers(layers, clip, configured.precision, at_units) for clip in frames]
    return encoder.upper_layers(layers, at_units), read


def _probe_shots(pooled: Tensor, frames: Sequence[Tensor], k: int, classes: int, unlabelled: int) -> Shots:
    """Return ``k`` shots, and more clips without labels, of the clips that are measured, over and over."""
    prior = _noise_prior(pooled.shape[1], classes)
    vectors, picked = pooled.cpu().numpy(), [at % len(frames) for at in range(k)]
    return Shots(
        vectors[picked],
        [frames[at] for at in picked],
        np.arange(k) % classes,
        classes,
        labels=(OTHER, prior.labels[0]) if classes == 2 else prior.labels,
        unlabelled=np.resize(vectors, (unlabelled, vectors.shape[1])),
        prior=prior,
    )


@cache
def _noise_prior(width: int, classes: int) -> Prior:
    """Return a prior of so many labels: what a fit takes does not depend on what the corpora know."""
    generator, coordinates = np.random.default_rng(0), min(width, _DISCRIMINANTS)
    return Prior(
        labels=tuple(map(str, range(classes))),
        shared=classes,
        origin=np.zeros(width),
        basis=generator.normal(size=(width, coordinates)) / width,
        signal=np.linspace(1.0, 0.01, coordinates),
        speakers=np.ones(coordinates),
        neutral=np.zeros(coordinates),
        heads=generator.normal(size=(classes, coordinates)),
        biases=np.zeros(classes),
    )


def _trials_together(trials: Sequence[TrialSpec], configured: ConfiguredMethod[Any]) -> int:
    """Return how many trials of a method run as one batch, in the mean."""
    if not configured.method.fit_many:
        return 1
    batches = {(trial.start, trial.target, trial.speaker, trial.task, trial.k) for trial in trials}
    return min(_MOST_TOGETHER, -(-len(trials) // len(batches)))


def _scoring_seconds(together: int, classes: int) -> float:
    """Return the seconds that it takes to score a trial of 100 test clips or more, of a batch of so many."""
    truth = np.tile(np.arange(classes), (together, -(-100 // classes)))  # one clip a label at least
    logits = np.zeros((*truth.shape, classes), np.float32)

    def score() -> None:
        score_all(truth, truth, classes)
        floors_of(truth)
        reliabilities(logits, truth)

    return _seconds(score) / together


def _fit_seconds(
    configured: ConfiguredMethod[Any], encoder: Encoder, shots: Shots, together: int, is_warm: bool
) -> float:
    """Return the seconds of one fit, or of an epoch of it without most of the validation clips, if it has them.

    Args:
        configured: the method.
        encoder: what it trains, if it does.
        shots: what it is fitted to.
        together: so many fits are made at once.
        is_warm: whether the method has been fitted here before.
    """
    if fit_many := configured.method.fit_many:
        fit = partial(fit_many, encoder, shots.alone().repeated(together), configured.settings)
        return _seconds(fit, is_warm) / together
    if configured.method.needs_validation:
        settings = configured.settings.model_copy(update={"epochs": 1, "shorter_above_8": False})
        configured = replace(configured, settings=settings)
        two = replace(shots, pooled=shots.pooled[:2], frames=shots.frames[:2], targets=shots.targets[:2])
        shots = replace(shots, validation=two)
    if isinstance(configured.settings, FineTuneSettings):
        steps = configured.settings.steps
        few = min(steps, _TIMED_STEPS)
        configured = replace(configured, settings=configured.settings.model_copy(update={"steps": few}))
        return _seconds(partial(_fit, configured, encoder, shots), is_warm) * steps / few
    return _seconds(partial(_fit, configured, encoder, shots), is_warm)


def _fit(configured: ConfiguredMethod[Any], encoder: Encoder, shots: Shots) -> None:
    with encoder.restored():
        configured.fit(encoder, shots, 0)


def _frames(encoder: Encoder, waveforms: Sequence[np.ndarray]) -> list[Tensor]:
    return [encoder.front(waveform) for waveform in waveforms]


def _training_step(encoder: Encoder, frames: Sequence[Tensor]) -> None:
    nn.functional.normalize(encoder.projector(encoder(frames))).sum().backward()
    encoder.zero_grad(set_to_none=True)


def _seconds(action: Callable[[], Any], is_warm: bool = False) -> float:
    """Return the seconds of an action; a short one is run again, as its first call imports and allocates.

    Args:
        action: what is timed.
        is_warm: it, or one much like it, has been run before.
    """
    for _ in range(1 if is_warm else 2):
        began = time.perf_counter()
        action()
        seconds = time.perf_counter() - began
        if seconds > _SHORT_SECONDS:
            break
    return seconds
