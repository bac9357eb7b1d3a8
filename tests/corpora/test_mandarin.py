import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.mandarin import build_mandarin
from voicefit.corpora import mandarin
from voicefit.errors import VoicefitError

READERS = {reader.info.name: reader for reader in mandarin.READERS}


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label, clip.split) for clip in corpus.clips]


@pytest.mark.parametrize("given", ["", "man_aff_spch", "man_aff_spch/data"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_folder_that_may_be_given_has_the_same_clips(tmp_path, given, suffix):
    corpus = mandarin.load("mine", build_mandarin(tmp_path, suffix=suffix) / given)
    assert rows(corpus) == [
        (f"{speaker}/{path}{suffix}", speaker, label, path.split("/")[0], None)
        for speaker in ("001", "068")
        for path, label in [
            ("anger/phrase/1011", "anger"),
            ("anger/utterance/2011", "anger"),
            ("elation/phrase/1011", "happiness"),
            ("elation/utterance/2011", "happiness"),
            ("neutral/paragraph/301", "neutral"),
            ("neutral/phrase/1011", "neutral"),
            ("neutral/utterance/2011", "neutral"),
            ("panic/phrase/1011", "fear"),
            ("panic/utterance/2011", "fear"),
            ("sadness/phrase/1011", "sadness"),
            ("sadness/utterance/2011", "sadness"),
        ]
    ]
    assert all(clip.path.is_file() for clip in corpus.clips)
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path / "man_aff_spch" / "data", mandarin.INFO)


@pytest.mark.parametrize("plural", [True, False])
@pytest.mark.parametrize(("kind", "folder", "number"), [("phrase", "phrase", 5), ("sentence", "utterance", 5)])
def test_each_kind_can_be_read_alone(tmp_path, plural, kind, folder, number):
    reader = READERS[f"mandarin-{kind}s"]
    corpus = reader.load("mine", build_mandarin(tmp_path, speakers=("001",), plural=plural))
    s = "s" if plural else ""
    assert [clip.id.split("/")[2] for clip in corpus.clips] == [f"{folder}{s}"] * number
    assert corpus.labels == ["anger", "fear", "happiness", "neutral", "sadness"]
    assert corpus.info is reader.info


def test_paragraphs_are_neutral(tmp_path):
    corpus = READERS["mandarin-paragraphs"].load("mine", build_mandarin(tmp_path))
    assert rows(corpus) == [
        ("001/neutral/paragraph/301.wav", "001", "neutral", "neutral", None),
        ("068/neutral/paragraph/301.wav", "068", "neutral", "neutral", None),
    ]


def test_the_folder_of_the_sentences_may_be_called_so(tmp_path):
    speaker = build_mandarin(tmp_path, speakers=("001",)) / "man_aff_spch" / "data" / "001"
    for emotion in speaker.iterdir():
        (emotion / "utterance").rename(emotion / "Sentences")
    corpus = READERS["mandarin-sentences"].load("mine", tmp_path)
    assert corpus.clips[0].id == "001/anger/Sentences/2011.wav"
    assert len(corpus.clips) == 5


def test_the_published_counts_of_labels_add_up():
    for info in (reader.info for reader in mandarin.READERS):
        assert not info.expected_labels or sum(info.expected_labels.values()) == info.expected_clips


@pytest.mark.parametrize("stray", ["001/anger/words/1.wav", "001/joy/phrase/1.wav"])
def test_a_file_in_another_folder_is_unlabelled(tmp_path, stray):
    write_noise(build_mandarin(tmp_path) / "man_aff_spch" / "data" / stray, 99)
    for reader in mandarin.READERS:
        (clip,) = (clip for clip in reader.load("mine", tmp_path).clips if clip.label is None)
        assert (clip.id, clip.speaker, clip.native_label) == (stray, "001", "")


def test_stray_files_are_passed_over(tmp_path):
    data = build_mandarin(tmp_path) / "man_aff_spch" / "data"
    before = rows(mandarin.load("mine", tmp_path))
    for stray in ("001/.DS_Store", "001/anger/phrase/._1011.wav", "001/anger/phrase/list.txt", "notes.wav"):
        (data / stray).write_bytes(b"\0")
    assert rows(mandarin.load("mine", tmp_path)) == before


def test_a_half_unpacked_archive_has_the_clips_that_are_there(tmp_path):
    shutil.rmtree(build_mandarin(tmp_path) / "man_aff_spch" / "data" / "001")
    assert mandarin.load("mine", tmp_path).speakers == ["068"]


def test_a_wrong_root_is_refused(tmp_path):
    (tmp_path / "data" / "001" / "anger" / "phrase").mkdir(parents=True)
    with pytest.raises(VoicefitError, match="expected data/ with audio in folders like 001/neutral/phrase/"):
        mandarin.load("mine", tmp_path)
    write_noise(tmp_path / "data" / "001" / "anger" / "phrase" / "1011.wav", 0)
    with pytest.raises(VoicefitError, match="001/neutral/utterance/"):
        READERS["mandarin-sentences"].load("mine", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        mandarin.load("mine", tmp_path / "absent")


@given(
    speaker=st.from_regex(r"\A0[0-9]{2}\Z"),
    emotion=st.sampled_from(sorted(mandarin.EMOTIONS)),
    kind=st.sampled_from(sorted(mandarin.KINDS)),
    plural=st.sampled_from(["", "s"]),
)
def test_paths_are_parsed_part_by_part(speaker, emotion, kind, plural):
    path = f"{speaker}/{emotion}/{kind}{plural}/1011.wav"
    assert mandarin.parse_path(path) == (speaker, emotion, mandarin.KINDS[kind])


@given(st.text())
def test_other_paths_are_never_an_error(path):
    assert mandarin.parse_path(path) is None
