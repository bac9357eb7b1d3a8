import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.layouts import build_folder, write_noise
from voicefit.corpora import folder, to_vocabulary
from voicefit.errors import VoicefitError

NAMES = st.text(st.characters(exclude_categories=("C",), exclude_characters="/\\"), min_size=1, max_size=12).filter(
    lambda name: not name.startswith(".")
)


def test_labels_without_speakers(tmp_path):
    corpus = folder.load("me", build_folder(tmp_path, speakers=()))
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == [
        ("Angry/1.wav", "me", "anger", "Angry"),
        ("Angry/2.wav", "me", "anger", "Angry"),
        ("neutral/1.wav", "me", "neutral", "neutral"),
        ("neutral/2.wav", "me", "neutral", "neutral"),
    ]


def test_speakers_then_labels(tmp_path):
    corpus = folder.load("team", build_folder(tmp_path, suffix=".flac"))
    assert corpus.speakers == ["anna", "ben"]
    assert corpus.labels == ["anger", "neutral"]
    assert corpus.clips[-1].id == "ben/neutral/2.flac"
    assert corpus.clips[-1].path == tmp_path / "ben" / "neutral" / "2.flac"


def test_both_layouts_at_once_are_refused(tmp_path):
    write_noise(build_folder(tmp_path) / "sad" / "1.wav", 99)
    with pytest.raises(VoicefitError, match=r"sad/1\.wav has no speaker folder, anna/Angry/1\.wav has one"):
        folder.load("f", tmp_path)


@pytest.mark.parametrize("stray", ["top.wav", "anna/Angry/deeper/1.wav"])
def test_a_file_at_another_depth_is_refused(tmp_path, stray):
    write_noise(build_folder(tmp_path) / stray, 99)
    with pytest.raises(VoicefitError, match=f"{stray} is not at the depth"):
        folder.load("f", tmp_path)


def test_an_empty_or_absent_folder_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match="no audio file"):
        folder.load("f", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        folder.load("f", tmp_path / "absent")


@settings(max_examples=25, deadline=None)
@given(st.sets(st.tuples(NAMES, NAMES), min_size=1, max_size=6), st.booleans())
def test_whatever_is_written_is_read_back(pairs, with_speakers):
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for speaker, label in pairs:
            place = root / (speaker if with_speakers else "") / label
            place.mkdir(parents=True, exist_ok=True)
            (place / "clip.wav").touch()
        read = folder.load("corpus", root)
    written = {(speaker if with_speakers else "corpus", label) for speaker, label in pairs}
    assert {(clip.speaker, clip.native_label) for clip in read.clips} == written
    assert all(clip.label == (to_vocabulary(clip.native_label) or None) for clip in read.clips)
