import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.savee import build_savee
from voicefit.corpora import savee
from voicefit.errors import VoicefitError

EXPECTED = [
    ("a01", "anger", "a"),
    ("d15", "disgust", "d"),
    ("f01", "fear", "f"),
    ("h01", "happiness", "h"),
    ("n30", "neutral", "n"),
    ("sa01", "sadness", "sa"),
    ("su01", "surprise", "su"),
]


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@pytest.mark.parametrize("given", ["", "AudioData"])
@pytest.mark.parametrize("flat", [None, "_", ""])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_layout_has_the_same_clips(tmp_path, given, flat, suffix):
    build_savee(tmp_path / "AudioData", flat=flat, suffix=suffix)
    corpus = savee.load("mine", tmp_path / given)
    assert rows(corpus) == [
        (f"{speaker}/{stem}{suffix}", speaker, label, native)
        for speaker in ("DC", "KL")
        for stem, label, native in EXPECTED
    ]
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path / "AudioData", savee.INFO)


def test_the_published_counts_of_labels_add_up():
    assert sum(savee.INFO.expected_labels.values()) == savee.INFO.expected_clips


@pytest.mark.parametrize(
    ("stray", "speaker"), [("DC/x01.wav", "DC"), ("DC/KL_a01.wav", "DC"), ("XY_a01.wav", "unknown")]
)
def test_a_file_named_otherwise_is_unlabelled(tmp_path, stray, speaker):
    write_noise(build_savee(tmp_path) / stray, 99)
    (clip,) = (clip for clip in savee.load("mine", tmp_path).clips if clip.label is None)
    assert (clip.id, clip.speaker, clip.native_label) == (stray, speaker, "")


def test_stray_files_and_folders_are_passed_over(tmp_path):
    build_savee(tmp_path)
    for stray in ("DC/.DS_Store", "DC/._a01.wav", "DC/a01.avi", "._DC_a01.wav", "AudioVisualClip/DC/a01.wav"):
        (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stray).write_bytes(b"\0")
    assert len(savee.load("mine", tmp_path).clips) == 14


def test_a_clip_in_both_layouts_is_refused(tmp_path):
    build_savee(tmp_path)
    build_savee(tmp_path, flat="_")
    with pytest.raises(VoicefitError, match="14 clips are listed twice, the first is DC/a01"):
        savee.load("mine", tmp_path)


def test_a_wrong_root_is_refused(tmp_path):
    (tmp_path / "DC").mkdir()
    with pytest.raises(VoicefitError, match=r"expected DC/, JE/, JK/ and KL/ with files named like a01\.wav"):
        savee.load("mine", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        savee.load("mine", tmp_path / "absent")


@given(
    speaker=st.sampled_from(savee.SPEAKERS),
    separator=st.sampled_from(["/", "_", ""]),
    letters=st.sampled_from(sorted(savee.EMOTIONS)),
    number=st.integers(0, 99),
)
def test_paths_are_parsed_part_by_part(speaker, separator, letters, number):
    path = f"{speaker}{separator}{letters}{number:02}.wav"
    assert savee.parse_path(path) == (speaker, letters, f"{speaker}/{letters}{number:02}.wav")


@given(st.text())
def test_other_paths_are_never_an_error(path):
    assert savee.parse_path(path) is None
