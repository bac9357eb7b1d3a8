"""How does accuracy grow with the corpora that teach: their number, their language, their speakers, their clips?

Several emotions at once with one labelled clip each; Whisper tiny.en is read after layer 2 and left as it is. Every
subset of RAVDESS, TESS, EmoDB, EMOVO and nEMO less the target teaches, with all its clips and with 400 clips in all.
Then one corpus teaches with as many clips of more and more of its speakers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.common import parse_options, publish
from experiments.few_clips import Speaker, cells, kept_rows, speakers, trials
from experiments.layer_vectors import layer_vectors
from experiments.real_data import FOLDERS, WHISPER_TINY
from voicefit.heads.prior import Prior
from voicefit.report.statistics import tested_means
from voicefit.report.text import interval, p_value, signed
from voicefit.selection.ranking import PooledCorpus, learn_together

DEPTH, DRAWS = 2, 10
KEPT = Path("runs", "growth")
LANGUAGES = {"ravdess": "English", "tess": "English", "emodb": "German", "emovo": "Italian", "nemo": "Polish"}
METHODS = ("prior", "joint")
CLIPS, REPEATS = 400, 2
"""So many clips in all, drawn so often."""

SPEAKERS = (("nemo", CLIPS, (1, 2, 4, 7)), ("ravdess", 120, (2, 4, 8, 24)), ("ravdess", 384, (8, 12, 24)))
"""Corpora of many speakers: how many clips they teach with, from how many speakers.

120 clips of 24 speakers are one clip or none of each of their emotions.
"""

SPEAKER_REPEATS = 3


def fewer(part: PooledCorpus, clips: int, seed: int, count: int | None = None) -> PooledCorpus:
    """Return a corpus with so many clips, as evenly as can be from ``count`` speakers and their labels."""
    random = np.random.default_rng(seed)
    people = list(part.corpus.speakers)
    kept = {people[index] for index in random.permutation(len(people))[:count]}
    decks: dict[tuple[str | None, str | None], list[int]] = {}
    for row in random.permutation(len(part.corpus.clips)).tolist():
        clip = part.corpus.clips[row]
        if clip.speaker in kept:
            decks.setdefault((clip.speaker, clip.label), []).append(row)
    order = [names for _, names in sorted(zip(random.permutation(len(decks)).tolist(), decks, strict=True))]
    # Dealt in turn over speakers and labels: the n-th clips of all decks come before any n+1-th.
    dealt = sorted((place, at, row) for at, names in enumerate(order) for place, row in enumerate(decks[names]))
    rows = sorted(row for _, _, row in dealt[:clips])
    corpus = replace(part.corpus, clips=type(part.corpus.clips)(part.corpus.clips[row] for row in rows))
    return PooledCorpus(corpus, part.vectors[torch.tensor(rows)])


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every subset that is not empty, the smallest first."""
    return [group for size in range(1, len(names) + 1) for group in combinations(names, size)]


def subset_rows(parts: dict[str, PooledCorpus], target: str, voices: Sequence[Speaker]) -> Iterator[dict[str, Any]]:
    """A row per subset of the other corpora, number of clips, method, speaker and draw."""
    known: Prior | None = None
    for group in subsets([name for name in parts if name != target]):
        cell = {"target": target, "corpora": "+".join(group), "size": len(group)}
        known = learn_together([parts[name] for name in group])
        yield from ({**cell, "clips": "all", **row} for row in trials(voices, known, (1,), METHODS, DRAWS))
        for repeat in range(REPEATS):
            few = [fewer(parts[name], CLIPS // len(group), repeat) for name in group]
            found = trials(voices, learn_together(few), (1,), METHODS, DRAWS)
            yield from ({**cell, "clips": str(CLIPS), "repeat": repeat, **row} for row in found)
    assert known is not None
    for row in trials(voices, known, (1,), ("head without corpora",), DRAWS):
        yield {"target": target, "corpora": "none", "size": 0, "clips": "all", **row}


def speaker_rows(
    part: PooledCorpus, clips: int, counts: Sequence[int], voices: Mapping[str, Sequence[Speaker]]
) -> Iterator[dict[str, Any]]:
    """A row per number of the teacher's speakers, target, method, speaker and draw."""
    teacher = part.corpus.name
    for count in counts:
        for repeat in range(SPEAKER_REPEATS):
            known = learn_together([fewer(part, clips, repeat, count)])
            for target in (name for name in voices if name != teacher):
                cell = {"teacher": teacher, "clips": clips, "teachers": count, "target": target, "repeat": repeat}
                yield from ({**cell, **row} for row in trials(voices[target], known, (1,), METHODS, DRAWS))


def added_by_corpus(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """For each target and corpus, what the corpus adds to every subset of the others that is not empty."""
    keys = ["target", "method", "speaker", "draw", "label"]
    full = rows[(rows["clips"] == "all") & (rows["size"] > 0)]
    for target, own in full.groupby("target", sort=False):
        for corpus in (name for name in LANGUAGES if name != target):
            has = own["corpora"].str.split("+").map(lambda names, corpus=corpus: corpus in names)
            rest = own[has]["corpora"].str.split("+").map(lambda names, c=corpus: "+".join(n for n in names if n != c))
            paired = (
                own[has]
                .assign(rest=rest)
                .merge(
                    own[~has][[*keys, "corpora", "macro_f1"]].rename(columns={"corpora": "rest"}),
                    on=[*keys, "rest"],
                    suffixes=("", "_before"),
                )
            )
            yield (str(target), corpus), paired.assign(gain=paired["macro_f1"] - paired["macro_f1_before"])


def without_language(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """For each target and language, what all corpora have over all that are not in it."""
    keys = ["target", "method", "speaker", "draw", "label"]
    full = rows[rows["clips"] == "all"]
    for target, own in full.groupby("target", sort=False):
        names = [name for name in LANGUAGES if name != target]
        everything = own[own["size"] == len(names)]
        for language in dict.fromkeys(LANGUAGES[name] for name in names):
            left = "+".join(name for name in names if LANGUAGES[name] != language)
            part = own[own["corpora"] == left][[*keys, "macro_f1"]]
            paired = everything.merge(part, on=keys, suffixes=("", "_before"))
            yield (str(target), language), paired.assign(gain=paired["macro_f1"] - paired["macro_f1_before"])


def gain_table(question: str, pairs: Iterator[tuple[tuple[str, str], pd.DataFrame]]) -> list[dict[str, Any]]:
    """A row per target and what was added, a column per method."""
    rows = []
    for (target, added), paired in pairs:
        row = {"question": question, "target": target, "what": f"{added} ({_relation(target, added)})"}
        for cell in tested_means(paired, ["method"], "gain").to_dict("records"):
            gain = f"{signed(cell['gain'], 3)} {interval(cell['low'], cell['high'], 3, sign=True)}"
            row[cell["method"]] = f"{gain}, {p_value(cell['p_t'])}" if cell["speakers"] > 1 else gain
        rows.append(row)
    return rows


def _relation(target: str, added: str) -> str:
    return "same language" if LANGUAGES.get(added, added) == LANGUAGES[target] else "another language"


def score_table(question: str, rows: pd.DataFrame, by: Sequence[str], words: str) -> list[dict[str, Any]]:
    """A row per target and condition, a column per method."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (*group, method), text in cells(rows, [*by, "method"]).items():
        cell = dict(zip(by, group, strict=True))
        head = {"question": question, "target": cell["target"], "what": words.format(**cell)}
        found.setdefault(tuple(group), head)[method] = text
    return list(found.values())


def tables(rows: pd.DataFrame, by_speakers: pd.DataFrame) -> list[dict[str, Any]]:
    """All tables, one below the other."""
    everything = rows[rows["clips"] == "all"]
    few = rows[rows["clips"] != "all"]
    return [
        *score_table("number, all clips", everything, ["target", "size"], "{size} corpora"),
        *score_table(f"number, {CLIPS} clips in all", few, ["target", "size"], "{size} corpora"),
        *gain_table("added to subsets of the others", added_by_corpus(rows)),
        *gain_table("all corpora less all without", without_language(rows)),
        *score_table(
            "speakers at as many clips",
            by_speakers,
            ["target", "teacher", "clips", "teachers"],
            "{clips} clips of {teachers} speakers of {teacher}",
        ),
        *score_table("every subset, all clips", everything, ["target", "size", "corpora"], "{corpora}"),
    ]


def main() -> None:
    """Means over speakers of their means over draws, subsets and repeats; intervals over speakers and draws."""
    options = parse_options(__doc__)
    names = ("emodb", "emovo") if options.quick else tuple(FOLDERS)
    parts = {part.corpus.name: part for part in layer_vectors(WHISPER_TINY, names, (DEPTH,))[DEPTH]}
    voices = {name: speakers(part) for name, part in parts.items()}
    words = "-".join(names)
    rows = pd.concat(
        kept_rows(KEPT / f"{name}-of-{words}.csv", lambda own=name: subset_rows(parts, own, voices[own]))
        for name in parts
    )
    if options.quick:
        found = score_table("number, all clips", rows, ["target", "size", "clips"], "{size} corpora, {clips} clips")
    else:
        by_speakers = pd.concat(
            kept_rows(
                KEPT / f"speakers-of-{name}-{clips}.csv",
                lambda own=(parts[name], clips, counts): speaker_rows(*own, voices),
            )
            for name, clips, counts in SPEAKERS
        )
        found = tables(rows, by_speakers)
    publish(found, options)


if __name__ == "__main__":
    main()
