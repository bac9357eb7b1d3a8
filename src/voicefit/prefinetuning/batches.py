"""The clips of pre-finetuning: the split in training and validation, and the batches of an epoch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voicefit.corpora import Clip, Corpus
from voicefit.errors import VoicefitError
from voicefit.training import endless_shuffles, seeded_generator


@dataclass(frozen=True)
class CorpusSplit:
    """The labelled clips of one corpus, divided in training and validation.

    Attributes:
        name: the name of the corpus.
        labels: its labels, sorted.
        train: the clips to train on.
        validation: the clips that are held out.
    """

    name: str
    labels: list[str]
    train: list[Clip]
    validation: list[Clip]


def split_by_speaker(corpus: Corpus, share: float, seed: int) -> CorpusSplit:
    """Hold out ``share`` of the speakers of ``corpus`` (at least one) for validation.

    Raises:
        VoicefitError: fewer than two speakers or two labels.
    """
    clips, labels = _labelled(corpus)
    speakers = sorted({clip.speaker for clip in clips})
    if len(speakers) < 2:
        raise VoicefitError(
            f"corpus {corpus.name}: {len(speakers)} speakers among its usable clips; pre-finetuning needs at least two "
            "(one is held out for validation)"
        )
    count = min(len(speakers) - 1, max(1, round(share * len(speakers))))
    held_out = set(seeded_generator(seed, "validation speakers", corpus.name).permutation(speakers)[:count].tolist())
    return CorpusSplit(
        corpus.name,
        labels,
        [clip for clip in clips if clip.speaker not in held_out],
        [clip for clip in clips if clip.speaker in held_out],
    )


def split_by_clip(corpus: Corpus, share: float, seed: int) -> CorpusSplit:
    """Hold out ``share`` of the clips of ``corpus`` (at least one); their speakers leak into validation.

    Raises:
        VoicefitError: fewer than two labels.
    """
    clips, labels = _labelled(corpus)
    count = min(len(clips) - 1, max(1, round(share * len(clips))))
    order = seeded_generator(seed, "validation clips", corpus.name).permutation(len(clips))
    held_out = set(order[:count].tolist())
    return CorpusSplit(
        corpus.name,
        labels,
        [clip for index, clip in enumerate(clips) if index not in held_out],
        [clip for index, clip in enumerate(clips) if index in held_out],
    )


def limit_clips(splits: Sequence[CorpusSplit], total: int, seed: int) -> list[CorpusSplit]:
    """Keep ``total`` training clips in all, as evenly over the corpora as their sizes allow; validation is not changed.

    The clips kept of a corpus depend on its name, their number and the seed, not on the other corpora.

    Raises:
        VoicefitError: there are fewer clips than ``total``, or more corpora.
    """
    available = sum(len(split.train) for split in splits)
    if not len(splits) <= total <= available:
        raise VoicefitError(f"train_clips = {total}, but {len(splits)} corpora have {available} clips to train on")
    quotas = _even_quotas({split.name: len(split.train) for split in splits}, total)
    limited = []
    for split in splits:
        order = seeded_generator(seed, "training clips", split.name).permutation(len(split.train))
        limited.append(replace(split, train=[split.train[index] for index in sorted(order[: quotas[split.name]])]))
    return limited


def _even_quotas(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Divide ``total`` over corpora as evenly as their sizes allow; corpus → number of clips."""
    quotas: dict[str, int] = {}
    for name in sorted(sizes, key=sizes.__getitem__):  # what a small corpus lacks, the larger ones add
        even_share = math.ceil((total - sum(quotas.values())) / (len(sizes) - len(quotas)))
        quotas[name] = min(sizes[name], even_share)
    return quotas


def _labelled(corpus: Corpus) -> tuple[list[Clip], list[str]]:
    clips = [clip for clip in corpus.clips if clip.label is not None]
    labels = sorted({clip.label for clip in clips if clip.label is not None})
    if len(labels) < 2:
        raise VoicefitError(
            f"corpus {corpus.name}: {len(labels)} labels among its usable clips; pre-finetuning needs at least two"
        )
    return clips, labels


def epoch_batches(
    sizes: Mapping[str, int], batch_size: int, sampling: str | float, seed: int, epoch: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the batches of one epoch: corpus → indices of its training clips.

    The batches depend on the arguments alone. Every batch has ``batch_size`` clips, each from a corpus drawn with the
    sampling probabilities. Within a corpus, no clip is repeated before all others were drawn.
    """
    generator = seeded_generator(seed, "batches", str(epoch))
    names = list(sizes)
    weights = np.array([sizes[name] for name in names], dtype=float) ** _sampling_exponent(sampling)
    shuffles = {name: endless_shuffles(sizes[name], generator) for name in names}
    for _ in range(math.ceil(sum(sizes.values()) / batch_size)):
        counts = generator.multinomial(batch_size, weights / weights.sum())
        yield {
            name: np.array([next(shuffles[name]) for _ in range(count)])
            for name, count in zip(names, counts, strict=True)
            if count
        }


def speaker_batches(
    speakers: Mapping[str, Sequence[str]], batch_size: int, sampling: str | float, seed: int, epoch: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield batches of one speaker each, drawn evenly from a corpus that is drawn as in :func:`epoch_batches`.

    A speaker with fewer clips gives a smaller batch.

    Args:
        speakers: corpus → the speaker of each of its training clips.
        batch_size: the most clips in a batch.
        sampling: how the corpora are drawn, see :class:`voicefit.prefinetuning.settings.PrefinetuneSettings`.
        seed: fixes the batches.
        epoch: the number of the epoch, from 0.

    Yields:
        corpus → indices of its training clips.
    """
    generator = seeded_generator(seed, "speaker batches", str(epoch))
    names = list(speakers)
    weights = np.array([len(speakers[name]) for name in names], dtype=float) ** _sampling_exponent(sampling)
    clips = {name: _clips_by_speaker(speakers[name]) for name in names}
    for _ in range(math.ceil(sum(map(len, speakers.values())) / batch_size)):
        name = names[generator.choice(len(names), p=weights / weights.sum())]
        speaker_clips = clips[name][generator.integers(len(clips[name]))]
        yield {name: generator.permutation(speaker_clips)[:batch_size]}


def _clips_by_speaker(speakers: Sequence[str]) -> list[np.ndarray]:
    _, index = np.unique(speakers, return_inverse=True)
    return [np.flatnonzero(index == speaker) for speaker in range(index.max() + 1)]


def _sampling_exponent(sampling: str | float) -> float:
    named = {"proportional": 1.0, "uniform": 0.0}
    return named[sampling] if isinstance(sampling, str) else 1.0 / sampling
