import os
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.layouts import build_folder, write_noise
from voicefit.corpora import folder, load_clips, to_vocabulary
from voicefit.corpora.check import check_corpus
from voicefit.corpora.labels import plain
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


def test_recordings_without_folders_of_labels_are_told_what_is_read(tmp_path):
    for name in ("03a01Fa.wav", "03a01Nc.wav"):
        write_noise(tmp_path / name, 1)
    words = (
        r"holds 2 audio files, as 03a01Fa\.wav, and no folder named after a label\. Read are <label>/<audio file> or "
    )
    with pytest.raises(VoicefitError, match=words) as caught:
        folder.load("f", tmp_path)
    for layout in ("a table with the columns path and label", "NAME=PATH", "docs/how-to/formats.md"):
        assert layout in str(caught.value)
    (tmp_path / "03a01Nc.wav").unlink()
    with pytest.raises(VoicefitError, match=r"holds 1 audio file, 03a01Fa\.wav, and no folder"):
        folder.load("f", tmp_path)


def test_an_empty_or_absent_folder_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match="no audio file"):
        folder.load("f", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        folder.load("f", tmp_path / "absent")
    (tmp_path / "my-clips").mkdir()
    with pytest.raises(VoicefitError, match=r"my-clps: no such folder; did you mean .*/my-clips\?"):
        folder.load("f", tmp_path / "my-clps")


@settings(max_examples=25, deadline=None)
@given(
    st.sets(st.tuples(NAMES, NAMES), min_size=1, max_size=6).filter(
        lambda pairs: any(label.strip() for _, label in pairs)
    ),
    st.booleans(),
)
def test_whatever_is_written_is_read_back(pairs, with_speakers):
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for speaker, label in pairs:
            place = root / (speaker if with_speakers else "") / label
            place.mkdir(parents=True, exist_ok=True)
            (place / "clip.wav").touch()
        read = folder.load("corpus", root)
    written = {(speaker if with_speakers else "corpus", label) for speaker, label in pairs}
    written = {tuple(unicodedata.normalize("NFC", text) for text in pair) for pair in written if pair[1].strip()}
    assert {(clip.speaker, clip.native_label) for clip in read.clips} == written
    assert all(clip.label in (to_vocabulary(clip.native_label), plain(clip.native_label)) for clip in read.clips)


def labels_of(corpus) -> dict[str, int]:
    return {label: sum(clip.label == label for clip in corpus.clips) for label in corpus.labels}


def test_recordings_are_known_by_their_bytes_where_their_names_say_nothing(tmp_path):
    for name in ("calm/1.wav", "upset/PTT-20240101-WA0001", "sad/1.xyz", "angry/1.aifc", "bored/1.SND"):
        write_noise(tmp_path / "x.wav", 1)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / "x.wav").rename(tmp_path / name)
    (tmp_path / "calm" / "notes").write_text("not a recording")
    corpus = folder.load("me", tmp_path)
    assert labels_of(corpus) == {"anger": 1, "boredom": 1, "calm": 1, "sadness": 1, "upset": 1}
    assert corpus.account.remarks == [
        "1 file is no recording: 1 without a suffix",
        "angry is read as the label anger, bored as boredom, sad as sadness",
    ]


def test_what_is_no_whole_recording_is_left_out_by_name(tmp_path):
    write_noise(tmp_path / "calm" / "1.wav", 1)
    write_noise(tmp_path / "upset" / "1.wav", 2)
    for name in ("sad/1.wav.crdownload", "sad/.2.wav.icloud", "angry/3.ulaw"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"RIFF")
    account = folder.load("me", tmp_path).account
    assert set(account.left_out) == {"sad/1.wav.crdownload", "sad/.2.wav.icloud", "angry/3.ulaw"}
    assert account.empty_labels == {"sadness": "sad/", "anger": "angry/"}
    assert "no recording of sadness: sad/ holds none" in account.lines()


def test_an_empty_folder_names_a_label_without_a_clip(tmp_path):
    write_noise(tmp_path / "calm" / "1.wav", 1)
    (tmp_path / "sad").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "@eaDir" / "calm").mkdir(parents=True)
    assert folder.load("me", tmp_path).account.empty_labels == {"sadness": "sad/"}
    assert folder.label_folders(tmp_path) == {"calm": "calm", "sadness": "sad"}


def test_links_are_followed_and_one_to_nowhere_is_missing(tmp_path):
    write_noise(tmp_path / "elsewhere" / "1.wav", 3)
    root = tmp_path / "root"
    for label in ("calm", "upset", "angry"):
        write_noise(root / label / "1.wav", len(label))
    (root / "sad").symlink_to("../elsewhere")
    (root / "angry" / "2.wav").symlink_to("../../.git/annex/objects/x.wav")
    (root / "calm" / "loop").symlink_to("..")
    (root / "bored").symlink_to("../nowhere")
    corpus = folder.load("me", root)
    assert corpus.account.left_out == {"bored": "a link to ../nowhere, which is not there"}
    assert labels_of(corpus) == {"anger": 2, "calm": 1, "sadness": 1, "upset": 1}
    findings = check_corpus(corpus).of_kind("missing")
    assert [finding.clip_id for finding in findings] == ["angry/2.wav"]
    assert "git annex get" in findings[0].detail


def test_two_labels_that_the_vocabulary_takes_for_one_stay_two(tmp_path):
    for seed, name in enumerate(("happy/1.wav", "joy/1.wav", "fear/1.wav", "anxiety/1.wav", "sad/1.wav")):
        write_noise(tmp_path / name, seed)
    corpus = folder.load("me", tmp_path)
    assert corpus.labels == ["anxiety", "fear", "happy", "joy", "sadness"]
    *both, read = corpus.account.remarks
    assert len(both) == 2 and read == "sad is read as the label sadness"
    assert "happy and joy would both be read as happiness" in both[-1] + both[0]


def test_labels_that_differ_in_case_or_hyphens_are_one_and_that_is_told(tmp_path):
    for seed, name in enumerate(("up set/1.wav", "Up-set/2.wav", "calm/1.wav")):
        write_noise(tmp_path / name, seed)
    corpus = folder.load("me", tmp_path)
    assert labels_of(corpus) == {"calm": 1, "up_set": 2}
    assert corpus.account.remarks == ["Up-set and up set are taken as one label, up_set"]


def test_a_label_written_in_two_ways_of_unicode_is_one(tmp_path):
    for form in ("NFC", "NFD"):
        write_noise(tmp_path / unicodedata.normalize(form, "fröhlich") / "1.wav", len(form))
    write_noise(tmp_path / "sad" / "1.wav", 9)
    corpus = folder.load("me", tmp_path)
    assert labels_of(corpus) == {unicodedata.normalize("NFC", "fröhlich"): 2, "sadness": 1}


def test_labels_of_odd_names(tmp_path):
    for seed, name in enumerate(("---/1.wav", " /1.wav", "😀/1.wav", "[calm]/1.wav")):
        write_noise(tmp_path / name, seed)
    corpus = folder.load("me", tmp_path)
    assert labels_of(corpus) == {"---": 1, "[calm]": 1, "😀": 1}
    assert list(corpus.account.left_out) == [" /"]


def test_a_name_that_is_not_utf8_is_read_and_can_be_printed(tmp_path):
    write_noise(tmp_path / "calm" / "1.wav", 1)
    os.rename(os.fsencode(tmp_path / "calm" / "1.wav"), os.fsencode(tmp_path / "calm") + b"/w\xfctend.wav")
    write_noise(tmp_path / "upset" / "1.wav", 2)
    os.rename(os.fsencode(tmp_path / "upset"), os.fsencode(tmp_path) + b"/b\xf6se")
    corpus = folder.load("me", tmp_path)
    assert [clip.id.encode() for clip in corpus.clips] == [b"b\\xf6se/1.wav", b"calm/w\\xfctend.wav"]
    assert corpus.labels == ["b\\xf6se", "calm"]
    assert check_corpus(corpus).findings == ()


@pytest.mark.parametrize("speaker", ["", "ann/"])
def test_folders_called_as_splits_are_splits(tmp_path, speaker):
    for seed, name in enumerate(("train", "dev", "test")):
        write_noise(tmp_path / f"{name}/{speaker}calm/1.wav", seed)
    corpus = folder.load("me", tmp_path)
    assert {clip.split for clip in corpus.clips} == {"train", "validation", "test"}
    assert corpus.speakers == [speaker[:-1] or "me"]
    assert corpus.labels == ["calm"]


def test_metadata_names_labels_and_what_it_does_not_list_is_told(tmp_path):
    for split, seed in (("train", 1), ("test", 2)):
        write_noise(tmp_path / split / "1.wav", seed)
        (tmp_path / split / "metadata.csv").write_text("file_name,label\n1.wav,sad\n")
    write_noise(tmp_path / "train" / "2.wav", 3)
    corpus = load_clips(tmp_path)
    assert [(clip.id, clip.label, clip.split) for clip in corpus.clips] == [
        ("test/1.wav", "sadness", "test"),
        ("train/1.wav", "sadness", "train"),
    ]
    assert corpus.account.left_out == {"train/2.wav": "no table lists it"}


def test_an_empty_folder_of_a_speaker_and_one_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    for label in ("calm", "sad"):
        write_noise(tmp_path / "anna" / label / "1.wav", len(label))
    (tmp_path / "bob").mkdir()
    closed = tmp_path / "carl" / "calm"
    closed.mkdir(parents=True)
    scandir = os.scandir

    def refuse(folder):
        if Path(folder) == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # whoever runs the tests may be allowed everything
    corpus = folder.load("us", tmp_path)
    assert corpus.speakers == ["anna"]
    assert corpus.account.left_out == {
        "bob/": "no recording in it",
        "carl/calm": "a folder that cannot be read (Permission denied)",
    }
