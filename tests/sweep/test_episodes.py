import ast
import os
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.new_process import run_command_line
from voicefit.corpora import Clip, Corpus, folder
from voicefit.errors import VoicefitError
from voicefit.sweep.episodes import MULTICLASS, ONE_VS_REST, SpeakerEpisodes

LABELS = ("anger", "calm", "fear", "happiness", "sadness")
COUNTS = st.dictionaries(st.sampled_from(LABELS), st.integers(1, 14), min_size=2)
SHOTS = st.integers(2, 20)
DRAWS = st.integers(0, 30)


def corpus_of(counts: dict[str, dict[str, int]]) -> Corpus:
    """A corpus without files: speaker → label → number of clips."""
    clips = [
        Clip(f"{speaker}/{label}/{take:02}.wav", Path("none"), speaker, label)
        for speaker, labels in counts.items()
        for label, count in labels.items()
        for take in range(count)
    ]
    return Corpus("team", Path("none"), folder.INFO, tuple(clips))


def with_clips(corpus: Corpus, clips: list[Clip]) -> Corpus:
    return replace(corpus, clips=tuple(clips))


def ids(clips) -> list[str]:
    return [clip.id for clip in clips]


@given(COUNTS, SHOTS, DRAWS, st.sampled_from([ONE_VS_REST, MULTICLASS]))
def test_support_and_test_share_no_clip_and_targets_name_each_clips_class(counts, k, draw, task):
    episodes = SpeakerEpisodes(corpus_of({"anna": counts}), "anna")
    emotion = next(iter(counts))
    episode = episodes.make(task, emotion, k, draw)
    if episode is None:
        return
    assert len(set(ids(episode.support))) == k
    assert not set(ids(episode.support)) & set(ids(episode.test))
    named = {emotion: emotion} if task == ONE_VS_REST else {label: label for label in counts}
    for clips, targets in (
        (episode.support, episode.support_targets),
        (episode.test, episode.test_targets),
    ):
        assert [episode.labels[target] for target in targets] == [named.get(c.label, "other") for c in clips]


@given(COUNTS, SHOTS, DRAWS)
def test_half_of_the_shots_rounded_up_carry_the_emotion(counts, k, draw):
    episodes = SpeakerEpisodes(corpus_of({"anna": counts}), "anna")
    for emotion in counts:
        episode = episodes.one_vs_rest(emotion, k, draw)
        if episode is not None:
            assert sum(episode.support_targets) == (k + 1) // 2


@given(COUNTS, DRAWS, st.sampled_from([ONE_VS_REST, MULTICLASS]))
def test_the_shots_for_k_begin_those_for_every_larger_k(counts, draw, task):
    episodes = SpeakerEpisodes(corpus_of({"anna": counts}), "anna")
    made = [episodes.make(task, next(iter(counts)), k, draw) for k in range(2, 20)]
    supports = [ids(episode.support) for episode in made if episode is not None]
    for smaller, larger in pairwise(supports):
        assert larger[: len(smaller)] == smaller


@given(COUNTS, SHOTS, DRAWS)
def test_one_vs_rest_is_none_exactly_when_clips_run_out(counts, k, draw):
    episodes = SpeakerEpisodes(corpus_of({"anna": counts}), "anna")
    pool = {label: count - max(1, round(count / 3)) for label, count in counts.items()}
    for emotion in counts:
        enough = pool[emotion] >= (k + 1) // 2 and sum(pool.values()) - pool[emotion] >= k // 2
        assert (episodes.one_vs_rest(emotion, k, draw) is not None) == enough


@given(COUNTS, SHOTS, DRAWS)
def test_multiclass_deals_evenly_and_is_none_below_one_shot_a_label(counts, k, draw):
    episode = SpeakerEpisodes(corpus_of({"anna": counts}), "anna").multiclass(k, draw)
    pool = {label: count - max(1, round(count / 3)) for label, count in counts.items()}
    share = k // len(counts)
    if k < len(counts) or min(pool.values()) < share:
        assert episode is None
    elif min(pool.values()) > share:
        assert episode is not None
    if episode is not None:
        dealt = Counter(clip.label for clip in episode.support)
        assert set(dealt) == set(counts)
        assert max(dealt.values()) - min(dealt.values()) <= 1


@given(st.fixed_dictionaries({"anna": COUNTS, "ben": COUNTS}), SHOTS, DRAWS, st.randoms())
@settings(max_examples=50)
def test_neither_the_order_of_clips_nor_other_speakers_change_an_episode(counts, k, draw, random):
    corpus = corpus_of(counts)
    emotion = next(iter(counts["anna"]))
    expected = SpeakerEpisodes(corpus, "anna").one_vs_rest(emotion, k, draw)
    shuffled = random.sample(corpus.clips, len(corpus.clips))
    alone = [clip for clip in shuffled if clip.speaker == "anna"]
    assert SpeakerEpisodes(with_clips(corpus, shuffled), "anna").one_vs_rest(emotion, k, draw) == expected
    assert SpeakerEpisodes(with_clips(corpus, alone), "anna").one_vs_rest(emotion, k, draw) == expected


@pytest.mark.parametrize("split", ["train", None])
def test_the_order_of_clips_does_not_matter_with_the_corpuss_own_split_either(split):
    corpus = corpus_of({"anna": {"anger": 9, "calm": 9}})
    clips = [replace(c, split="test" if c.id.endswith("0.wav") else split) for c in corpus.clips]
    forwards, backwards = (
        SpeakerEpisodes(with_clips(corpus, order), "anna").one_vs_rest("anger", 6, 3) for order in (clips, clips[::-1])
    )
    assert forwards == backwards


def test_the_test_set_is_the_same_for_every_emotion_k_draw_and_task():
    episodes = SpeakerEpisodes(corpus_of({"anna": dict.fromkeys(LABELS, 12)}), "anna")
    made = [
        episodes.make(task, emotion, k, draw)
        for task in (ONE_VS_REST, MULTICLASS)
        for emotion in LABELS
        for k in (6, 8)
        for draw in (0, 1)
    ]
    assert len({tuple(ids(episode.test)) for episode in made}) == 1
    assert Counter(clip.label for clip in made[0].test) == dict.fromkeys(LABELS, 4)


def test_draws_differ_in_the_clips_of_every_class():
    episodes = SpeakerEpisodes(corpus_of({"anna": dict.fromkeys(LABELS, 30)}), "anna")
    for task in (ONE_VS_REST, MULTICLASS):
        for target in (0, 1):
            made = [episodes.make(task, "anger", 10, draw) for draw in range(20)]
            drawn = {
                tuple(c.id for c, t in zip(e.support, e.support_targets, strict=True) if t == target) for e in made
            }
            assert len(drawn) > 15


# Computed once and never again: these ids are the protocol. Stored trials are worthless if they change.
ONE_VS_REST_IDS = ["anger/04", "calm/03", "anger/01", "fear/05"]
MULTICLASS_IDS = ["anger/00", "calm/03", "fear/05", "anger/03"]
TEST_IDS = ["anger/02", "anger/05", "calm/01", "calm/04", "fear/02", "fear/04"]


def worked_example() -> list[list[str]]:
    episodes = SpeakerEpisodes(corpus_of({"anna": {"anger": 7, "calm": 5, "fear": 6}}), "anna")
    one_vs_rest, multiclass = episodes.one_vs_rest("anger", 4, 2), episodes.multiclass(4, 2)
    return [
        [clip.id.removeprefix("anna/").removesuffix(".wav") for clip in clips]
        for clips in (one_vs_rest.support, multiclass.support, one_vs_rest.test)
    ]


def test_the_protocol_draws_the_clips_that_it_always_drew():
    assert worked_example() == [ONE_VS_REST_IDS, MULTICLASS_IDS, TEST_IDS]


@pytest.mark.slow(7)
def test_another_process_draws_the_same_clips(tmp_path):
    """Its strings have other hashes; where it begins as a fork, its imports are done."""
    (tmp_path / "draw.py").write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_episodes as t; "
        "print([t.worked_example(), hash('anna')])"
    )
    code, printed, errors = run_command_line([tmp_path / "draw.py"], tmp_path)
    assert code == 0, errors
    *drawn, its_hash = ast.literal_eval(printed)
    assert drawn == [worked_example()]
    assert its_hash != hash("anna") or "PYTHONHASHSEED" in os.environ


def split_corpus(splits: dict[str, str]) -> Corpus:
    """Clips of anna, 'label/take' → split; '' for none."""
    clips = [
        Clip(f"anna/{name}", Path("none"), "anna", name.split("/")[0], split=split or None)
        for name, split in splits.items()
    ]
    return Corpus("team", Path("none"), folder.INFO, tuple(clips))


@given(COUNTS, SHOTS, DRAWS)
def test_validation_clips_are_apart_from_shots_and_test_and_leave_the_test_as_it_is(counts, k, draw):
    corpus = corpus_of({"anna": counts})
    episodes = SpeakerEpisodes(corpus, "anna", validation=True)
    assert episodes.test == SpeakerEpisodes(corpus, "anna").test
    for label, count in counts.items():
        held_out = sum(clip.label == label for clip in episodes.validation)
        rest = count - sum(clip.label == label for clip in episodes.test)
        assert held_out == (max(1, round(rest / 10)) if rest else 0)
    episode = episodes.one_vs_rest(next(iter(counts)), k, draw)
    if episode:
        assert episode.validation == tuple(episodes.validation)
        parts = [set(ids(part)) for part in (episode.support, episode.validation, episode.test)]
        assert sum(map(len, parts)) == len(set.union(*parts))
        wanted = [int(clip.label == next(iter(counts))) for clip in episode.validation]
        assert list(episode.validation_targets) == wanted


def test_there_are_no_validation_clips_unless_asked_for():
    assert (
        SpeakerEpisodes(corpus_of({"anna": {"anger": 9, "calm": 9}}), "anna").one_vs_rest("calm", 2, 0).validation == ()
    )


def test_the_corpuss_own_split_is_kept():
    splits = {f"{label}/{i}": s for label in ("anger", "calm") for i, s in enumerate(["train"] * 4 + ["test"])}
    episode = SpeakerEpisodes(split_corpus({**splits, "calm/9": "validation"}), "anna").one_vs_rest("anger", 8, 0)
    assert sorted(ids(episode.support)) == sorted(f"anna/{n}" for n, s in splits.items() if s == "train")
    assert ids(episode.test) == ["anna/anger/4", "anna/calm/4"]


def test_a_split_that_lacks_one_clip_of_the_speaker_is_not_kept_for_any_emotion():
    splits = {f"{label}/{i}": "train" for label in ("anger", "calm") for i in range(6)}
    splits |= {"anger/6": "test", "calm/6": ""}
    episodes = SpeakerEpisodes(split_corpus(splits), "anna")
    assert Counter(clip.label for clip in episodes.test) == {"anger": 2, "calm": 2}


def test_no_episode_without_a_test_clip_of_each_class():
    splits = {f"{label}/{i}": "train" for label in LABELS[:3] for i in range(6)}
    episodes = SpeakerEpisodes(split_corpus({**splits, "anger/6": "test", "calm/6": "test"}), "anna")
    assert episodes.one_vs_rest("anger", 4, 0) is not None
    assert episodes.one_vs_rest("fear", 4, 0) is None
    assert episodes.multiclass(6, 0) is None
    assert SpeakerEpisodes(split_corpus(splits), "anna").one_vs_rest("anger", 2, 0) is None


def test_an_emotion_that_the_speaker_lacks_has_no_episode():
    assert SpeakerEpisodes(corpus_of({"anna": {"anger": 5, "calm": 5}}), "anna").one_vs_rest("fear", 2, 0) is None


def test_clips_without_a_label_change_nothing():
    corpus = corpus_of({"anna": {"anger": 6, "calm": 6}})
    unlabelled = [Clip(f"x{i}", Path("none"), "anna", None) for i in range(9)]
    more = SpeakerEpisodes(with_clips(corpus, [*corpus.clips, *unlabelled]), "anna")
    for task in (ONE_VS_REST, MULTICLASS):
        expected = SpeakerEpisodes(corpus, "anna").make(task, "anger", 4, 0)
        assert expected is not None
        assert more.make(task, "anger", 4, 0) == expected


def test_a_speaker_with_one_emotion_is_an_error():
    with pytest.raises(VoicefitError, match="corpus team: two labels are needed, speaker anna has 1"):
        SpeakerEpisodes(corpus_of({"anna": {"anger": 9}}), "anna")


@given(COUNTS, DRAWS, st.integers(1, 30))
def test_unlabelled_clips_are_of_the_pool_and_the_first_of_a_larger_set(counts, draw, count):
    episodes = SpeakerEpisodes(corpus_of({"anna": counts}), "anna")
    pool = {clip.id for clips in episodes.pool.values() for clip in clips}
    clips = ids(episodes.unlabelled(count, draw))
    assert len(clips) == len(set(clips)) == min(count, len(pool))
    assert pool.issuperset(clips)
    assert ids(episodes.unlabelled(count + 1, draw))[:count] == clips


def test_unlabelled_clips_of_one_emotion():
    episodes = SpeakerEpisodes(corpus_of({"anna": {"calm": 9, "fear": 9}}), "anna")
    assert {clip.label for clip in episodes.unlabelled(4, 0, "calm")} == {"calm"}
    assert {clip.label for clip in episodes.unlabelled(12, 0)} == {"calm", "fear"}
