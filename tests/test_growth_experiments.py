"""The experiments on depth and on corpora that grow: what they compare is what they say."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.corpora_growth import fewer, subsets
from experiments.depth import chosen
from experiments.few_clips import speakers, trials
from experiments.joint import Voice, fitted, scored
from voicefit.corpora import Clip, Corpus
from voicefit.corpora.corpus import CorpusInfo
from voicefit.selection.ranking import PooledCorpus, learn_together
from voicefit.sweep.episodes import SpeakerEpisodes

LABELS = ("anger", "fear", "neutral")
INFO = CorpusInfo("folder", "", "", "", "", "", "")


def pooled(name, people, takes, seed):
    """Vectors in which labels and speakers have places of their own; the labels' are those of every corpus."""
    places = np.random.default_rng(0).normal(size=(len(LABELS), 12))
    generator = np.random.default_rng(seed)
    clips, vectors = [], []
    for person in (f"{name}{number}" for number in range(people)):
        centre = generator.normal(size=12)
        for index, label in enumerate(LABELS):
            for take in range(takes):
                clips.append(Clip(f"{person}/{label}/{take:02}", Path("no.wav"), person, label))
                vectors.append(centre + places[index] + 0.7 * generator.normal(size=12))
    return PooledCorpus(Corpus(name, Path(), INFO, tuple(clips)), torch.tensor(np.array(vectors), dtype=torch.float32))


def test_fewer_clips_are_dealt_evenly_over_labels_of_as_many_speakers_as_asked_for():
    part = pooled("a", 6, 10, 1)
    few = fewer(part, 24, 0, 2)
    assert len(few.corpus.speakers) == 2
    assert set(Counter((clip.speaker, clip.label) for clip in few.corpus.clips).values()) == {4}
    rows = [part.corpus.clips.index(clip) for clip in few.corpus.clips]
    assert torch.equal(few.vectors, part.vectors[rows])
    assert few.corpus.clips != fewer(part, 24, 1, 2).corpus.clips


def test_every_subset_is_there_once_the_smallest_first():
    assert subsets(["a", "b", "c"]) == [
        ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c"),
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["prior", "joint"])
def test_draws_in_a_batch_score_as_each_alone(method):
    target = pooled("b", 2, 9, 2)
    known = learn_together([pooled("a", 4, 10, 1)])
    found = pd.DataFrame(trials(speakers(target), known, (1,), (method,), 3))
    vectors = {clip.id: vector for clip, vector in zip(target.corpus.clips, target.vectors.numpy(), strict=True)}
    encoder = SimpleNamespace(hidden_size=12)
    for row in found.itertuples():
        voice = Voice(SpeakerEpisodes(target.corpus, row.speaker), vectors, known, encoder)
        episode = voice.episodes.multiclass(len(LABELS), row.draw)
        recordings = voice.recordings(episode, row.draw) if method == "joint" else []
        alone = scored(voice, episode, fitted(voice, method, episode, recordings))
        assert row.macro_f1 == pytest.approx(alone["macro_f1"])
    assert len(found) == 6 and found["macro_f1"].nunique() > 1


def test_the_depth_for_a_target_is_chosen_without_it():
    rows = [
        {
            "encoder": "e",
            "depth": depth,
            "target": target,
            "method": "prior",
            "shots": 1,
            "speaker": "s",
            "macro_f1": f1,
        }
        for target, scores in {"x": (0.1, 0.9), "y": (0.6, 0.5), "z": (0.6, 0.5)}.items()
        for depth, f1 in enumerate(scores, 1)
    ]
    assert chosen(pd.DataFrame(rows), ["e"], "x", "prior") == ("e", 1)
    assert chosen(pd.DataFrame(rows), ["e"], "y", "prior") == ("e", 2)
