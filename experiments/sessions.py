"""The method `joint` with many recordings, with two sessions or microphones, and with levels that differ.

One labelled clip an emotion. Whisper tiny.en is read after layer 2. Of many recordings: a thousand of a speaker of
TESS, where RAVDESS, EmoDB and EMOVO teach. Of two sessions: half of a voice's clips are heard through another
microphone (a room's echo, and nothing above 4 kHz), or 15 dB quieter; the labelled clips are of the first session. Of
levels: half of the clips are 15 dB quieter, whatever they are for, and all clips of the voice and of the corpora are
levelled; nEMO, EMOVO and EmoDB teach one another. For sessions and levels, nEMO has a third of its clips.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.common import parse_options, publish
from experiments.enrolment import other_microphone
from experiments.joint import TEACHERS, Voice, scored, voices
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.adaptation import Shots, find_method
from voicefit.audio import load_waveform
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.heads.head import Head
from voicefit.selection.ranking import PooledCorpus, learn_together, pool_corpora
from voicefit.sweep.episodes import Episode

RECORDINGS = (12, 30, 100, 300, 1000)
LEVEL = 0.05
"""Root mean square of a levelled clip."""

QUIETER = 15.0
"""Decibels."""

MOST_CLIPS = 30
"""Clips of a speaker and emotion; nEMO has up to 90."""

CHANGED = ("nemo", "emovo", "emodb")
"""Corpora that are heard again, changed; for levels they teach one another."""

Change = Callable[[np.ndarray], np.ndarray]


def quieter(waveform: np.ndarray) -> np.ndarray:
    """Farther from the microphone, without its room."""
    return waveform * 10 ** (-QUIETER / 20)


def levelled(waveform: np.ndarray) -> np.ndarray:
    """At the same root mean square."""
    return LEVEL * waveform / max(float(np.sqrt(np.mean(waveform**2))), 1e-9)


def fewer(found: PooledCorpus) -> PooledCorpus:
    """A corpus that does not take hours to hear again."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    rows = []
    for row, clip in enumerate(found.corpus.clips):
        counts[clip.speaker, clip.label] += 1
        if counts[clip.speaker, clip.label] <= MOST_CLIPS:
            rows.append(row)
    clips = tuple(found.corpus.clips[row] for row in rows)
    return PooledCorpus(replace(found.corpus, clips=clips), found.vectors[rows])


def hear(encoder: Encoder, corpus: PooledCorpus, change: Change) -> PooledCorpus:
    """The corpus with changed clips."""
    frames = (
        encoder.front(change(load_waveform(clip.path, clip.start, clip.end)).astype(np.float32))
        for clip in corpus.corpus.clips
    )
    return PooledCorpus(corpus.corpus, encoder.pool(frames))


def half(one: PooledCorpus, other: PooledCorpus) -> PooledCorpus:
    """Half of the clips of each."""
    late = torch.tensor(in_second(one.corpus.clips, 0))
    return PooledCorpus(one.corpus, torch.where(late[:, None], other.vectors, one.vectors))


def fitted(voice: Voice, method: str, shots: Shots) -> Head:
    """The head of a method."""
    return find_method(method).configured().fit(voice.encoder, shots, 0)


def one_each(voice: Voice, draws: int) -> Iterator[tuple[Episode, int]]:
    """Draws of one clip an emotion."""
    for draw in range(draws):
        episode = voice.episodes.multiclass(len(voice.episodes.labels), draw)
        if episode is not None:
            yield episode, draw


def many(voice: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """Rows of more and more recordings; the last numbers have tested clips among them where a voice has not enough."""
    for episode, draw in one_each(voice, draws):
        more = [*voice.recordings(episode, draw), *episode.test]
        for method, count in ((method, count) for method in ("prior", "joint") for count in RECORDINGS):
            head = fitted(voice, method, voice.shots(episode, more[:count]))
            yield {"condition": f"{count} recordings", "method": method, **scored(voice, episode, head)}


def in_second(clips: Sequence[Clip], draw: int) -> list[bool]:
    """Which clips are of the second session: half of them."""
    order = np.random.default_rng(draw).permutation(len(clips))
    return (order < len(clips) / 2).tolist()


def two_sessions(voice: Voice, other: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """Rows of a voice heard in two sessions, tested in each; `other` has its clips of the second."""
    for episode, draw in one_each(voice, draws):
        more = voice.recordings(episode, draw)
        second = in_second(more, draw)
        first = voice.pooled([clip for clip, late in zip(more, second, strict=True) if not late])
        late = other.pooled([clip for clip, is_late in zip(more, second, strict=True) if is_late])
        known = voice.shots(episode, more)
        shift = first.mean(0) - late.mean(0)
        both = np.concatenate([first, late])
        again = replace(known, pooled=np.concatenate([known.pooled, other.pooled(episode.support)]))
        again = replace(again, targets=np.concatenate([known.targets, known.targets]))
        ways: dict[str, tuple[str, Shots, np.ndarray]] = {
            "labelled clips alone": ("prior", replace(known, unlabelled=first[:0]), 0 * shift),
            "recordings of the first session": ("joint", replace(known, unlabelled=first), 0 * shift),
            "recordings of both": ("joint", replace(known, unlabelled=both), 0 * shift),
            "… each session about its own mean": (
                "joint",
                replace(known, unlabelled=np.concatenate([first, late + shift])),
                shift,
            ),
            "labelled clips of both, alone": ("prior", replace(again, unlabelled=first[:0]), 0 * shift),
            "labelled clips and recordings of both": ("joint", replace(again, unlabelled=both), 0 * shift),
        }
        for words, (method, shots, moved) in ways.items():
            head = fitted(voice, method, shots)
            for place, heard, by in (("first", voice, 0 * shift), ("second", other, moved)):
                there = replace(heard, vectors={clip.id: heard.vectors[clip.id] + by for clip in episode.test})
                found = scored(there, episode, head)["macro_f1"]
                yield {"condition": words, "method": method, "tested": place, "macro_f1": found}


def all_recordings(voice: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """Rows of a voice as it is."""
    for episode, draw in one_each(voice, draws):
        shots = voice.shots(episode, voice.recordings(episode, draw))
        for method, given in (("prior", replace(shots, unlabelled=shots.unlabelled[:0])), ("joint", shots)):
            yield {"method": method, **scored(voice, episode, fitted(voice, method, given))}


def of_target(
    encoder: Encoder, target: str, heard: dict[str, dict[str, PooledCorpus]], draws: int, speakers: int | None
) -> Iterator[dict[str, Any]]:
    """Rows of sessions and levels."""

    def speakers_of(way: str, teachers: Sequence[str], taught: str = "as it is") -> list[Voice]:
        known = [heard[taught][name] for name in teachers if name != target and name in heard[taught]]
        return list(voices(encoder, heard[way][target], learn_together(known)))[:speakers]

    plain = speakers_of("as it is", TEACHERS)
    for way in ("another microphone", "15 dB quieter"):
        for voice, other in zip(plain, speakers_of(way, TEACHERS), strict=True):
            where = {"question": way, "target": target, "speaker": voice.episodes.speaker}
            yield from ({**where, **row} for row in two_sessions(voice, other, draws))
    for condition, way, taught in (
        ("as recorded", "as it is", "as it is"),
        ("half 15 dB quieter", "half quieter", "as it is"),
        ("levelled, corpora too", "levelled", "levelled"),
    ):
        for voice in speakers_of(way, CHANGED, taught):
            where = {"question": "levels", "target": target, "speaker": voice.episodes.speaker, "condition": condition}
            yield from ({**where, **row} for row in all_recordings(voice, draws))


def main() -> None:
    """A row per question, condition and method, a column per target: macro F1, mean over speakers of their means."""
    options = parse_options(__doc__)
    draws, speakers = (1, 1) if options.quick else (10, None)
    encoder = load_encoder(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=2, frozen_layers=2))
    names = ("emovo", "emodb") if options.quick else ("ravdess", "tess", "emodb", "emovo", "nemo")
    corpora = [load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]) for name in names]
    plain = {part.corpus.name: part for part in pool_corpora(encoder, corpora)[0]}
    rows: list[dict[str, Any]] = []
    if not options.quick:
        known = learn_together([plain[name] for name in ("ravdess", "emodb", "emovo")])
        for voice in voices(encoder, plain["tess"], known):
            where = {"question": "many recordings", "target": "tess", "speaker": voice.episodes.speaker}
            rows += [{**where, **row} for row in many(voice, draws)]
    plain = {name: fewer(part) if name in CHANGED else part for name, part in plain.items()}
    heard = {"as it is": plain}
    targets = [name for name in CHANGED if name in plain]
    changes: dict[str, Change] = {
        "another microphone": other_microphone,
        "15 dB quieter": quieter,
        "levelled": levelled,
    }
    for words, change in changes.items():
        heard[words] = {name: hear(encoder, plain[name], change) for name in targets}
    heard["half quieter"] = {name: half(plain[name], heard["15 dB quieter"][name]) for name in targets}
    for target in targets:
        rows += of_target(encoder, target, heard, draws, speakers)
    keys = ["question", "condition", "method", "tested", "target"]
    trials = pd.DataFrame(rows).fillna({"tested": ""})
    means = trials.groupby([*keys, "speaker"], sort=False)["macro_f1"].mean().groupby(keys, sort=False).mean()
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (*group, target), value in means.items():
        table.setdefault(tuple(group), dict(zip(keys, group, strict=False)))[target] = f"{value:.3f}"
    publish(list(table.values()), options)


if __name__ == "__main__":
    main()
