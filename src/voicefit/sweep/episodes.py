"""Which clips a trial sees: tasks, draws of the support set, and each speaker's test clips.

Chen & Yu (2023), section 4.3: for one speaker and one emotion, k clips of which half carry the emotion; all
test clips of the speaker are then classified as "this emotion" or "another". The support set depends on
corpus, speaker, emotion, k and draw alone, so that it is the same for every model, and a set of k contains
every smaller one. Labels are emotions there, and may be anything a corpus is labelled with.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np

from voicefit.adaptation.shots import OTHER
from voicefit.corpora import Clip, Corpus
from voicefit.errors import VoicefitError

ONE_VS_REST: Final = "one-vs-rest"
MULTICLASS: Final = "multiclass"


TEST_SHARE = 1 / 3
"""Share of a speaker's clips of each emotion kept for testing where the corpus has no split of its own."""

VALIDATION_SHARE = 0.1
"""Share of what remains that ``paper`` keeps for validation there; ESD's own split has 20 of 320."""

_MOST_ORDERS = 2**13
"""So many orders in which clips are drawn are remembered: all k, methods and tasks of a draw share them."""

_NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True)
class Episode:
    """One few-shot task: adapt on ``support``, score on ``test``.

    Attributes:
        labels: the names of the classes; for one-vs-rest ``("other", emotion)``.
        support, test: the clips; no clip is in both.
        support_targets, test_targets: for each clip the index of its class in ``labels``.
        validation, validation_targets: labelled clips beyond the shots, on which the ``paper`` protocol picks the
            best epoch; empty under ``clean``.
    """

    labels: tuple[str, ...]
    support: tuple[Clip, ...]
    support_targets: tuple[int, ...]
    test: tuple[Clip, ...]
    test_targets: tuple[int, ...]
    validation: tuple[Clip, ...] = ()
    validation_targets: tuple[int, ...] = ()


class SpeakerEpisodes:
    """All episodes of one speaker, whose clips are split once into a pool to draw from and a test set.

    A corpus's own split is kept where every clip of the speaker has one (``train`` is the pool, ``test`` the
    test set); otherwise a third of the clips of each emotion, at least one, is for testing.

    Args:
        corpus: with only the clips that can be used.
        speaker: one of its speakers.
        validation: whether episodes come with validation clips, as under the ``paper`` protocol: the corpus's
            ``validation`` split, or else a tenth of the pool's clips of each emotion, at least one.

    Raises:
        VoicefitError: the speaker has fewer than two labels.
    """

    def __init__(self, corpus: Corpus, speaker: str, *, validation: bool = False):
        self.corpus, self.speaker = corpus.name, speaker
        clips = [clip for clip in corpus.clips if clip.speaker == speaker and clip.label is not None]
        clips.sort(key=lambda clip: clip.id)
        self.labels = sorted({str(clip.label) for clip in clips})
        if len(self.labels) < 2:
            raise VoicefitError(
                f"corpus {corpus.name}: two labels are needed, speaker {speaker} has {len(self.labels)}"
            )
        self._own_split = all(clip.split for clip in clips)
        self.pool: dict[str, list[Clip]] = {}
        self.test: list[Clip] = []
        self.validation: list[Clip] = []
        for label in self.labels:
            mine = [clip for clip in clips if clip.label == label]
            if self._own_split:
                self.pool[label], held_out, test = (_with_split(mine, name) for name in ("train", "validation", "test"))
                self.validation += held_out if validation else []
            else:
                self.pool[label], test = self._split("test", label, mine, TEST_SHARE)
                if validation:
                    self.pool[label], held_out = self._split("validation", label, self.pool[label], VALIDATION_SHARE)
                    self.validation += held_out
            self.test += test
        self.clips = [*chain.from_iterable(self.pool.values()), *self.test, *self.validation]
        """All of them; a row is a place in this list."""
        self.label_rows = np.array([self.labels.index(str(clip.label)) for clip in self.clips])
        """For each row the index of its label in ``labels``."""
        count = sum(map(len, self.pool.values()))
        self.test_rows = slice(count, count + len(self.test))
        self._pool_rows = {label: np.flatnonzero(self.label_rows[:count] == at) for at, label in enumerate(self.labels)}
        self._tested = {clip.label for clip in self.test}
        self._order = lru_cache(_MOST_ORDERS)(self._draw_order)

    def _split(self, purpose: str, label: str, clips: Sequence[Clip], share: float) -> tuple[list[Clip], list[Clip]]:
        order = self._shuffled(clips, purpose, label)
        count = max(1, round(share * len(clips)))
        return sorted(order[count:], key=lambda c: c.id), sorted(order[:count], key=lambda c: c.id)

    def why_not(self, task: str, emotion: str, k: int, draw: int) -> str:
        """Say why there is no episode of this task, emotion, k and draw; empty where there is one."""
        return self._no_clip_of_a_part() or (
            self._why_not_one_vs_rest(emotion, k) if task == ONE_VS_REST else self._why_not_multiclass(k, draw)
        )

    def _no_clip_of_a_part(self) -> str:
        parts = {"train": any(self.pool.values()), "test": bool(self.test)} if self._own_split else {}
        for part, has_clips in parts.items():
            if not has_clips:
                return f"no clip of the split {part}; leave `split` empty to have Voicefit divide each speaker's clips"
        return ""

    def _why_not_one_vs_rest(self, emotion: str, k: int) -> str:
        if emotion not in self.labels:
            return f"no clip of {emotion}"
        if emotion not in self._tested:
            return f"no test clip of {emotion}"
        if self._tested == {emotion}:
            return f"no test clip but of {emotion}"
        if len(self.pool[emotion]) < (k + 1) // 2:
            return f"too few clips of {emotion}"
        others = sum(len(self.pool[label]) for label in self.labels if label != emotion)
        return f"too few clips beside {emotion}" if others < k // 2 else ""

    def _why_not_multiclass(self, k: int, draw: int) -> str:
        if k < len(self.labels):
            return f"fewer shots than the {len(self.labels)} labels"
        if untested := [label for label in self.labels if label not in self._tested]:
            return f"no test clip of {', '.join(untested)}"
        least, more = divmod(k, len(self.labels))
        order = self._multiclass_order(draw) if more else range(len(self.labels))
        shots = {self.labels[index]: least + (place < more) for place, index in enumerate(order)}
        scarce = [label for label in self.labels if len(self.pool[label]) < shots[label]]
        return f"too few clips of {', '.join(scarce)}" if scarce else ""

    def _multiclass_order(self, draw: int) -> np.ndarray:
        return self._generator("multiclass order", str(draw)).permutation(len(self.labels))

    def make(self, task: str, emotion: str, k: int, draw: int) -> Episode | None:
        """:meth:`one_vs_rest` or :meth:`multiclass`, by the name of the task."""
        rows = self.support_rows(task, emotion, k, draw)
        labels = (OTHER, emotion) if task == ONE_VS_REST else tuple(self.labels)
        return None if rows is None else self._episode(labels, [self.clips[row] for row in rows.tolist()])

    def one_vs_rest(self, emotion: str, k: int, draw: int) -> Episode | None:
        """Is it ``emotion`` or another?

        The support set has ceil(k/2) clips of the emotion and floor(k/2) of the others, drawn at random.

        Returns:
            ``None`` if the speaker has too few clips for ``k`` shots, or no test clip of either class.
        """
        return self.make(ONE_VS_REST, emotion, k, draw)

    def multiclass(self, k: int, draw: int) -> Episode | None:
        """Which of the speaker's emotions is it?

        The k shots are dealt over the emotions in turn, so that counts differ by one at most.

        Returns:
            ``None`` if an emotion has too few clips for its shots or no test clip, or there are fewer shots
            than emotions.
        """
        return self.make(MULTICLASS, "", k, draw)

    def support_rows(self, task: str, emotion: str, k: int, draw: int) -> np.ndarray | None:
        """Return the rows of the support set of an episode, ``(k,)``; ``None`` where there is none."""
        if self.why_not(task, emotion, k, draw):
            return None
        if task == ONE_VS_REST:
            decks = [self._order("one-vs-rest", emotion, str(draw), side) for side in ("positive", "negative")]
        else:
            decks = [self._order("multiclass", label, str(draw)) for label in self.labels]
            decks = [decks[index] for index in self._multiclass_order(draw)]
        rows = np.empty(k, np.int64)
        for place, deck in enumerate(decks):  # dealt in turn; each has enough
            mine = rows[place :: len(decks)]
            mine[:] = deck[: len(mine)]
        return rows

    def targets(self, task: str, emotion: str, rows: np.ndarray | slice) -> np.ndarray:
        """Return the classes of clips, which are given by their rows."""
        labels = self.label_rows[rows]
        return (labels == self.labels.index(emotion)).astype(np.int64) if task == ONE_VS_REST else labels

    def _draw_order(self, task: str, emotion: str, draw: str, side: str = "") -> np.ndarray:
        """Return the rows of a deck in the order in which they are drawn."""
        if side == "negative":
            rows = np.concatenate([self._pool_rows[label] for label in self.labels if label != emotion])
        else:
            rows = self._pool_rows[emotion]
        purpose = (task, emotion, draw, side) if side else (task, emotion, draw)
        return rows[self._generator(*purpose).permutation(len(rows))]

    def unlabelled(self, count: int, draw: int, label: str = "") -> list[Clip]:
        """Return the clips of :meth:`unlabelled_rows`."""
        return [self.clips[row] for row in self.unlabelled_rows(count, draw, label).tolist()]

    def unlabelled_rows(self, count: int, draw: int, label: str = "") -> np.ndarray:
        """Clips of the pool whose labels are not looked at, the same for every task, and shots perhaps among them.

        At most ``count``; with ``label`` of that emotion alone.
        """
        rows = np.concatenate([self._pool_rows[name] for name in self.labels if label in ("", name)] or [_NO_ROWS])
        return rows[self._generator("unlabelled", str(draw)).permutation(len(rows))][:count]

    def _episode(self, labels: tuple[str, ...], support: Sequence[Clip]) -> Episode:
        def target(clip: Clip) -> int:
            return labels.index(str(clip.label)) if clip.label in labels else 0

        return Episode(
            labels,
            tuple(support),
            tuple(target(clip) for clip in support),
            tuple(self.test),
            tuple(target(clip) for clip in self.test),
            tuple(self.validation),
            tuple(target(clip) for clip in self.validation),
        )

    def _shuffled(self, clips: Sequence[Clip], *purpose: str) -> list[Clip]:
        return [clips[index] for index in self._generator(*purpose).permutation(len(clips))]

    def _generator(self, *purpose: str) -> np.random.Generator:
        words = "\n".join([self.corpus, self.speaker, *purpose])
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()))


def _with_split(clips: Sequence[Clip], split: str) -> list[Clip]:
    return [clip for clip in clips if clip.split == split]
