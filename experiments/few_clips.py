"""Macro F1 of several emotions at once after a few labelled clips, from pooled vectors. No script of its own.

All draws of a speaker are fitted as one batch, as a sweep does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from voicefit.adaptation import find_method, joint, prior
from voicefit.adaptation.shots import ShotsBatch, Voice
from voicefit.heads.head import Heads, Projection
from voicefit.heads.prior import Prior
from voicefit.report.statistics import cell_means
from voicefit.scores import score_all
from voicefit.selection.ranking import PooledCorpus
from voicefit.sweep.episodes import MULTICLASS, SpeakerEpisodes
from voicefit.system.files import new_file

PROJECTED = 32
"""A linear head reads so many of the corpora's discriminants: what pre-finetuning begins its projector at."""

METHODS = ("head without corpora", "head", "prior", "joint")
"""``joint`` has all recordings of the voice that are neither labelled nor tested, the others none."""


@dataclass(frozen=True)
class Speaker:
    """A speaker of the target, with vectors of all clips in the order of ``episodes.clips``."""

    episodes: SpeakerEpisodes
    vectors: np.ndarray

    def batch(self, known: Prior, each: int, draws: int, recordings: bool) -> ShotsBatch | None:
        """Return the shots of all draws, ``each`` clips an emotion; ``None`` where there are too few.

        Without a shot the voice's recordings are all clips that are not tested, in any case.
        """
        labels = tuple(self.episodes.labels)
        found = [self._rows(each, draw) for draw in range(draws if each else 1)]
        if any(rows is None for rows in found):
            return None
        rows = np.stack([rows for rows in found if rows is not None])
        pool = np.arange(self.episodes.test_rows.start)
        rest = np.stack([np.setdiff1d(pool, row) for row in rows]) if recordings else rows[:, :0]
        targets = self.episodes.label_rows[rows]
        return ShotsBatch(Voice(self.vectors, known), rows, targets, len(labels), [labels] * len(rows), rest)

    def _rows(self, each: int, draw: int) -> np.ndarray | None:
        if not each:
            return np.empty(0, np.int64)
        return self.episodes.support_rows(MULTICLASS, "", each * len(self.episodes.labels), draw)

    def scores(self, heads: Heads) -> np.ndarray:
        """Macro F1 on the test clips, ``(draws,)``."""
        answers = heads(self.vectors[self.episodes.test_rows]).argmax(axis=2)
        truth = np.tile(self.episodes.label_rows[self.episodes.test_rows], (len(answers), 1))
        return score_all(truth, answers, len(self.episodes.labels))["macro_f1"]


def speakers(target: PooledCorpus) -> list[Speaker]:
    """Every speaker of a corpus."""
    row_of = {clip.id: row for row, clip in enumerate(target.corpus.clips)}
    found = [SpeakerEpisodes(target.corpus, speaker) for speaker in target.corpus.speakers]
    vectors = target.vectors.numpy()
    return [Speaker(own, vectors[[row_of[clip.id] for clip in own.clips]]) for own in found]


def fitted(method: str, known: Prior, shots: ShotsBatch) -> Heads:
    """Return the heads of a method of :data:`METHODS`; without shots, of ``prior`` or ``joint``."""
    if not shots.rows.shape[1]:
        return joint.joint_heads(shots) if method == "joint" else prior.posterior_heads(shots, prior.Settings())
    configured = find_method(method.split()[0]).configured()
    width, size = PROJECTED, len(known.origin)
    projection = Projection(known.basis[:, :width].T, -known.origin @ known.basis[:, :width])
    if method == "head without corpora":
        projection = Projection(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))
    fit = configured.method.fit_many
    assert fit is not None
    return fit(SimpleNamespace(projection=projection), shots, configured.settings)


def trials(
    voices: Sequence[Speaker], known: Prior, shots: Sequence[int], methods: Sequence[str], draws: int
) -> Iterator[dict[str, Any]]:
    """A row per speaker, number of labelled clips an emotion, method and draw."""
    for voice in voices:
        for each in shots:
            for method in methods:
                if not each and method not in ("prior", "joint"):
                    continue
                batch = voice.batch(known, each, draws, method == "joint" or not each)
                if batch is None:
                    continue
                for draw, score in enumerate(voice.scores(fitted(method, known, batch))):
                    cell = {"speaker": voice.episodes.speaker, "shots": each, "method": method}
                    yield {**cell, "draw": draw, "label": "", "macro_f1": float(score)}


def kept_rows(path: Path, compute: Callable[[], Iterable[dict[str, Any]]]) -> pd.DataFrame:
    """Return rows from a file, which is computed and written if it is not there: a run that was stopped goes on."""
    if not path.exists():
        rows = pd.DataFrame(list(compute()))
        with new_file(path) as file:
            file.write(rows.to_csv(index=False).encode())
    return pd.read_csv(path, dtype={"speaker": str, "clips": str}, keep_default_na=False)


def cells(rows: pd.DataFrame, by: Sequence[str]) -> Mapping[tuple[Any, ...], str]:
    """Means over speakers with their intervals, as text: cell → ``0.869 [0.83, 0.90]``."""
    means = cell_means(rows, list(by))
    return {
        tuple(row[name] for name in by): f"{row['macro_f1']:.3f} [{row['low']:.2f}, {row['high']:.2f}]"
        for row in means.to_dict("records")
    }
