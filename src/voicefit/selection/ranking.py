"""Which corpora to pre-finetune on for a voice: candidates ranked on a few labelled clips of it, before training."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from torch import Tensor

from voicefit.corpora import Corpus, load_corpus
from voicefit.encoders import Encoder, FrontCache, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.learn_prior import learn_prior
from voicefit.heads.prior import Prior
from voicefit.prefinetuning.prefinetune import cache_corpora
from voicefit.selection.scores import logme, zero_shot
from voicefit.system.machine import devices
from voicefit.system.progress import Progress, silent

ORDER = "zero_shot"
"""The score that orders candidates of as many corpora: it asks what the method `prior` begins at."""


CAVEAT = (
    "Take all corpora if you can: where this was measured, that was the best choice or close to it. Among as many "
    "corpora the scores agree with the measured gain on some voices and not on others: take them as a hint."
)
"""The finding of research/selection.md on these scores, in two sentences for readers of a ranking."""


@dataclass(frozen=True)
class Score:
    """What a column of the ranking says.

    Attributes:
        title: for people.
        meaning: what it measures here, in a line.
    """

    title: str
    meaning: str


SCORES: Mapping[str, Score] = {
    "zero_shot": Score("zero-shot", "log-probability of the voice's labels by the corpora's own heads"),
    "logme": Score("LogME", "evidence that a linear model explains the voice's labels"),
}
"""Name → what the score says, in the order of the table. More is better in all of them."""


@dataclass(frozen=True)
class Candidate:
    """Corpora to pre-finetune on together.

    Attributes:
        corpora: their names.
        clips, speakers: how many they have that can be used.
        scores: by the names of :data:`SCORES`.
    """

    corpora: tuple[str, ...]
    clips: int
    speakers: int
    scores: dict[str, float]


@dataclass(frozen=True)
class Selection:
    """A ranking.

    Attributes:
        target: label → number of target clips used.
        candidates: the most promising first: more corpora before fewer, then by the score :data:`ORDER`.
        left_out: target clip or ``corpus/clip`` → why it was not used.
    """

    target: dict[str, int]
    candidates: list[Candidate]
    left_out: dict[str, str]


@dataclass(frozen=True)
class PooledCorpus:
    """The clips of a corpus that can be used, with the encoder's pooled vectors ``(clips, hidden_size)``."""

    corpus: Corpus
    vectors: Tensor


def select_corpora(
    target: str | Path,
    corpora: Mapping[str, str | Path],
    encoder: str | Path,
    *,
    depth: int | None = None,
    subsets: bool = False,
    progress: Progress = silent,
) -> Selection:
    """Rank corpora by what they promise to pre-finetuning for one voice; nothing is trained but linear heads.

    Args:
        target: a folder with a folder of audio files per label; two clips a label at least.
        corpora: name → path; a name that the registry knows stands for that layout.
        encoder: hub id or directory of the pretrained encoder that would be pre-finetuned.
        depth: transformer layers to keep; all of them if left out.
        subsets: rank every subset of the corpora instead of each alone.
        progress: called for every clip read and every candidate scored.

    Raises:
        VoicefitError: whatever is wrong with the encoder, a corpus or the target's clips.
    """
    if not corpora:
        raise VoicefitError("select: name at least one corpus to rank")
    loaded = [load_corpus(name, path) for name, path in corpora.items()]
    clips = load_corpus("folder", target)
    model = load_encoder(encoder, Reading(depth=depth)).to(devices()[0])
    (voice,), left_out = pool_corpora(model, [replace(clips, name="target")], progress)
    shots = Counter(str(clip.label) for clip in voice.corpus.clips)
    if sum(count > 1 for count in shots.values()) < 2:
        raise VoicefitError(f"{target}: at least two labels need two usable clips each, to judge corpora by")
    pooled, more_left_out = pool_corpora(model, loaded, progress)
    sizes = range(1, len(pooled) + 1) if subsets else [1]
    groups = [group for size in sizes for group in combinations(pooled, size)]
    found = []
    for done, group in enumerate(groups, 1):
        found.append(judge(group, learn_together(group), voice))
        progress("scoring", done, len(groups))
    found.sort(key=promise, reverse=True)
    return Selection(dict(sorted(shots.items())), found, left_out | more_left_out)


def pool_corpora(
    encoder: Encoder, corpora: Sequence[Corpus], progress: Progress = silent, cache_root: Path | None = None
) -> tuple[list[PooledCorpus], dict[str, str]]:
    """Hear every labelled clip through the front-end cache.

    Returns:
        the corpora, and ``corpus/clip id`` → why it cannot be used.

    Raises:
        VoicefitError: a corpus has no speaker with clips of two labels.
    """
    found: list[PooledCorpus] = []
    left_out: dict[str, str] = {}
    for corpus in corpora:
        cache = FrontCache(encoder, cache_root)  # one a corpus: what it has read stays in memory
        (usable,), reasons = cache_corpora(cache, [corpus], progress)
        left_out |= {f"{corpus.name}/{clip}": reason for clip, reason in reasons[corpus.name].items()}
        _require_contrast(usable)
        pooled = encoder.pool(cache.frames(clip) for clip in usable.clips)
        found.append(PooledCorpus(usable, pooled.cpu()))
    return found, left_out


def _require_contrast(corpus: Corpus) -> None:
    labels_of = Counter(speaker for speaker, _ in {(clip.speaker, clip.label) for clip in corpus.clips})
    if not any(count > 1 for count in labels_of.values()):
        raise VoicefitError(
            f"corpus {corpus.name}: no speaker has usable clips of two labels, so it teaches no contrast"
        )


def learn_together(group: Sequence[PooledCorpus]) -> Prior:
    """What corpora teach together of each label."""
    return learn_prior(
        {part.corpus.name: part.vectors for part in group}, {part.corpus.name: part.corpus.clips for part in group}
    )


def promise(candidate: Candidate) -> tuple[int, float]:
    """What candidates are ordered by, the most promising last: the number of corpora, then the score :data:`ORDER`."""
    return len(candidate.corpora), candidate.scores[ORDER]


def judge(group: Sequence[PooledCorpus], prior: Prior, voice: PooledCorpus) -> Candidate:
    """Score corpora together for a voice.

    Args:
        group: the corpora.
        prior: what :func:`learn_together` learns from them.
        voice: clips of the target.

    Raises:
        VoicefitError: the voice has fewer than two labels.
    """
    points, labels = prior.project(voice.vectors.numpy()), np.array([str(clip.label) for clip in voice.corpus.clips])
    log_odds = points @ prior.heads.T + prior.biases
    known = dict(zip(prior.labels, log_odds.T, strict=True))
    known_or_even = [known.get(name, np.zeros(len(labels))) for name in np.unique(labels)]
    scores = {
        "zero_shot": zero_shot(np.stack(known_or_even, axis=1), labels),
        "logme": logme(points, labels),
    }
    clips = [clip for part in group for clip in part.corpus.clips]
    speakers = sum(len(part.corpus.speakers) for part in group)
    return Candidate(tuple(part.corpus.name for part in group), len(clips), speakers, scores)
