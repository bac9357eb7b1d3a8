import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.crema_d import build_crema_d
from voicefit.corpora import crema_d
from voicefit.errors import VoicefitError

ACTED = [
    ("1001_DFA_ANG_XX", "1001", "anger", "ANG"),
    ("1001_IEO_DIS_LO", "1001", "disgust", "DIS"),
    ("1001_IEO_FEA_MD", "1001", "fear", "FEA"),
    ("1001_IEO_HAP_HI", "1001", "happiness", "HAP"),
    ("1040_ITH_NEU_XX", "1040", "neutral", "NEU"),
    ("1040_ITH_SAD_X", "1040", "sadness", "SAD"),
]
PERCEIVED = [
    ("1001_DFA_ANG_XX", "1001", "anger", "A"),
    ("1001_IEO_DIS_LO", "1001", "neutral", "N"),
    ("1001_IEO_FEA_MD", "1001", None, ""),
    ("1001_IEO_HAP_HI", "1001", "happiness", "H"),
    ("1040_ITH_NEU_XX", "1040", "sadness", "S"),
    ("1040_ITH_SAD_X", "1040", "fear", "F"),
]
BOTH = pytest.mark.parametrize(("load", "expected"), [(crema_d.load, ACTED), (crema_d.load_perceived, PERCEIVED)])
TABLE = "processedResults/summaryTable.csv"


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@BOTH
@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
@pytest.mark.parametrize("given", ["", "CREMA-D", "CREMA-D/AudioWAV"])
def test_every_folder_that_may_be_given_has_the_same_clips(tmp_path, load, expected, suffix, given):
    build_crema_d(tmp_path / "CREMA-D", suffix=suffix)
    corpus = load("mine", tmp_path / given)
    assert rows(corpus) == [(f"AudioWAV/{stem}{suffix}", *rest) for stem, *rest in expected]
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert (corpus.name, corpus.root) == ("mine", tmp_path / "CREMA-D")


def test_the_votes_may_lie_where_the_newer_release_has_them(tmp_path):
    build_crema_d(tmp_path, table="data/InfoAndStats/processedResults")
    assert [row[2:] for row in rows(crema_d.load_perceived("mine", tmp_path))] == [row[2:] for row in PERCEIVED]


def test_the_readers_differ_in_name_alone():
    assert [(r.info.name, r.info.expected_clips, r.info.expected_speakers) for r in crema_d.READERS] == [
        ("crema-d", 7442, 91),
        ("crema-d-perceived", 7442, 91),
    ]


def test_the_published_counts_of_labels_add_up():
    assert sum(crema_d.INFO.expected_labels.values()) == crema_d.INFO.expected_clips
    undecided = 644
    assert sum(crema_d.PERCEIVED.expected_labels.values()) == crema_d.PERCEIVED.expected_clips - undecided


def test_the_acted_emotion_needs_no_table(tmp_path):
    build_crema_d(tmp_path, table=None)
    assert len(crema_d.load("mine", tmp_path).clips) == 6
    with pytest.raises(VoicefitError, match=rf"{tmp_path}/{TABLE}: no such file"):
        crema_d.load_perceived("mine", tmp_path)


def test_a_clip_with_a_vote_and_no_file_stays(tmp_path):
    (build_crema_d(tmp_path) / "AudioWAV" / "1001_DFA_ANG_XX.wav").unlink()
    (absent,) = (clip for clip in crema_d.load_perceived("mine", tmp_path).clips if not clip.path.exists())
    assert (absent.id, absent.speaker, absent.label) == ("AudioWAV/1001_DFA_ANG_XX.wav", "1001", "anger")


def test_a_file_without_vote_is_unlabelled(tmp_path):
    write_noise(build_crema_d(tmp_path) / "AudioWAV" / "1002_DFA_ANG_XX.wav", 99)
    (clip,) = (clip for clip in crema_d.load_perceived("mine", tmp_path).clips if clip.speaker == "1002")
    assert (clip.id, clip.label, clip.native_label) == ("AudioWAV/1002_DFA_ANG_XX.wav", None, "")


@pytest.mark.parametrize("load", [crema_d.load, crema_d.load_perceived])
def test_a_file_named_otherwise_is_unlabelled(tmp_path, load):
    write_noise(build_crema_d(tmp_path) / "AudioWAV" / "take two.wav", 99)
    (clip,) = (clip for clip in load("mine", tmp_path).clips if clip.speaker == "unknown")
    assert (clip.id, clip.label) == ("AudioWAV/take two.wav", None)


@BOTH
def test_stray_files_are_passed_over(tmp_path, load, expected):
    build_crema_d(tmp_path)
    for stray in ("AudioWAV/.DS_Store", "AudioWAV/._1001_DFA_ANG_XX.wav", "AudioWAV/notes.txt"):
        (tmp_path / stray).write_bytes(b"\0")
    assert len(load("mine", tmp_path).clips) == len(expected)


@pytest.mark.parametrize("load", [crema_d.load, crema_d.load_perceived])
def test_a_wrong_root_is_refused(tmp_path, load):
    (tmp_path / "AudioWAV").mkdir()
    with pytest.raises(VoicefitError, match=r"expected AudioWAV/ with files named like 1001_DFA_ANG_XX\.wav here"):
        load("mine", tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        load("mine", tmp_path / "absent")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable"),
        (b"\xff\xfe\x00garbage", "not readable"),
        (b"FileName,FaceVote\n1001_DFA_ANG_XX,A\n", "no column VoiceVote"),
        (b"FileName,VoiceVote\n../../secret,A\n", "'../../secret' is no name of a clip"),
        (b"FileName,VoiceVote\n/etc/secret,A\n", "'/etc/secret' is no name of a clip"),
        (b"FileName,VoiceVote\n..,A\n", "'..' is no name of a clip"),
        (b"FileName,VoiceVote\n,A\n", "'' is no name of a clip"),
        (b"FileName,VoiceVote\n1001_DFA_ANG_XX,A\n1001_DFA_ANG_XX,N\n", "two votes for 1001_DFA_ANG_XX, A and N"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, content, message):
    (build_crema_d(tmp_path) / TABLE).write_bytes(content)
    with pytest.raises(VoicefitError, match=message):
        crema_d.load_perceived("mine", tmp_path)


@given(
    actor=st.integers(1000, 1999),
    sentence=st.from_regex(r"\A[A-Z]{3}\Z"),
    code=st.sampled_from(sorted(crema_d.EMOTIONS)),
    level=st.sampled_from(["LO", "MD", "HI", "XX", "X"]),
)
def test_names_are_parsed_field_by_field(actor, sentence, code, level):
    assert crema_d.parse_name(f"{actor}_{sentence}_{code}_{level}") == (str(actor), code)


@given(st.text().filter(lambda stem: stem.count("_") != 3))  # a name of the corpus has four fields
def test_other_names_are_never_an_error(stem):
    assert crema_d.parse_name(stem) is None


def test_a_table_of_other_clips_is_refused(tmp_path):
    (build_crema_d(tmp_path) / TABLE).write_text("FileName,VoiceVote\n1002_DFA_ANG_XX,A\n1003_DFA_ANG_XX\n")
    with pytest.raises(VoicefitError, match=r"AudioWAV: no clip that summaryTable\.csv lists is here"):
        crema_d.load_perceived("mine", tmp_path)
