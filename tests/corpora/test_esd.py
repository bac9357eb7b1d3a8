import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.esd import build_esd
from voicefit.corpora import esd
from voicefit.errors import VoicefitError

EXPECTED = [
    ("Angry/{}_000370", "anger", "Angry", "validation"),
    ("Angry/{}_000371", "anger", "Angry", "test"),
    ("Angry/{}_000400", "anger", "Angry", "test"),
    ("Angry/{}_000401", "anger", "Angry", "train"),
    ("Angry/{}_000700", "anger", "Angry", "train"),
    ("Happy/{}_000720", "happiness", "Happy", "validation"),
    ("Happy/{}_000721", "happiness", "Happy", "test"),
    ("Happy/{}_000750", "happiness", "Happy", "test"),
    ("Happy/{}_000751", "happiness", "Happy", "train"),
    ("Happy/{}_001050", "happiness", "Happy", "train"),
    ("Neutral/{}_000020", "neutral", "Neutral", "validation"),
    ("Neutral/{}_000021", "neutral", "Neutral", "test"),
    ("Neutral/{}_000050", "neutral", "Neutral", "test"),
    ("Neutral/{}_000051", "neutral", "Neutral", "train"),
    ("Neutral/{}_000350", "neutral", "Neutral", "train"),
    ("Sad/{}_001070", "sadness", "Sad", "validation"),
    ("Sad/{}_001071", "sadness", "Sad", "test"),
    ("Sad/{}_001100", "sadness", "Sad", "test"),
    ("Sad/{}_001101", "sadness", "Sad", "train"),
    ("Sad/{}_001400", "sadness", "Sad", "train"),
    ("Surprise/{}_001420", "surprise", "Surprise", "validation"),
    ("Surprise/{}_001421", "surprise", "Surprise", "test"),
    ("Surprise/{}_001450", "surprise", "Surprise", "test"),
    ("Surprise/{}_001451", "surprise", "Surprise", "train"),
    ("Surprise/{}_001750", "surprise", "Surprise", "train"),
]


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label, clip.split) for clip in corpus.clips]


def load_as(name, root):
    (reader,) = (reader for reader in esd.READERS if reader.info.name == name)
    return reader.load("mine", root)


@pytest.mark.parametrize("splits", [True, False])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_both_layouts_give_the_same_clips(tmp_path, splits, suffix):
    corpus = esd.load("mine", build_esd(tmp_path, splits=splits, suffix=suffix))
    assert rows(corpus) == [
        (f"{speaker}/{name.format(speaker)}{suffix}", speaker, label, native, split)
        for speaker in ("0001", "0011")
        for name, label, native, split in EXPECTED
    ]
    assert all(clip.path.is_file() for clip in corpus.clips)
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path, esd.INFO)


def test_every_encoding_of_the_transcripts_and_their_absence_is_tolerated(tmp_path):
    speakers = ("0001", "0003", "0016", "0020")
    before = rows(esd.load("mine", build_esd(tmp_path, speakers=speakers)))
    assert len(before) == 100
    for speaker in speakers:
        (tmp_path / speaker / f"{speaker}.txt").unlink()
    assert rows(esd.load("mine", tmp_path)) == before


def test_each_half_has_the_speakers_of_its_language(tmp_path):
    build_esd(tmp_path, speakers=("0001", "0010", "0011", "0020"))
    assert load_as("esd", tmp_path).speakers == ["0001", "0010", "0011", "0020"]
    assert load_as("esd-english", tmp_path).speakers == ["0011", "0020"]
    assert load_as("esd-mandarin", tmp_path).speakers == ["0001", "0010"]


def test_the_published_counts_of_the_readers_agree():
    whole, *halves = (reader.info for reader in esd.READERS)
    assert [half.language for half in halves] == ["English", "Mandarin"]
    for info in (whole, *halves):
        assert sum(info.expected_labels.values()) == info.expected_clips == 1750 * info.expected_speakers


def test_the_folder_above_gives_the_same_ids(tmp_path):
    build_esd(tmp_path / "Emotional Speech Dataset (ESD)")
    write_noise(tmp_path / "__MACOSX" / "0001" / "Angry" / "._0001_000351.wav", 0)
    assert esd.load("mine", tmp_path).clips[0].id == "0001/Angry/0001_000370.wav"


def test_the_folder_of_a_split_outweighs_the_number(tmp_path):
    write_noise(build_esd(tmp_path, speakers=("0011",)) / "0011" / "Sad" / "train" / "0011_001051.wav", 99)
    (clip,) = (clip for clip in esd.load("mine", tmp_path).clips if clip.path.stem == "0011_001051")
    assert clip.split == "train"


@pytest.mark.parametrize(
    "stray", ["Angry/0011_000351_1.wav", "Angry/0012_000351.wav", "Bored/0011_000351.wav", "test.wav", "Sad/x/a.wav"]
)
def test_a_file_named_otherwise_is_unlabelled(tmp_path, stray):
    write_noise(build_esd(tmp_path, speakers=("0011",)) / "0011" / stray, 99)
    (clip,) = (clip for clip in esd.load("mine", tmp_path).clips if clip.label is None)
    assert (clip.id, clip.speaker, clip.native_label, clip.split) == (f"0011/{stray}", "0011", "", None)


def test_stray_files_and_folders_are_passed_over(tmp_path):
    build_esd(tmp_path)
    before = rows(esd.load("mine", tmp_path))
    for stray in ("0011/.DS_Store", "0011/Angry/train/._0011_000401.wav", "0011/Angry/video.mp4", "notes/a.wav"):
        (tmp_path / stray).parent.mkdir(exist_ok=True)
        (tmp_path / stray).write_bytes(b"\0")
    assert rows(esd.load("mine", tmp_path)) == before


def test_a_half_unpacked_archive_has_the_clips_that_are_there(tmp_path):
    shutil.rmtree(build_esd(tmp_path) / "0011" / "Angry")
    shutil.rmtree(tmp_path / "0001")
    (tmp_path / "0001").mkdir()
    assert len(esd.load("mine", tmp_path).clips) == 20


def test_a_clip_with_and_without_split_is_refused(tmp_path):
    build_esd(tmp_path)
    build_esd(tmp_path, splits=False)
    with pytest.raises(VoicefitError, match="50 clips are listed twice"):
        esd.load("mine", tmp_path)


def test_a_root_without_clips_of_the_speakers_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match=r"expected 0001/ … 0020/ with files named like Angry/train/0001_000401"):
        esd.load("mine", tmp_path)
    build_esd(tmp_path, speakers=("0001",))
    with pytest.raises(VoicefitError, match="expected 0011/ … 0020/"):
        load_as("esd-english", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        esd.load("mine", tmp_path / "absent")


@given(
    speaker=st.sampled_from(esd.MANDARIN + esd.ENGLISH),
    emotion=st.sampled_from(sorted(esd.EMOTIONS)),
    number=st.integers(0, 999_999),
    split=st.sampled_from(["train", "evaluation", "test"]),
)
def test_paths_are_parsed_part_by_part(speaker, emotion, number, split):
    name = f"{speaker}_{number:06}.wav"
    meant = {"evaluation": "validation"}.get(split, split)
    assert esd.parse_path(f"{speaker}/{emotion}/{split}/{name}") == (speaker, emotion, meant)
    assert esd.parse_path(f"{speaker}/{emotion}/{name}") == (speaker, emotion, esd.official_split(number))


@given(st.text())
def test_other_paths_are_never_an_error(path):
    assert esd.parse_path(path) is None


def test_each_emotion_has_300_utterances_for_training_20_for_validation_and_30_for_testing():
    for first in (1, 351, 701, 1051, 1401):
        splits = [esd.official_split(number) for number in range(first, first + 350)]
        assert splits == ["validation"] * 20 + ["test"] * 30 + ["train"] * 300
    assert esd.official_split(0) is esd.official_split(1751) is None
