import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import build_emovo, write_noise
from voicefit.corpora import emovo
from voicefit.errors import VoicefitError

LABELS = ["disgust", "happiness", "neutral", "fear", "anger", "surprise", "sadness"]


@pytest.mark.parametrize("suffix", [".wav", ".opus"])
def test_every_clip_is_read(tmp_path, suffix):
    corpus = emovo.load("e", build_emovo(tmp_path, suffix=suffix))
    codes = ["dis", "gio", "neu", "pau", "rab", "sor", "tri"]
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == [
        (f"{speaker}/{code}-{speaker}-b1{suffix}", speaker, label, code)
        for speaker in ("f1", "m1")
        for code, label in zip(codes, LABELS, strict=True)
    ]


def test_a_file_named_otherwise_is_unlabelled(tmp_path):
    write_noise(build_emovo(tmp_path) / "m1" / "xyz-m1-b1.wav", 99)
    (unlabelled,) = (clip for clip in emovo.load("e", tmp_path).clips if clip.label is None)
    assert (unlabelled.id, unlabelled.speaker) == ("m1/xyz-m1-b1.wav", "m1")


def test_a_wrong_folder_is_refused(tmp_path):
    write_noise(tmp_path / "f1" / "whatever.wav", 0)
    with pytest.raises(VoicefitError, match="expected f1/"):
        emovo.load("e", tmp_path)


@given(
    code=st.sampled_from(sorted(emovo.EMOTIONS)),
    speaker=st.from_regex(r"[fm][0-9]", fullmatch=True),
    sentence=st.from_regex(r"[a-z][0-9]", fullmatch=True),
)
def test_names_are_parsed(code, speaker, sentence):
    assert emovo.parse_name(f"{code}-{speaker}-{sentence}") == (code, speaker)


@given(st.text())
def test_other_names_are_never_an_error(stem):
    fields = emovo.parse_name(stem)
    assert fields is None or fields[0] in emovo.EMOTIONS
