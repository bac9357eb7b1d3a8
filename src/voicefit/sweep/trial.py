"""One trial: adapt on an episode's support clips, score on its test clips."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from voicefit.adaptation import Shots
from voicefit.adaptation.method import ConfiguredMethod
from voicefit.adaptation.shots import OTHER, ShotsBatch, Voice
from voicefit.corpora import Clip, Corpus
from voicefit.encoders import Encoder, FrontCache, Precision
from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior
from voicefit.prefinetuning.settings import PAPER
from voicefit.scores import confusions, floors_of, reliabilities, score_all
from voicefit.sweep.episodes import MULTICLASS, ONE_VS_REST, SpeakerEpisodes
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec

MOST_KEPT = 2**30
"""Bytes of lower layers' outputs for a speaker's clips at most: about 2,400 of 3 s for an encoder 768 wide, 480 where
hidden units are kept too. A small machine keeps fewer (:attr:`FrontCache.memory_share`)."""


@dataclass
class SpeakerBench:
    """What the trials of one speaker share: the encoder at its starting point and the clips, pooled once.

    Attributes:
        encoder: at the starting point; trials leave it as they found it.
        cache: the front end's outputs.
        episodes: the speaker's episodes.
        prior: what the starting point's corpora know of labels, if it has any.
    """

    encoder: Encoder
    cache: FrontCache
    episodes: SpeakerEpisodes
    prior: Prior | None = None
    _moved: dict[str, Tensor] = field(default_factory=dict)
    _lower_outputs: dict[tuple[int, bool, Precision, str], Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        cache: FrontCache,
        corpus: Corpus,
        speaker: str,
        protocol: str = "clean",
        prior: Prior | None = None,
    ) -> "SpeakerBench":
        """Return a bench with nothing pooled yet."""
        return cls(encoder, cache, SpeakerEpisodes(corpus, speaker, validation=protocol == PAPER), prior)

    def shots(self, clips: Sequence[Clip], targets: Sequence[int], labels: tuple[str, ...]) -> Shots:
        """Return clips of the speaker as a method takes them; frames are read when they are asked for."""
        chosen = np.array(targets)
        pooled, frames = self.pool(clips), _LazyFrames(clips, self.frames)
        return Shots(pooled, frames, chosen, len(labels), labels=labels, prior=self.prior)

    def frames(self, clip: Clip) -> Tensor:
        """Return the front end's output for a clip of the speaker, kept on the encoder's device."""
        if self.encoder.device.type == "cpu":
            return self.cache.frames(clip)
        if clip.id not in self._moved:
            self._moved[clip.id] = self.cache.frames(clip).to(self.encoder.device)
        return self._moved[clip.id]

    def upper_part(self, configured: ConfiguredMethod[Any]) -> "SpeakerBench":
        """Return a bench for a method that leaves first layers or units as they are: these run once for a clip."""
        layers, at_units = configured.untouched_layers(self.encoder), configured.begins_at_hidden_units(self.encoder)
        if layers <= self.encoder.frozen_layers and not at_units:
            return self
        upper, precision = self.encoder.upper_layers(layers, at_units), configured.precision
        return _UpperBench(
            upper, self.cache, self.episodes, self.prior, below=self, at_units=at_units, precision=precision
        )

    def lower_layers(self, layers: int, at_units: bool, clip: Clip, precision: Precision) -> Tensor:
        """Return what :meth:`Encoder.lower_layers` does for a clip; kept, in :data:`MOST_KEPT` bytes."""
        key = (layers, at_units, precision, clip.id)
        if key in self._lower_outputs:
            return self._lower_outputs[key]
        output = self.encoder.lower_layers(layers, self.frames(clip), precision, at_units)
        most = min(MOST_KEPT, self.cache.memory_share)
        if sum(frames.nbytes for frames in self._lower_outputs.values()) + output.nbytes <= most:
            self._lower_outputs[key] = output
        return output

    def pool(self, clips: Sequence[Clip]) -> np.ndarray:
        """Return the unadapted encoder's output for ``clips`` of the speaker, ``(clips, hidden_size)``."""
        pooled, rows = self._pooled
        return pooled[[rows[clip.id] for clip in clips]]

    @cached_property
    def voice(self) -> Voice:
        """All clips of the speaker as light methods take them, in the rows of the episodes."""
        return Voice(self._pooled[0], self.prior)

    @cached_property
    def _pooled(self) -> tuple[np.ndarray, dict[str, int]]:
        """Every clip's output, and the row of each clip id.

        All of them, in batches that depend on the speaker alone: what a clip gives varies with its batch by
        rounding, and a sweep that was resumed must give the numbers of one that was not.
        """
        clips = self.episodes.clips
        pooled = self.encoder.pool(self.frames(clip) for clip in clips)
        return pooled.cpu().numpy(), {clip.id: row for row, clip in enumerate(clips)}


@dataclass
class _UpperBench(SpeakerBench):
    """A bench whose encoder reads the outputs of the lower layers of another's."""

    below: SpeakerBench = field(kw_only=True)
    at_units: bool = field(kw_only=True)
    precision: Precision = field(kw_only=True)

    def frames(self, clip: Clip) -> Tensor:
        return self.below.lower_layers(self.encoder.frozen_layers, self.at_units, clip, self.precision)

    def pool(self, clips: Sequence[Clip]) -> np.ndarray:
        return self.below.pool(clips)


def run_trial(bench: SpeakerBench, spec: TrialSpec, planned: PlannedMethod) -> dict[str, Any]:
    """Adapt and score.

    Args:
        bench: of the spec's starting point and speaker.
        spec: which episode, and the seed.
        planned: what the plan calls ``spec.method``.

    Returns:
        ``macro_f1``, ``accuracy``, ``balanced_accuracy`` (0 … 1), the floors of this test set, ``calibration`` (see
        :func:`voicefit.scores.reliability`), ``support`` (clip ids in the order drawn), ``test_clips`` and ``seconds``;
        where one of several emotions is told, ``confusion``: the ``labels``, and the ``counts`` (see
        :func:`voicefit.scores.confusion`).

    Raises:
        VoicefitError: the speaker has too few clips for the spec.
    """
    if planned.configured.method.fit_many:
        return run_together(bench, [spec], planned)[0]
    began = time.perf_counter()
    episode = bench.episodes.make(spec.task, spec.label, spec.k, spec.draw)
    if episode is None:
        raise _too_few_clips(spec)
    configured, method = planned.configured, planned.configured.method
    if method.trains_encoder:
        bench = bench.upper_part(configured)
    shots = bench.shots(episode.support, episode.support_targets, episode.labels)
    if episode.validation and method.needs_validation:
        validation = bench.shots(episode.validation, episode.validation_targets, episode.labels)
        shots = replace(shots, validation=validation)
    if planned.unlabelled:
        clips = bench.episodes.unlabelled(planned.unlabelled, spec.draw, planned.unlabelled_label)
        shots = replace(shots, unlabelled=bench.pool(clips))
    if method.trains_encoder:
        with bench.encoder.restored():
            head = configured.fit(bench.encoder, shots, spec.method_seed)
            frames = (bench.frames(clip) for clip in episode.test)
            pooled = bench.encoder.pool(frames, configured.precision).cpu().numpy()
    else:
        head = configured.fit(bench.encoder, shots, spec.method_seed)
        pooled = bench.pool(episode.test)
    support = [[clip.id for clip in episode.support]]
    return _outcomes(spec, episode.labels, support, np.array([episode.test_targets]), head(pooled)[None], began)[0]


def run_together(bench: SpeakerBench, specs: Sequence[TrialSpec], planned: PlannedMethod) -> list[dict[str, Any]]:
    """Adapt and score several trials as one batch; each gets the numbers that it would get alone.

    Args:
        bench: of the specs' starting point and speaker.
        specs: trials of one method, task and k; the method fits many at once.
        planned: what the plan calls their method.

    Returns:
        what :func:`run_trial` does, for each; ``seconds`` is an even share of the batch's.

    Raises:
        VoicefitError: the speaker has too few clips for a spec, or the method cannot be fitted to one.
    """
    began = time.perf_counter()
    configured, fit_many = planned.configured, planned.configured.method.fit_many
    assert fit_many is not None
    episodes, task = bench.episodes, specs[0].task
    rows = []
    for spec in specs:
        drawn = episodes.support_rows(task, spec.label, spec.k, spec.draw)
        if drawn is None:
            raise _too_few_clips(spec)
        rows.append(drawn)
    emotions = tuple(episodes.labels)
    labels = [(OTHER, spec.label) if task == ONE_VS_REST else emotions for spec in specs]
    targets = np.array([episodes.targets(task, spec.label, own) for spec, own in zip(specs, rows, strict=True)])
    unlabelled = np.empty((len(specs), 0), np.int64)
    if planned.unlabelled:
        chosen = planned.unlabelled, planned.unlabelled_label
        unlabelled = np.array([episodes.unlabelled_rows(chosen[0], spec.draw, chosen[1]) for spec in specs])
    shots = ShotsBatch(bench.voice, np.array(rows), targets, len(labels[0]), labels, unlabelled)
    heads = fit_many(bench.encoder, shots, configured.settings)
    tested = {label: episodes.targets(task, label, episodes.test_rows) for label in {spec.label for spec in specs}}
    truth = np.array([tested[spec.label] for spec in specs])
    support = [[episodes.clips[row].id for row in own.tolist()] for own in rows]
    return _outcomes(specs[0], emotions, support, truth, heads(bench.voice.pooled[episodes.test_rows]), began)


def _too_few_clips(spec: TrialSpec) -> VoicefitError:
    what = spec.label or "each label"
    return VoicefitError(f"speaker {spec.speaker} has too few clips of {what} for k = {spec.k}")


def _outcomes(
    spec: TrialSpec,
    labels: tuple[str, ...],
    support: Sequence[Sequence[str]],
    truth: np.ndarray,
    logits: np.ndarray,
    began: float,
) -> list[dict[str, Any]]:
    """Score trials of one task; where one of several emotions is told, count which was taken for which.

    Args:
        spec: one of the trials.
        labels: of the classes, where there are several emotions.
        support: of each trial, clip ids.
        truth: the classes of the test clips, ``(trials, clips)``.
        logits: the answers, ``(trials, clips, classes)``.
        began: when they were begun, by the performance counter.
    """
    if np.isnan(logits).any():
        raise VoicefitError("the method's answers are not numbers (NaN)")
    predicted, classes = logits.argmax(axis=2), logits.shape[2]
    columns: dict[str, list[Any]] = {
        name: values.tolist() for name, values in {**score_all(truth, predicted, classes), **floors_of(truth)}.items()
    }
    columns |= {"calibration": reliabilities(logits, truth).tolist(), "support": list(support)}
    if spec.task == MULTICLASS:
        counts = confusions(truth, predicted, classes).tolist()
        columns["confusion"] = [{"labels": list(labels), "counts": own} for own in counts]
    trials = len(truth)
    same = {"test_clips": truth.shape[1], "seconds": (time.perf_counter() - began) / trials}
    return [{**dict(zip(columns, values, strict=True)), **same} for values in zip(*columns.values(), strict=True)]


@dataclass(frozen=True)
class _LazyFrames(Sequence[Tensor]):
    clips: Sequence[Clip]
    read: Callable[[Clip], Tensor]

    def __getitem__(self, index: Any) -> Any:
        return self.read(self.clips[index])

    def __len__(self) -> int:
        return len(self.clips)
