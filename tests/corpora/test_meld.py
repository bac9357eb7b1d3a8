import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.meld import RELEASED, VARIANTS, build_meld
from voicefit.corpora import meld
from voicefit.errors import VoicefitError

EXPECTED = [
    ("dev/dia0_utt0", "Joey", "fear", "fear"),
    ("dev/dia0_utt1", "All", "surprise", "surprise"),
    ("test/dia0_utt0", "Monica", "anger", "anger"),
    ("test/dia3_utt12", "Joey", "sadness", "sadness"),
    ("train/dia0_utt0", "Joey", "happiness", "joy"),
    ("train/dia0_utt1", "Monica", "neutral", "neutral"),
    ("train/dia10_utt2", "Mrs. Green", "disgust", "disgust"),
]
TABLE = "dev_sent_emo.csv"


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("given", ["", "MELD.Raw"])
def test_every_layout_has_the_same_clips(tmp_path, variant, suffix, given):
    build_meld(tmp_path / "MELD.Raw", variant=variant, suffix=suffix)
    corpus = meld.load("mine", tmp_path / given)
    assert rows(corpus) == [(f"{name}{suffix}", *rest) for name, *rest in EXPECTED]
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert len({clip.path for clip in corpus.clips}) == 7
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path / "MELD.Raw", meld.INFO)


def test_videos_alone_are_refused_with_what_to_do(tmp_path):
    for audio in build_meld(tmp_path).glob("**/*.wav"):
        audio.unlink()
    with pytest.raises(VoicefitError, match=r"train/train_splits: only videos here; extract the audio of every \.mp4"):
        meld.load("mine", tmp_path)


def test_a_part_without_audio_is_refused(tmp_path):
    shutil.rmtree(build_meld(tmp_path) / RELEASED["dev"])
    with pytest.raises(VoicefitError, match=rf"{tmp_path}/dev_splits_complete: expected audio named like dia0_utt0"):
        meld.load("mine", tmp_path)


def test_a_listed_clip_without_audio_stays(tmp_path):
    (build_meld(tmp_path) / RELEASED["train"] / "dia10_utt2.wav").unlink()
    (absent,) = (clip for clip in meld.load("mine", tmp_path).clips if not clip.path.exists())
    assert (absent.id, absent.speaker, absent.label) == ("train/dia10_utt2.wav", "Mrs. Green", "disgust")
    assert absent.path == tmp_path / RELEASED["train"] / "dia10_utt2.wav"


def test_a_file_that_is_not_listed_is_unlabelled(tmp_path):
    write_noise(build_meld(tmp_path) / RELEASED["test"] / "final_videos_testdia0_utt0.wav", 99)
    (clip,) = (clip for clip in meld.load("mine", tmp_path).clips if clip.label is None)
    assert (clip.id, clip.speaker, clip.native_label) == ("test/final_videos_testdia0_utt0.wav", "unknown", "")


def test_a_second_format_of_a_clip_is_unlabelled(tmp_path):
    write_noise(build_meld(tmp_path, suffix=".flac") / RELEASED["dev"] / "dia0_utt0.wav", 99)
    assert [clip.id for clip in meld.load("mine", tmp_path).clips if clip.label is None] == ["dev/dia0_utt0.wav"]


def test_stray_files_are_passed_over(tmp_path):
    build_meld(tmp_path)
    for stray in (".DS_Store", "._dia0_utt0.wav", "dia0_utt0.txt"):
        (tmp_path / RELEASED["dev"] / stray).write_bytes(b"\0")
    (tmp_path / "._dev_sent_emo.csv").write_bytes(b"\0")
    assert len(meld.load("mine", tmp_path).clips) == 7


def test_a_clip_without_emotion_is_unlabelled(tmp_path):
    table = build_meld(tmp_path) / TABLE
    table.write_text(table.read_text(encoding="utf-8").replace(",fear,", ", ,"), encoding="utf-8")
    assert rows(meld.load("mine", tmp_path))[0] == ("dev/dia0_utt0.wav", "Joey", None, "")


def test_a_missing_table_is_named(tmp_path):
    (build_meld(tmp_path) / TABLE).unlink()
    with pytest.raises(VoicefitError, match=rf"{tmp_path}/{TABLE}: no such file"):
        meld.load("mine", tmp_path)


def test_a_wrong_root_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match=r"expected train_sent_emo\.csv here"):
        meld.load("mine", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        meld.load("mine", tmp_path / "absent")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable"),
        (b"\xff\xfe\x00garbage", "not readable"),
        (b"Utterance,Speaker,Dialogue_ID\nHi,Joey,0\n", "no column Emotion, Utterance_ID"),
        (b"Speaker,Emotion,Dialogue_ID,Utterance_ID\nJoey,joy,../../secret,0\n", "row 1: Dialogue_ID '../../secret'"),
        (b"Speaker,Emotion,Dialogue_ID,Utterance_ID\nJoey,joy,0,0\nJoey,joy\n", "row 2: Dialogue_ID ''"),
        (b"Speaker,Emotion,Dialogue_ID,Utterance_ID\nJoey,joy,0,0\nJoey,fear,0,0\n", "listed twice"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, content, message):
    (build_meld(tmp_path) / TABLE).write_bytes(content)
    with pytest.raises(VoicefitError, match=message):
        meld.load("mine", tmp_path)


@given(
    speaker=st.from_regex(r"\A[A-Za-z]+( [A-Za-z.]+)?\Z"),
    emotion=st.sampled_from(["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]),
    dialogue=st.integers(0, 2000),
    utterance=st.integers(0, 30),
)
def test_rows_are_parsed_field_by_field(speaker, emotion, dialogue, utterance):
    parsed = meld.parse_row(f" {speaker}", f"{emotion} ", str(dialogue), f" {utterance}")
    assert parsed == (f"dia{dialogue}_utt{utterance}", speaker, emotion)


@given(st.text(), st.text(), st.text(), st.text())
def test_other_rows_are_never_an_error(speaker, emotion, dialogue, utterance):
    row = meld.parse_row(speaker, emotion, dialogue, utterance)
    assert row is None or "/" not in row[0]


def test_the_published_counts_of_labels_add_up():
    assert sum(meld.INFO.expected_labels.values()) == meld.INFO.expected_clips
