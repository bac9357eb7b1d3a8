import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from voicefit.corpora import Clip, Corpus, folder
from voicefit.errors import VoicefitError
from voicefit.prefinetuning.batches import epoch_batches, limit_clips, split_by_clip, split_by_speaker

# Validation speakers


def make_table(speakers, labels=("anger", "fear"), takes=2):
    clips = [
        Clip(f"{speaker}/{label}/{take}", Path("none"), speaker, label)
        for speaker in speakers
        for label in labels
        for take in range(takes)
    ]
    return Corpus("made", Path("none"), folder.INFO, tuple(clips))


@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 10**6))
def test_speakers_are_either_heard_or_held_out(count, share, seed):
    corpus = make_table([f"s{index}" for index in range(count)])
    split = split_by_speaker(corpus, share, seed)
    heard, held_out = ({clip.speaker for clip in part} for part in (split.train, split.validation))
    assert heard
    assert held_out
    assert heard.isdisjoint(held_out)
    assert sorted(clip.id for clip in split.train + split.validation) == sorted(clip.id for clip in corpus.clips)
    assert split == split_by_speaker(corpus, share, seed)
    if 1 < share * count < count - 1:
        assert abs(len(held_out) - share * count) <= 0.5


def test_seed_and_corpus_decide_who_is_held_out():
    corpus = make_table([f"s{index}" for index in range(12)])
    chosen = {
        tuple(sorted({clip.speaker for clip in split_by_speaker(variant, 0.25, seed).validation}))
        for variant in (corpus, replace(corpus, name="other"))
        for seed in range(5)
    }
    assert len(chosen) > 5


@pytest.mark.parametrize(("speakers", "labels"), [(["one"], ("anger", "fear")), (["one", "two"], ("anger",)), ([], ())])
def test_one_speaker_or_one_label_is_too_few(speakers, labels):
    few = f"{len(set(labels))} labels" if len(set(labels)) < 2 or not speakers else f"{len(speakers)} speakers"
    with pytest.raises(VoicefitError, match=f"corpus made: {few if speakers else '0 labels'} among its usable clips"):
        split_by_speaker(make_table(speakers, labels), 0.2, 0)


@hypothesis_settings(max_examples=50)
@given(count=st.integers(2, 30), share=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_held_out_clips_are_a_share_of_them_whoever_speaks(count, share, seed):
    corpus = make_table([f"s{index}" for index in range(count)])
    split = split_by_clip(corpus, share, seed)
    assert sorted(clip.id for clip in split.train + split.validation) == sorted(clip.id for clip in corpus.clips)
    assert len(split.validation) == min(len(corpus.clips) - 1, max(1, round(share * len(corpus.clips))))
    assert split == split_by_clip(corpus, share, seed)


def test_speakers_leak_into_the_clips_held_out():
    split = split_by_clip(make_table([f"s{index}" for index in range(6)]), 0.5, 0)
    assert {clip.speaker for clip in split.train} & {clip.speaker for clip in split.validation}


@given(st.lists(st.integers(2, 20), min_size=1, max_size=5), st.data())
def test_clips_are_limited_evenly_over_corpora(sizes, data):
    splits = [
        replace(split_by_speaker(make_table(["a", "b"], takes=takes), 0.5, 0), name=f"c{index}")
        for index, takes in enumerate(sizes)
    ]
    before = [len(split.train) for split in splits]
    total = data.draw(st.integers(len(sizes), sum(before)))
    limited = limit_clips(splits, total, 0)
    after = [len(split.train) for split in limited]
    assert sum(after) == total
    for split, less in zip(splits, limited, strict=True):
        assert {clip.id for clip in less.train} <= {clip.id for clip in split.train}
        assert less.validation == split.validation
    # One that keeps fewer than another has nothing more to give, or is one clip short.
    for kept, size in zip(after, before, strict=True):
        assert kept == size or kept >= max(after) - 1


def test_more_clips_than_there_are_is_an_error():
    split = split_by_speaker(make_table(["a", "b"]), 0.5, 0)
    with pytest.raises(VoicefitError, match="train_clips = 5, but 1 corpora have 4"):
        limit_clips([split], 5, 0)


# Batches

SIZES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 30), min_size=1)
SAMPLING = st.sampled_from(["proportional", "uniform", 2.0, 5.0])


@given(SIZES, SAMPLING, st.integers(1, 20), st.integers(0, 1000), st.integers(0, 5))
def test_batches_are_full_and_repeat_no_clip_before_all_were_seen(sizes, sampling, batch_size, seed, epoch):
    batches = list(epoch_batches(sizes, batch_size, sampling, seed, epoch))
    assert len(batches) == math.ceil(sum(sizes.values()) / batch_size)
    assert all(sum(map(len, batch.values())) == batch_size for batch in batches)
    assert all(len(indices) for batch in batches for indices in batch.values())
    for name, size in sizes.items():
        drawn = [int(index) for batch in batches for index in batch.get(name, ())]
        for start in range(0, len(drawn), size):
            lap = drawn[start : start + size]
            assert len(set(lap)) == len(lap)
            assert set(lap) <= set(range(size))
    again = list(epoch_batches(sizes, batch_size, sampling, seed, epoch))
    assert all(
        first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)
        for first, second in zip(batches, again, strict=True)
    )


def test_every_epoch_and_seed_has_its_own_order():
    orders = {
        tuple(next(epoch_batches({"a": 100}, 100, "uniform", seed, epoch))["a"]) for seed in (0, 1) for epoch in (0, 1)
    }
    assert len(orders) == 4


@hypothesis_settings(deadline=None, max_examples=20)
@given(SAMPLING, st.integers(0, 1000))
def test_corpora_are_drawn_as_the_sampling_says(sampling, seed):
    sizes = {"small": 100, "middle": 900, "large": 4000}
    exponent = {"proportional": 1.0, "uniform": 0.0}.get(sampling) if isinstance(sampling, str) else 1 / sampling
    total = sum(size**exponent for size in sizes.values())
    drawn = Counter()
    for batch in epoch_batches(sizes, 8, sampling, seed, 0):
        drawn.update({name: len(indices) for name, indices in batch.items()})
    clips = drawn.total()
    assert clips == 5000
    for name, size in sizes.items():
        share = size**exponent / total
        # Six standard deviations: once in 500 million draws outside.
        assert abs(drawn[name] - share * clips) < 6 * math.sqrt(clips * share * (1 - share))
