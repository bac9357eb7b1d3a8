from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import build_tess, write_noise
from voicefit.corpora import load_corpus, tess
from voicefit.errors import VoicefitError


def test_every_clip_is_read_in_spite_of_the_spelling(tmp_path):
    corpus = tess.load("tess", build_tess(tmp_path))
    assert len(corpus.clips) == 28
    assert corpus.speakers == ["OAF", "YAF"]
    assert corpus.labels == sorted(tess.LABELS)
    by_id = {clip.id: (clip.speaker, clip.label, clip.native_label) for clip in corpus.clips}
    assert by_id["OAF_Fear/OAF_back_fear.wav"] == ("OAF", "fear", "Fear")
    assert by_id["OAF_neutral/OA_bite_neutral.wav"] == ("OAF", "neutral", "neutral")
    assert by_id["OAF_Pleasant_surprise/OAF_back_ps.wav"] == ("OAF", "surprise", "Pleasant_surprise")
    assert by_id["YAF_pleasant_surprised/YAF_bite_ps.wav"] == ("YAF", "surprise", "pleasant_surprised")


def test_each_speaker_has_two_clips_of_each_label(tmp_path):
    table = tess.load("tess", build_tess(tmp_path)).table()
    assert set(table.groupby(["speaker", "label"]).size()) == {2}


def test_the_folder_added_by_the_archive_is_looked_into(tmp_path):
    inner = build_tess(tmp_path / "TESS Toronto emotional speech set data", suffix=".flac")
    corpus = tess.load("tess", tmp_path)
    assert corpus.root == inner
    assert corpus.clips[0].id == "OAF_Fear/OAF_back_fear.flac"


def test_words_are_read_in_spite_of_the_spelling(tmp_path):
    root = build_tess(tmp_path)
    write_noise(root / "YAF_sad" / "take two.wav", 99)
    corpus = load_corpus("tess-word", root)
    assert Counter((clip.speaker, clip.label, clip.native_label) for clip in corpus.clips) == {
        ("OAF", "back", "back"): 7,
        ("OAF", "bite", "bite"): 7,
        ("YAF", "back", "back"): 7,
        ("YAF", "bite", "bite"): 7,
        ("YAF", None, ""): 1,
    }


@pytest.mark.parametrize("folder", ["OAF_angry/deeper", "XAF_angry", "OAF_bored"])
def test_a_wrong_folder_is_refused(tmp_path, folder):
    write_noise(tmp_path / folder / "OAF_back_angry.wav", 0)
    with pytest.raises(VoicefitError, match="expected folders named like OAF_angry"):
        tess.load("tess", tmp_path)


@given(
    speaker=st.sampled_from(tess.SPEAKERS),
    native=st.sampled_from(["angry", "disgust", "fear", "happy", "neutral", "ps", "pleasant_surprise", "sad"]),
    upper=st.booleans(),
)
def test_folders_are_parsed_in_any_case(speaker, native, upper):
    written = native.upper() if upper else native
    fields = tess.parse_folder(f"{speaker}_{written}")
    assert fields is not None
    assert fields[:2] == (speaker, written)
    assert fields[2] in tess.LABELS


@given(st.text())
def test_other_folders_are_never_an_error(name):
    fields = tess.parse_folder(name)
    assert fields is None or (fields[0] in tess.SPEAKERS and fields[2] in tess.LABELS)
