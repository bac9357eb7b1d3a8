import numpy as np
import pytest

from support.voices import build_world, speak, write_corpus
from voicefit import select_corpora
from voicefit.errors import VoicefitError
from voicefit.selection.ranking import ORDER, SCORES, promise


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world"))


def test_the_corpus_that_agrees_with_the_voice_comes_first(world):
    encoder, voice, corpora = world
    told = []
    found = select_corpora(voice, corpora, encoder, depth=1, progress=lambda *step: told.append(step))
    assert found.candidates[0].corpora == ("same",)
    scores = {candidate.corpora[0]: candidate.scores for candidate in found.candidates}
    assert set(scores["same"]) == set(SCORES)
    assert scores["same"]["zero_shot"] > -np.log(3) > scores["mixed"]["zero_shot"]
    assert scores["other"]["zero_shot"] == pytest.approx(-np.log(3))
    assert found.target == {"anger": 2, "neutral": 2, "sadness": 2}
    assert {(item.clips, item.speakers) for item in found.candidates} == {(36, 2), (24, 2)}
    assert told[-1] == ("scoring", 3, 3)


def test_subsets_are_all_ranked_with_more_corpora_first(world):
    encoder, voice, corpora = world
    found = select_corpora(voice, corpora, encoder, depth=1, subsets=True).candidates
    assert [len(item.corpora) for item in found] == [3, 2, 2, 2, 1, 1, 1]
    assert [promise(item) for item in found] == sorted(map(promise, found), reverse=True)
    assert len({item.corpora for item in found}) == 7
    assert found[0].clips == sum(item.clips for item in found[-3:])
    assert found[1].scores[ORDER] >= found[2].scores[ORDER]


def test_a_broken_clip_is_left_out_and_named(world, tmp_path):
    encoder, voice, _ = world
    corpus = write_corpus(tmp_path / "damaged", {"anger": "anger", "neutral": "neutral"}, 1, takes=2)
    (corpus / "ben" / "anger" / "0.wav").write_bytes(b"no audio")
    found = select_corpora(voice, {"damaged": corpus}, encoder, depth=1)
    assert list(found.left_out) == ["damaged/ben/anger/0.wav"]
    assert found.candidates[0].clips == 7


def test_a_voice_that_cannot_be_judged_by_is_refused(world, tmp_path):
    encoder, _, corpora = world
    for label in ("anger", "neutral"):
        speak(tmp_path / "few" / label / "0.wav", label, 1)
    with pytest.raises(VoicefitError, match="at least two labels need two usable clips each"):
        select_corpora(tmp_path / "few", corpora, encoder, depth=1)


def test_a_corpus_without_contrast_is_refused(world, tmp_path):
    encoder, voice, _ = world
    for take in range(3):
        speak(tmp_path / "flat" / "anger" / f"{take}.wav", "anger", take)
    with pytest.raises(VoicefitError, match="corpus flat: no speaker has usable clips of two labels"):
        select_corpora(voice, {"flat": tmp_path / "flat"}, encoder, depth=1)


def test_no_corpus_is_refused(world):
    encoder, voice, _ = world
    with pytest.raises(VoicefitError, match="at least one corpus"):
        select_corpora(voice, {}, encoder)
