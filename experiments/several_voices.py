"""Can it be told that a folder of one voice holds clips of two, from the pooled vectors that are at hand?

A folder has five clips of each label, or two. It is of one speaker; or half of each label's clips, or one clip in ten,
are of another speaker of the corpus; or half are of the same speaker over a telephone, or 12 dB louder, as another
day's may be: there a word of another voice would be wrong. Without labels, a folder has thirty clips, drawn at random.
Scores look at what is left of a clip once the mean of its label is taken away (without labels: of the folder), in the
leading discriminants of emotions, which a checkpoint has, and in directions that tell speakers of the *other* corpora
apart, which none has today:

- *spread*: the largest eigenvalue of the scatter, over the sum of all;
- *size*: the mean square;
- *two groups*: the gain of the best split in two along the first principal axis, over the sum of squares there;
- *farthest*: the largest distance of a clip from the mean of the others of its label.

Each warns beyond the value that 5 of 100 folders of one voice of the other corpora exceed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.reject import CHANGES, embedded, encoders, taught
from voicefit.audio import load_waveform
from voicefit.encoders import Encoder
from voicefit.heads.prior import Prior
from voicefit.selection.ranking import PooledCorpus

FOLDERS_OF_EACH, WIDTH, CLIPS_WITHOUT_LABELS, FALSE_ALARMS = 200, 16, 30, 0.05
KINDS = ("one voice", "half of another", "one in ten of another")
SESSIONS = ("telephone", "12 dB louder")
SPEAKERS, CLIPS_OF_LABEL = 4, 5
"""So many of a corpus are heard as in another session."""

SCORES = ("spread", "size", "two groups", "farthest")
Folder = tuple[np.ndarray, np.ndarray]
"""Rows of clips, and their labels."""

Project = Callable[[np.ndarray], np.ndarray]
"""Pooled vectors to the directions that are looked at."""


def draw(pooled: PooledCorpus, shots: int, kind: str, generator: np.random.Generator) -> Folder | None:
    """Return a folder; ``None`` where a speaker lacks clips. Without labels, ``shots`` is 0 and labels are all 0."""
    names = np.array([str(clip.label) for clip in pooled.corpus.clips])
    speakers = np.array([clip.speaker for clip in pooled.corpus.clips])
    one, other = generator.choice(pooled.corpus.speakers, 2, replace=False)
    labels = sorted(set(names[speakers == one]) & set(names[speakers == other])) if shots else [""]
    rows, own = [], []
    for index, label in enumerate(labels):
        mine, theirs = (
            generator.permutation(np.flatnonzero((speakers == who) & ((names == label) | (label == ""))))
            for who in (one, other)
        )
        wanted = shots or CLIPS_WITHOUT_LABELS
        if len(mine) < wanted or len(theirs) < wanted:
            continue
        foreign = {KINDS[0]: 0, KINDS[1]: wanted // 2, KINDS[2]: 0 if shots else wanted // 10}[kind]
        rows += [*mine[: wanted - foreign], *theirs[:foreign]]
        own += [index] * wanted
    if len(rows) < 2:
        return None
    found = np.array(rows)
    if kind == KINDS[2] and shots:  # one in ten, whatever the labels
        for place in generator.permutation(len(found))[: max(1, len(found) // 10)]:
            same = np.flatnonzero((speakers == other) & (names == names[found[place]]))
            found[place] = generator.choice(same)
    return found, np.array(own)


def scores(points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All scores of a folder, its clips ``(clips, width)``."""
    rest, farthest = points.copy(), 0.0
    for label in set(labels.tolist()):
        own = labels == label
        rest[own] -= rest[own].mean(axis=0)
        count = own.sum()
        if count > 1:  # from the mean of the others
            farthest = max(farthest, float((((rest[own]) * count / (count - 1)) ** 2).mean(axis=1).max()))
    freedom = max(1, len(rest) - len(set(labels.tolist())))
    values, axes = np.linalg.eigh(rest.T @ rest / freedom)
    along = np.sort(rest @ axes[:, -1])
    sums, counts = np.cumsum(along)[:-1], np.arange(1, len(along))
    between = sums**2 * (1 / counts + 1 / (len(along) - counts))
    return {
        "spread": float(values[-1] / values.sum()),
        "size": float(values.sum() / len(values)),
        "two groups": float(between.max() / (along**2).sum()),
        "farthest": farthest,
    }


def speaker_directions(corpora: list[PooledCorpus]) -> Project:
    """Linear discriminants of speakers, learnt from clips less their labels' means; each corpus counts the same."""
    size = corpora[0].vectors.shape[1]
    within, between = np.zeros((size, size)), np.zeros((size, size))
    for pooled in corpora:
        names = np.array([str(clip.label) for clip in pooled.corpus.clips])
        speakers, vectors = (
            np.array([clip.speaker for clip in pooled.corpus.clips]),
            pooled.vectors.numpy().astype(float),
        )
        for label in set(names.tolist()):
            vectors[names == label] -= vectors[names == label].mean(axis=0)
        for speaker in pooled.corpus.speakers:
            own = vectors[speakers == speaker]
            mean = own.mean(axis=0)
            within += (own - mean).T @ (own - mean) / len(vectors) / len(corpora)
            between += np.outer(mean, mean) / len(pooled.corpus.speakers) / len(corpora)
    within += 0.01 * np.trace(within) / size * np.eye(size)
    values, axes = np.linalg.eigh(within)
    white = axes / np.sqrt(values)
    _, directions = np.linalg.eigh(white.T @ between @ white)
    basis = white @ directions[:, ::-1][:, :WIDTH]
    return lambda vectors: vectors.astype(float) @ basis


@dataclass(frozen=True)
class Heard:
    """The clips of a corpus.

    Attributes:
        prior: of the corpora that taught.
        pooled: as they are.
        rows: of those that were heard in other sessions too.
        sessions: session → the vectors of these.
    """

    prior: Prior
    pooled: PooledCorpus
    rows: np.ndarray
    sessions: dict[str, np.ndarray]


def hear(encoder: Encoder, prior: Prior, pooled: PooledCorpus) -> Heard:
    """Hear some clips of some speakers as in another session."""
    rows: list[int] = []
    taken: Counter[tuple[str, str]] = Counter()
    for row, clip in enumerate(pooled.corpus.clips):
        key = clip.speaker, str(clip.label)
        if clip.speaker in pooled.corpus.speakers[:SPEAKERS] and taken[key] < CLIPS_OF_LABEL:
            taken[key] += 1
            rows.append(row)
    waveforms = [load_waveform(pooled.corpus.clips[row].path) for row in rows]
    generator = np.random.default_rng(0)
    sessions = {name: embedded(encoder, [CHANGES[name](one, generator) for one in waveforms]) for name in SESSIONS}
    return Heard(prior, pooled, np.array(rows), sessions)


def two_sessions(heard: Heard, shots: int, generator: np.random.Generator) -> tuple[Folder, np.ndarray]:
    """A folder of one voice, and which of its clips are of another session."""
    clips = heard.pooled.corpus.clips
    speaker = generator.choice(heard.pooled.corpus.speakers[:SPEAKERS])
    own = [row for row in heard.rows if clips[row].speaker == speaker]
    if not shots:
        chosen = generator.permutation(own)[:CLIPS_WITHOUT_LABELS]
        return (chosen, np.zeros(len(chosen), int)), np.arange(len(chosen)) % 2 == 0
    rows, labels, other = [], [], []
    for index, label in enumerate(sorted({str(clips[row].label) for row in own})):
        same = generator.permutation([row for row in own if clips[row].label == label])[:shots]
        rows += same.tolist()
        labels += [index] * len(same)
        other += [place < len(same) // 2 for place in range(len(same))]
    return (np.array(rows), np.array(labels)), np.array(other)


def of_sessions(heard: Heard, project: Project, shots: int, count: int) -> Iterator[dict[str, Any]]:
    """Scores of folders of one voice in two sessions."""
    place = {row: index for index, row in enumerate(heard.rows.tolist())}
    vectors = heard.pooled.vectors.numpy()
    for session in SESSIONS:
        generator = np.random.default_rng([shots, SESSIONS.index(session)])
        for _ in range(count):
            (rows, labels), other = two_sessions(heard, shots, generator)
            mixed = vectors[rows].copy()
            mixed[other] = heard.sessions[session][[place[row] for row in rows[other].tolist()]]
            yield {"kind": session} | scores(project(mixed), labels)


def folders(pooled: PooledCorpus, points: np.ndarray, shots: int, count: int) -> Iterator[dict[str, Any]]:
    """Scores of folders of each kind."""
    for kind in KINDS:
        generator = np.random.default_rng([shots, KINDS.index(kind)])
        for _ in range(count):
            folder = draw(pooled, shots, kind, generator)
            if folder is not None:
                yield {"kind": kind} | scores(points[folder[0]], folder[1])


def area(low: np.ndarray, high: np.ndarray) -> float:
    """The chance that one of ``high`` is above one of ``low``."""
    return float(((high[:, None] > low).mean() + (high[:, None] >= low).mean()) / 2)


def of_encoder(targets: dict[str, Heard], count: int) -> Iterator[dict[str, Any]]:
    """A row per directions, number of clips, score and corpus."""
    for directions, shots in product(("emotions", "speakers"), (2, 5, 0)):
        found: dict[str, list[dict[str, Any]]] = {}
        for corpus, heard in targets.items():
            others = [other.pooled for name, other in targets.items() if name != corpus]
            project = partial(leading, heard.prior) if directions == "emotions" else speaker_directions(others)
            points = project(heard.pooled.vectors.numpy())
            found[corpus] = [
                *folders(heard.pooled, points, shots, count),
                *of_sessions(heard, project, shots, count),
            ]
        for score in SCORES:
            for row in rates(found, score):
                yield {"directions": directions, "clips a label": shots or "no labels", "score": score, **row}


def leading(prior: Prior, vectors: np.ndarray) -> np.ndarray:
    """The leading discriminants of emotions."""
    return prior.project(vectors)[:, :WIDTH]


def rates(found: dict[str, list[dict[str, Any]]], score: str) -> Iterator[dict[str, Any]]:
    """A row per corpus: how often a score warns, by the limit of the other corpora."""
    kinds = (*KINDS, *SESSIONS)
    values = {
        corpus: {kind: np.array([row[score] for row in rows if row["kind"] == kind]) for kind in kinds}
        for corpus, rows in found.items()
    }
    for corpus, mine in values.items():
        own = [other[KINDS[0]] for name, other in values.items() if name != corpus]
        limit = float(np.mean([np.quantile(one, 1 - FALSE_ALARMS) for one in own]))
        row: dict[str, Any] = {"corpus": corpus}
        for kind in kinds:
            row[kind] = float((mine[kind] > limit).mean())
        for kind in KINDS[1:]:
            row[f"{kind}, AUC"] = area(mine[KINDS[0]], mine[kind])
        yield row


def summary(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Means over corpora, and the most false alarms."""
    table = pd.DataFrame(rows)
    for key, part in table.groupby(["encoder", "directions", "clips a label", "score"], sort=False):
        row = dict(zip(("encoder", "directions", "clips a label", "score"), key, strict=True))
        row |= {"warns of one voice": f"{part[KINDS[0]].mean():.2f}", "at most": f"{part[KINDS[0]].max():.2f}"}
        yield (
            row
            | {name: f"{part[name].mean():.2f}" for name in part.columns if name in (*KINDS[1:], *SESSIONS)}
            | {name: f"{part[name].mean():.2f}" for name in part.columns if "AUC" in name}
        )


def main() -> None:
    """All of it."""
    options = parse_options(__doc__)
    rows = []
    for name, encoder in encoders(options.quick):
        targets = {
            corpus: hear(encoder, *one)
            for corpus, one in taught(encoder, name, options.quick).items()
            if corpus != "tess"  # two speakers
        }
        found = of_encoder(targets, 20 if options.quick else FOLDERS_OF_EACH)
        rows += [{"encoder": name, **row} for row in found]
    publish(list(summary(rows)), options, ["Shares of folders that are warned of; means over corpora."])


if __name__ == "__main__":
    main()
