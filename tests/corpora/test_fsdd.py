from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import build_fsdd, write_noise
from voicefit.audio import load_waveform
from voicefit.corpora import fsdd
from voicefit.errors import VoicefitError


def test_every_clip_is_read_with_the_authors_split(tmp_path):
    corpus = fsdd.load("digits", build_fsdd(tmp_path))
    assert corpus.root == tmp_path / "recordings"
    assert Counter((clip.speaker, clip.split) for clip in corpus.clips) == {
        ("jackson", "test"): 50,
        ("jackson", "train"): 20,
        ("theo", "test"): 50,
        ("theo", "train"): 20,
    }
    (clip,) = (clip for clip in corpus.clips if clip.id == "7_theo_5.wav")
    assert (clip.speaker, clip.label, clip.native_label, clip.split) == ("theo", "seven", "7", "train")
    assert len(load_waveform(clip.path)) == 800  # 0.05 s, at 16 kHz by now


def test_a_file_named_otherwise_is_unlabelled(tmp_path):
    write_noise(build_fsdd(tmp_path) / "recordings" / "ten_theo_1.wav", 999, rate=8000)
    (unlabelled,) = (clip for clip in fsdd.load("digits", tmp_path).clips if clip.label is None)
    assert (unlabelled.id, unlabelled.split) == ("ten_theo_1.wav", None)


def test_a_wrong_folder_is_refused(tmp_path):
    write_noise(tmp_path / "recordings" / "seven.wav", 0)
    with pytest.raises(VoicefitError, match="expected recordings/"):
        fsdd.load("digits", tmp_path)


@given(digit=st.integers(0, 9), speaker=st.from_regex(r"[a-z0-9]+", fullmatch=True), take=st.integers(0, 99))
def test_names_are_parsed(digit, speaker, take):
    assert fsdd.parse_name(f"{digit}_{speaker}_{take}") == (str(digit), speaker, take)


@given(st.text())
def test_other_names_are_never_an_error(stem):
    fields = fsdd.parse_name(stem)
    assert fields is None or fields[0] in fsdd.DIGITS
