import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import build_ravdess, write_noise
from voicefit.corpora import load_corpus, ravdess
from voicefit.errors import VoicefitError

LABELS = ["neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_speech_clip_is_read_and_no_song(tmp_path, suffix):
    corpus = ravdess.load("mine", build_ravdess(tmp_path, suffix=suffix))
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == [
        (f"Actor_{actor}/03-01-0{code}-01-01-01-{actor}{suffix}", actor, label, f"0{code}")
        for actor in ("01", "02")
        for code, label in enumerate(LABELS, start=1)
    ]
    assert all(clip.path.is_file() and clip.start == 0.0 and clip.end is None for clip in corpus.clips)
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path, ravdess.INFO)


def test_the_layout_of_the_whole_archive_gives_the_same_ids(tmp_path):
    plain = ravdess.load("r", build_ravdess(tmp_path / "plain"))
    archive = tmp_path / "archive"
    build_ravdess(archive / "Audio_Speech_Actors_01-24")
    song = archive / "Audio_Song_Actors_01-24" / "Actor_01" / "03-02-01-01-01-01-01.wav"
    write_noise(song, 99)
    nested = ravdess.load("r", archive)
    assert [clip.id for clip in nested.clips] == [clip.id for clip in plain.clips]
    assert nested.root == archive / "Audio_Speech_Actors_01-24"


def test_a_file_named_otherwise_is_unlabelled(tmp_path):
    write_noise(build_ravdess(tmp_path) / "Actor_02" / "take two.wav", 99)
    (unlabelled,) = (clip for clip in ravdess.load("r", tmp_path).clips if clip.label is None)
    assert (unlabelled.id, unlabelled.speaker, unlabelled.native_label) == ("Actor_02/take two.wav", "02", "")


@pytest.mark.parametrize(
    ("name", "labels"),
    [("ravdess-intensity", {"01": "normal", "02": "strong"}), ("ravdess-statement", {"01": "kids", "02": "dogs"})],
)
def test_a_name_of_the_registry_reads_another_label_of_the_same_clips(tmp_path, name, labels):
    root = build_ravdess(tmp_path)
    write_noise(root / "Actor_01" / "03-01-05-02-02-01-01.wav", 99)
    corpus, emotions = load_corpus(name, root), load_corpus("ravdess", root)
    assert corpus.labels == sorted(labels.values())
    assert [(clip.id, clip.speaker) for clip in corpus.clips] == [(clip.id, clip.speaker) for clip in emotions.clips]
    place = 3 if name == "ravdess-intensity" else 4
    assert all(clip.native_label == clip.path.stem.split("-")[place] for clip in corpus.clips)
    assert all(clip.label == labels[clip.native_label] for clip in corpus.clips)


def test_a_wrong_folder_is_refused(tmp_path):
    write_noise(tmp_path / "Actor_01" / "whatever.wav", 0)
    with pytest.raises(VoicefitError, match="expected Actor_01"):
        ravdess.load("r", tmp_path)


@given(
    channel=st.sampled_from(["01", "02"]),
    emotion=st.sampled_from(sorted(ravdess.EMOTIONS)),
    actor=st.integers(1, 24),
)
def test_names_are_parsed_field_by_field(channel, emotion, actor):
    fields = ravdess.parse_name(f"03-{channel}-{emotion}-01-02-01-{actor:02}")
    assert fields == (channel, emotion, "01", "02", f"{actor:02}")


@given(st.text())
def test_other_names_are_never_an_error(stem):
    fields = ravdess.parse_name(stem)
    assert fields is None or fields.emotion in ravdess.EMOTIONS


@pytest.mark.parametrize("stem", ["02-01-01-01-01-01-01", "03-01-09-01-01-01-01", "03-01-01-01-01-01", ""])
def test_other_modalities_and_codes_are_not_speech_clips(stem):
    assert ravdess.parse_name(stem) is None
