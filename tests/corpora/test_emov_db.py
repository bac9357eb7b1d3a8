import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.emov_db import build_emov_db
from voicefit.corpora import emov_db
from voicefit.errors import VoicefitError

EXPECTED = [
    ("bea_Amused/amused_1-15_0001", "bea", "amusement", "Amused"),
    ("bea_Amused/amused_1-15_0015", "bea", "amusement", "Amused"),
    ("bea_Angry/angry_1-15_0001", "bea", "anger", "Angry"),
    ("bea_Angry/angry_1-15_0015", "bea", "anger", "Angry"),
    ("bea_Disgusted/disgusted_1-15_0001", "bea", "disgust", "Disgusted"),
    ("bea_Disgusted/disgusted_1-15_0015", "bea", "disgust", "Disgusted"),
    ("bea_Neutral/neutral_1-15_0001", "bea", "neutral", "Neutral"),
    ("bea_Neutral/neutral_1-15_0015", "bea", "neutral", "Neutral"),
    ("bea_Sleepy/sleepy_1-15_0001", "bea", "sleepiness", "Sleepy"),
    ("bea_Sleepy/sleepy_1-15_0015", "bea", "sleepiness", "Sleepy"),
    ("josh_Amused/amused_1-15_0001", "josh", "amusement", "Amused"),
    ("josh_Amused/amused_1-15_0015", "josh", "amusement", "Amused"),
    ("josh_Neutral/neutral_1-15_0001", "josh", "neutral", "Neutral"),
    ("josh_Neutral/neutral_1-15_0015", "josh", "neutral", "Neutral"),
    ("josh_Sleepy/sleepy_1-15_0001", "josh", "sleepiness", "Sleepy"),
    ("josh_Sleepy/sleepy_1-15_0015", "josh", "sleepiness", "Sleepy"),
]


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@pytest.mark.parametrize("given", ["", "EmoV-DB_sorted"])
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_layout_has_the_same_clips(tmp_path, given, nested, suffix):
    build_emov_db(tmp_path / "EmoV-DB_sorted", nested=nested, suffix=suffix)
    corpus = emov_db.load("mine", tmp_path / given)
    assert rows(corpus) == [(f"{name}{suffix}", *rest) for name, *rest in EXPECTED]
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path / "EmoV-DB_sorted", emov_db.INFO)


def test_a_speaker_is_one_however_the_folders_are_written(tmp_path):
    build_emov_db(tmp_path)
    (tmp_path / "bea_Disgusted").rename(tmp_path / "Bea_disgust")
    corpus = emov_db.load("mine", tmp_path)
    assert corpus.speakers == ["bea", "josh"]
    assert [clip.native_label for clip in corpus.clips if clip.label == "disgust"] == ["disgust", "disgust"]


@pytest.mark.parametrize("stray", ["bea_Bored/a.wav", "bea_Angry/more/a.wav", "bea/a.wav"])
def test_a_file_in_another_folder_is_unlabelled(tmp_path, stray):
    write_noise(build_emov_db(tmp_path) / stray, 99)
    (clip,) = (clip for clip in emov_db.load("mine", tmp_path).clips if clip.label is None)
    assert (clip.id, clip.speaker, clip.native_label) == (stray, "bea", "")


def test_stray_files_and_folders_are_passed_over(tmp_path):
    build_emov_db(tmp_path)
    for stray in ("bea_Angry/.DS_Store", "bea_Angry/._angry_1-15_0001.wav", "notes/a.wav", "a.wav"):
        (tmp_path / stray).parent.mkdir(exist_ok=True)
        (tmp_path / stray).write_bytes(b"\0")
    assert len(emov_db.load("mine", tmp_path).clips) == 16


def test_archives_not_yet_unpacked_are_not_missed(tmp_path):
    for folder in build_emov_db(tmp_path).glob("josh_*"):
        shutil.rmtree(folder)
    assert emov_db.load("mine", tmp_path).speakers == ["bea"]


def test_a_clip_in_both_layouts_is_refused(tmp_path):
    build_emov_db(tmp_path)
    build_emov_db(tmp_path, nested=True)
    with pytest.raises(VoicefitError, match="16 clips are listed twice"):
        emov_db.load("mine", tmp_path)


def test_a_wrong_root_is_refused(tmp_path):
    (tmp_path / "bea_Amused").mkdir()
    with pytest.raises(VoicefitError, match="expected folders named like bea_Amused/ or bea/Amused/ with audio here"):
        emov_db.load("mine", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        emov_db.load("mine", tmp_path / "absent")


@given(
    speaker=st.sampled_from(emov_db.SPEAKERS),
    separator=st.sampled_from("_/"),
    emotion=st.sampled_from(sorted(emov_db.EMOTIONS)),
    number=st.integers(0, 9999),
)
def test_paths_are_parsed_part_by_part(speaker, separator, emotion, number):
    name = f"{emotion}_1-28_{number:04}.wav"
    path = f"{speaker}{separator}{emotion.title()}/{name}"
    assert emov_db.parse_path(path) == (speaker, emotion.title(), f"{speaker}_{emotion.title()}/{name}")


@given(st.text())
def test_other_paths_are_never_an_error(path):
    assert emov_db.parse_path(path) is None
