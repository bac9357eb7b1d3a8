"""Voicefit under the metrics and rules of two public tasks, as far as the nEMO speakers at hand allow.

PolEval 2025, task 4: six emotions, macro F1 over all clips of all speakers, no Polish label. mteb's
CAMEOEmotionClassification, Polish: the speakers with the most clips are tested until they hold 35 % of the clips, a
classifier learns from 16 clips a label of the others, accuracy, five draws.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.common import parse_options, publish
from experiments.joint_constants import constants
from experiments.real_data import FOLDERS, WHISPER_BASE, WHISPER_TINY, folder
from voicefit.adaptation import Shots, joint, prior
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Reading, load_encoder
from voicefit.heads.prior import Prior
from voicefit.scores import score
from voicefit.selection.ranking import PooledCorpus, learn_together, pool_corpora

EMOTIONS = ("anger", "fear", "happiness", "neutral", "sadness", "surprise")
TEACHERS = ("ravdess", "tess", "emodb", "emovo")
CHOSEN_WITHOUT_NEMO = (64, 0.5, 30.0, 16.0)
"""Constants of `joint` that EMOVO, EmoDB and RAVDESS choose: research/joint_constants.md."""

TEST_SHARE, MOST_CLIPS, CLIPS_A_LABEL, DRAWS = 0.35, 1500, 16, 5
"""Of mteb's task."""


def by_speaker(found: PooledCorpus) -> Iterator[np.ndarray]:
    """Rows of each speaker's clips."""
    for speaker in found.corpus.speakers:
        yield np.array([row for row, clip in enumerate(found.corpus.clips) if clip.speaker == speaker])


def without_labels(known: Prior, heard: np.ndarray) -> Shots:
    """Six emotions, no labelled clip, and recordings of one voice."""
    empty = heard[:0], [], np.empty(0, np.int64)
    return Shots(*empty, len(EMOTIONS), labels=EMOTIONS, unlabelled=heard, prior=known, partial=True)


def answers(known: Prior, target: PooledCorpus, rows: Sequence[np.ndarray], way: str) -> np.ndarray:
    """The emotion of each clip of these speakers, -1 for others."""
    found = np.full(len(target.corpus.clips), -1)
    for own in rows:
        heard = target.vectors[own].numpy()
        shots = without_labels(known, heard)
        if way == "joint":
            head = joint.joint_head(shots)
        else:
            one_by_one = replace(shots, unlabelled=heard[:0])
            head = prior.posterior_head(one_by_one if way == "one by one" else shots, prior.Settings())
        found[own] = head(heard).argmax(axis=1)
    return found


def poleval(name: str, pooled: dict[str, PooledCorpus]) -> Iterator[dict[str, Any]]:
    """Rows of the first task: every clip of every speaker, all emotions allowed for each."""
    target = pooled["nemo"]
    truth = np.array([EMOTIONS.index(str(clip.label)) for clip in target.corpus.clips])
    rows = list(by_speaker(target))
    for corpora in (("ravdess",), TEACHERS):
        known = learn_together([pooled[corpus] for corpus in corpora if corpus in pooled])
        for way in ("one by one", "about the speaker's mean", "joint", "joint, constants of other corpora"):
            with constants(CHOSEN_WITHOUT_NEMO if way.endswith("corpora") else _shipped()):
                given = answers(known, target, rows, way.partition(",")[0])
            found = score(truth.tolist(), given.tolist())
            speakers = [score(truth[own].tolist(), given[own].tolist())["macro_f1"] for own in rows]
            yield {
                "task": "PolEval 2025, 4",
                "encoder": name,
                "corpora": "RAVDESS" if len(corpora) == 1 else "four",
                "way": way,
                "macro F1": f"{found['macro_f1']:.3f}",
                "accuracy": f"{found['accuracy']:.3f}",
                "mean of speakers' macro F1": f"{np.mean(speakers):.3f}",
            }


def _shipped() -> tuple[float, ...]:
    return (joint._WIDTH, joint._GUESS_WEIGHT, joint._COVARIANCE_CLIPS, joint._HALF_TRUST)


def speaker_split(clips: Sequence[Clip]) -> tuple[list[int], list[int]]:
    """Rows to learn from and to test on."""
    counts = Counter(str(clip.speaker) for clip in clips)
    tested: set[str] = set()
    for speaker in sorted(counts, key=lambda name: (-counts[name], name)):
        if sum(counts[name] for name in tested) >= TEST_SHARE * len(clips):
            break
        tested.add(speaker)
    train = [row for row, clip in enumerate(clips) if clip.speaker not in tested]
    test = [row for row, clip in enumerate(clips) if clip.speaker in tested]
    return train[:MOST_CLIPS], test[:MOST_CLIPS]


def few_of_each(labels: Sequence[str], draws: int) -> Iterator[list[int]]:
    """Rows of 16 clips a label; the order is shuffled once more for each draw."""
    order = list(range(len(labels)))
    for _ in range(draws):
        np.random.RandomState(42).shuffle(order)
        counts: Counter[str] = Counter()
        chosen = []
        for row in order:
            if counts[labels[row]] < CLIPS_A_LABEL:
                counts[labels[row]] += 1
                chosen.append(row)
        yield chosen


def part_of(corpus: PooledCorpus, rows: Sequence[int]) -> PooledCorpus:
    """Some clips of a corpus."""
    clips = tuple(corpus.corpus.clips[row] for row in rows)
    return PooledCorpus(replace(corpus.corpus, clips=clips), corpus.vectors[list(rows)])


def cameo(
    name: str, pooled: dict[str, PooledCorpus], last: PooledCorpus | None, draws: int
) -> Iterator[dict[str, Any]]:
    """Rows of the second task; `last` has the vectors after the encoder's last layer, as mteb reads one."""
    target = pooled["nemo"]
    train, test = speaker_split(target.corpus.clips)
    labels = [str(clip.label) for clip in target.corpus.clips]
    tested = part_of(target, test)
    truth = np.array([EMOTIONS.index(labels[row]) for row in test])
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}

    def note(read: str, corpora: str, way: str, given: np.ndarray) -> None:
        found.setdefault((read, corpora, way), []).append(score(truth.tolist(), given.tolist()))

    for chosen in few_of_each([labels[row] for row in train], draws):
        few = [train[row] for row in chosen]
        for read, source in (("last layer", last), ("layer 2", target)):
            if source:
                probe = LogisticRegression(max_iter=100).fit(source.vectors[few], [labels[row] for row in few])
                given = probe.predict(source.vectors[test])
                note(read, "–", "mteb's linear probe", np.array([EMOTIONS.index(label) for label in given]))
        shots = part_of(target, few)
        for corpora, group in (("–", [shots]), ("four", [*(pooled[corpus] for corpus in TEACHERS), shots])):
            known = learn_together(group)
            for way in ("one by one", "about the speaker's mean", "joint"):
                note("layer 2", corpora, way, answers(known, tested, list(by_speaker(tested)), way))
    for (read, corpora, way), scores in found.items():
        values = {key: [one[key] for one in scores] for key in ("macro_f1", "accuracy")}
        yield {
            "task": "mteb CAMEO, Polish",
            "encoder": f"{name}, {read}",
            "corpora": corpora,
            "way": way,
            **{
                words: f"{np.mean(values[key]):.3f} ± {np.std(values[key]):.3f}"
                for words, key in (("macro F1", "macro_f1"), ("accuracy", "accuracy"))
            },
        }


def main() -> None:
    """A row per task, encoder, corpora and way of answering."""
    options = parse_options(__doc__)
    rows: list[dict[str, Any]] = []
    names = ("nemo", *TEACHERS)
    corpora = [load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]) for name in names]
    for name, source in (("Whisper tiny.en", WHISPER_TINY), ("Whisper base", WHISPER_BASE))[
        : 1 if options.quick else 2
    ]:
        path = folder("VOICEFIT_MODELS") / source
        encoder = load_encoder(path, Reading(depth=2, frozen_layers=2))
        pooled = {part.corpus.name: part for part in pool_corpora(encoder, corpora)[0]}
        last = None
        if not options.quick:
            rows += poleval(name, pooled)
        if source == WHISPER_TINY and not options.quick:
            (last,) = pool_corpora(load_encoder(path, Reading()), corpora[:1])[0]
        rows += cameo(name, pooled, last, 1 if options.quick else DRAWS)
    clips = corpora[0].clips
    train, test = speaker_split(clips)
    tested = ", ".join(sorted({str(clips[row].speaker) for row in test}))
    publish(
        rows,
        options,
        [f"mteb's split of these speakers: {len(train)} clips to draw from; {len(test)} tested, of {tested}."],
    )


if __name__ == "__main__":
    main()
