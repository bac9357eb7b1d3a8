import pytest

from support.layouts import NEMO_EMOTIONS, build_nemo, write_noise
from voicefit.corpora import nemo
from voicefit.errors import VoicefitError


@pytest.mark.parametrize("suffix", [".wav", ".opus"])
def test_every_clip_is_read_whatever_its_format(tmp_path, suffix):
    corpus = nemo.load("n", build_nemo(tmp_path, suffix=suffix))
    assert [(clip.id, clip.speaker, clip.native_label) for clip in corpus.clips] == [
        (f"samples/{speaker}_{emotion}_1{suffix}", speaker, emotion)
        for speaker in ("EB0", "KS0")
        for emotion in NEMO_EMOTIONS
    ]
    assert corpus.labels == ["anger", "fear", "happiness", "neutral", "sadness", "surprise"]
    assert all(clip.path.is_file() for clip in corpus.clips)


def test_a_listed_clip_without_file_stays(tmp_path):
    (build_nemo(tmp_path) / "samples" / "EB0_fear_1.wav").unlink()
    corpus = nemo.load("n", tmp_path)
    (absent,) = (clip for clip in corpus.clips if not clip.path.exists())
    assert (absent.id, absent.speaker, absent.label) == ("samples/EB0_fear_1.wav", "EB0", "fear")


def test_a_file_that_is_not_listed_is_unlabelled(tmp_path):
    write_noise(build_nemo(tmp_path) / "samples" / "XY0_fear_2.wav", 99)
    (unlabelled,) = (clip for clip in nemo.load("n", tmp_path).clips if clip.label is None)
    assert (unlabelled.id, unlabelled.speaker, unlabelled.native_label) == (
        "samples/XY0_fear_2.wav",
        "XY0",
        "",
    )


def test_a_second_format_of_a_clip_is_reported_as_unlabelled(tmp_path):
    write_noise(build_nemo(tmp_path, suffix=".flac") / "samples" / "EB0_fear_1.wav", 99)
    corpus = nemo.load("n", tmp_path)
    assert [clip.id for clip in corpus.clips if clip.label is None] == ["samples/EB0_fear_1.wav"]


def test_a_path_in_the_table_cannot_leave_the_samples(tmp_path):
    table = build_nemo(tmp_path) / "data.tsv"
    table.write_text(table.read_text().replace("EB0_fear_1.wav", "../../secret.wav"))
    assert all(clip.path.parent == tmp_path / "samples" for clip in nemo.load("n", tmp_path).clips)


def test_a_wrong_folder_is_refused(tmp_path):
    (tmp_path / "samples").mkdir()
    with pytest.raises(VoicefitError, match=r"expected data\.tsv and samples/ here"):
        nemo.load("n", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable"),
        (b"\xff\xfe\x00garbage", "not readable"),
        (b"file_id\temotion\nx.wav\tfear\n", "no column speaker_id"),
    ],
)
def test_a_broken_table_is_refused(tmp_path, content, message):
    (build_nemo(tmp_path) / "data.tsv").write_bytes(content)
    with pytest.raises(VoicefitError, match=message):
        nemo.load("n", tmp_path)
