import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import build_emodb, write_noise
from voicefit.corpora import emodb
from voicefit.errors import VoicefitError


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_clip_is_read(tmp_path, suffix):
    corpus = emodb.load("e", build_emodb(tmp_path, suffix=suffix))
    assert [(clip.id, clip.speaker, clip.native_label) for clip in corpus.clips] == [
        (f"wav/{speaker}a01{letter}a{suffix}", speaker, letter) for speaker in ("03", "16") for letter in "AEFLNTW"
    ]
    labels = ["fear", "disgust", "happiness", "boredom", "neutral", "sadness", "anger"]
    assert [clip.label for clip in corpus.clips] == labels * 2


def test_the_wav_folder_and_the_folder_above_give_the_same_clips(tmp_path):
    root = build_emodb(tmp_path / "EmoDB")
    at_root = emodb.load("e", root)
    assert emodb.load("e", root / "wav").clips == at_root.clips
    assert emodb.load("e", tmp_path).clips == at_root.clips


def test_a_file_named_otherwise_is_unlabelled(tmp_path):
    write_noise(build_emodb(tmp_path) / "wav" / "test.wav", 99)
    (unlabelled,) = (clip for clip in emodb.load("e", tmp_path).clips if clip.label is None)
    assert (unlabelled.id, unlabelled.speaker) == ("wav/test.wav", "unknown")


def test_a_wrong_folder_is_refused(tmp_path):
    write_noise(tmp_path / "wav" / "whatever.wav", 0)
    for root in (tmp_path, tmp_path / "wav"):
        with pytest.raises(VoicefitError, match=r"expected wav/ with files named like 03a01Fa\.wav"):
            emodb.load("e", root)


@given(
    speaker=st.integers(0, 99),
    text=st.from_regex(r"[ab][0-9]{2}", fullmatch=True),
    letter=st.sampled_from("WLEAFTN"),
    version=st.sampled_from(["", "a", "f"]),
)
def test_names_are_parsed(speaker, text, letter, version):
    assert emodb.parse_name(f"{speaker:02}{text}{letter}{version}") == (f"{speaker:02}", letter)


@given(st.text())
def test_other_names_are_never_an_error(stem):
    fields = emodb.parse_name(stem)
    assert fields is None or fields[1] in emodb.EMOTIONS
