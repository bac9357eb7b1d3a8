import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.jl_corpus import build_jl_corpus
from voicefit.corpora import jl_corpus
from voicefit.errors import VoicefitError

OUTER, INNER = "Raw JL corpus (unchecked and unannotated)", "JL(wav+txt)"
EXPECTED = [
    ("angry", "anger"),
    ("anxious", "anxiety"),
    ("apologetic", "apology"),
    ("assertive", "assertiveness"),
    ("concerned", "concern"),
    ("encouraging", "encouragement"),
    ("excited", "excitement"),
    ("happy", "happiness"),
    ("neutral", "neutral"),
    ("sad", "sadness"),
]


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@pytest.mark.parametrize("given", ["", OUTER, f"{OUTER}/{INNER}"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_folder_that_may_be_given_has_the_same_clips(tmp_path, given, suffix):
    corpus = jl_corpus.load("mine", build_jl_corpus(tmp_path, suffix=suffix) / given)
    assert rows(corpus) == [
        (f"{speaker}_{native}_10a_1{suffix}", speaker, label, native)
        for speaker in ("female2", "male1")
        for native, label in EXPECTED
    ]
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path / OUTER / INNER, jl_corpus.INFO)


def test_the_folder_of_the_clips_may_be_called_otherwise(tmp_path):
    (build_jl_corpus(tmp_path / "archive") / OUTER / INNER).rename(tmp_path / "jl")
    assert rows(jl_corpus.load("mine", tmp_path))[0] == ("female2_angry_10a_1.wav", "female2", "anger", "angry")


def test_the_published_counts_of_labels_add_up():
    assert sum(jl_corpus.INFO.expected_labels.values()) == jl_corpus.INFO.expected_clips


@pytest.mark.parametrize("stray", ["male3_angry_10a_1.wav", "male1_bored_10a_1.wav", "take two.wav"])
def test_a_file_named_otherwise_is_unlabelled(tmp_path, stray):
    write_noise(build_jl_corpus(tmp_path) / OUTER / INNER / stray, 99)
    (clip,) = (clip for clip in jl_corpus.load("mine", tmp_path).clips if clip.label is None)
    assert (clip.id, clip.speaker, clip.native_label) == (stray, "unknown", "")


def test_stray_files_are_passed_over(tmp_path):
    folder = build_jl_corpus(tmp_path) / OUTER / INNER
    for stray in (".DS_Store", "._male1_angry_10a_1.wav", "survey.mp4"):
        (folder / stray).write_bytes(b"\0")
    assert len(jl_corpus.load("mine", tmp_path).clips) == 20


def test_a_wrong_root_is_refused(tmp_path):
    (tmp_path / OUTER / INNER).mkdir(parents=True)
    with pytest.raises(VoicefitError, match=r"expected Raw JL corpus .* with files named like male1_angry_10a_1\.wav"):
        jl_corpus.load("mine", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        jl_corpus.load("mine", tmp_path / "absent")


@given(
    speaker=st.sampled_from(["female1", "female2", "male1", "male2"]),
    emotion=st.sampled_from(sorted(jl_corpus.EMOTIONS)),
    sentence=st.integers(1, 15),
    session=st.sampled_from("ab"),
    take=st.sampled_from("12"),
)
def test_names_are_parsed_field_by_field(speaker, emotion, sentence, session, take):
    assert jl_corpus.parse_name(f"{speaker}_{emotion}_{sentence}{session}_{take}") == (speaker, emotion)


@given(st.text())
def test_other_names_are_never_an_error(stem):
    assert jl_corpus.parse_name(stem) is None
