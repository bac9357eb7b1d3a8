import shutil
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.iemocap import CODES, build_iemocap, format_block
from voicefit.corpora import iemocap
from voicefit.errors import VoicefitError

READERS = {reader.info.name: reader for reader in iemocap.READERS}
LABELS = ["anger", "disgust", "excitement", "fear", "frustration", "happiness", "neutral", "other", "sadness"]
LABELS += ["surprise", None]
DIALOGUES = {"Session1/sentences/wav/Ses01F_impro01": "Ses01", "Session1/sentences/wav/Ses01M_script01_1b": "Ses01"}
DIALOGUES |= {path.replace("1/", "2/").replace("s01", "s02"): "Ses02" for path in DIALOGUES}


def read(name, root):
    return READERS[name].load("mine", root)


@pytest.mark.parametrize("outer", ["IEMOCAP_full_release", "", "unpacked here"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_utterance_is_read_with_label_speaker_and_ratings(tmp_path, outer, suffix):
    corpus = read("iemocap", build_iemocap(tmp_path, outer=outer, suffix=suffix))
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == sorted(
        (f"{folder}/{folder.split('/')[-1]}_{letter}{index:03}{suffix}", session + letter, label, code)
        for folder, session in DIALOGUES.items()
        for index, (letter, label, code) in enumerate(zip("FMFMFMFMFMF", LABELS, CODES, strict=True))
    )
    assert all((clip.valence, clip.arousal, clip.dominance) == (2.5, 4.0, 3.5) for clip in corpus.clips)
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert corpus.speakers == ["Ses01F", "Ses01M", "Ses02F", "Ses02M"]
    assert (corpus.name, corpus.root, corpus.info) == ("mine", tmp_path / outer, iemocap.INFO)


def test_the_folder_named_does_not_change_the_clips(tmp_path):
    above = read("iemocap", build_iemocap(tmp_path))
    assert read("iemocap", tmp_path / "IEMOCAP_full_release") == above


def test_four_classes_join_excitement_to_happiness_and_leave_out_the_rest(tmp_path):
    write_noise(build_iemocap(tmp_path, 1, "") / "Session1/sentences/wav/Ses01F_impro01/unlisted.wav", 99)
    corpus = read("iemocap-4", tmp_path)
    assert Counter((clip.native_label, clip.label) for clip in corpus.clips) == {
        ("ang", "anger"): 2,
        ("exc", "happiness"): 2,
        ("hap", "happiness"): 2,
        ("neu", "neutral"): 2,
        ("sad", "sadness"): 2,
    }
    assert corpus.info is iemocap.INFO_FOUR


def test_the_publications_classes_include_disagreement(tmp_path):
    write_noise(build_iemocap(tmp_path, 1, "") / "Session1/sentences/wav/Ses01F_impro01/unlisted.wav", 99)
    corpus = read("iemocap-all", tmp_path)
    assert {clip.label for clip in corpus.clips if clip.native_label == "xxx"} == {"undecided"}
    assert {clip.label for clip in corpus.clips if clip.native_label == "oth"} == {"other"}
    assert len(corpus.labels) == 11
    assert [clip.native_label for clip in corpus.clips if clip.label is None] == [""]


def test_the_published_counts_add_up():
    assert sum(iemocap.INFO.expected_labels.values()) + 2507 == iemocap.INFO.expected_clips == 10_039
    assert sum(iemocap.INFO_FOUR.expected_labels.values()) == iemocap.INFO_FOUR.expected_clips == 5531
    assert sum(iemocap.INFO_ALL.expected_labels.values()) == iemocap.INFO_ALL.expected_clips == 10_039
    assert {iemocap.EMOTIONS[code] for code in CODES} == {*iemocap.INFO.expected_labels, None}


def test_a_listed_utterance_without_file_stays(tmp_path):
    name = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000"
    (build_iemocap(tmp_path, outer="", suffix=".flac") / f"{name}.flac").unlink()
    (absent,) = (clip for clip in read("iemocap", tmp_path).clips if not clip.path.exists())
    assert (absent.id, absent.path, absent.label) == (f"{name}.wav", tmp_path / f"{name}.wav", "anger")


def test_a_file_that_is_not_listed_is_unlabelled_and_stray_files_are_not_read(tmp_path):
    dialogue = build_iemocap(tmp_path, outer="") / "Session2/sentences/wav/Ses02F_impro01"
    write_noise(dialogue / "Ses02F_impro01_M099.wav", 99)
    write_noise(dialogue / "noise.wav", 100)
    (dialogue / "._Ses02F_impro01_F000.wav").write_bytes(b"Mac")
    (dialogue / ".DS_Store").write_bytes(b"Mac")
    (tmp_path / "Session2/dialog/EmoEvaluation/._Ses02F_impro01.txt").write_bytes(b"[Mac")
    corpus = read("iemocap", tmp_path)
    unlisted = [clip for clip in corpus.clips if not clip.native_label]
    assert [(clip.id.split("/")[-1], clip.speaker, clip.label, clip.valence) for clip in unlisted] == [
        ("Ses02F_impro01_M099.wav", "Ses02M", None, None),
        ("noise.wav", "unknown", None, None),
    ]
    assert len(corpus.clips) == 4 * 11 + 2


def test_a_second_format_of_an_utterance_is_unlabelled(tmp_path):
    wav = build_iemocap(tmp_path, 1, "") / "Session1/sentences/wav/Ses01F_impro01"
    write_noise(wav / "Ses01F_impro01_F000.flac", 99)
    unlisted = [clip.id for clip in read("iemocap", tmp_path).clips if not clip.native_label]
    assert unlisted == ["Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"]


@pytest.mark.parametrize("name", list(READERS))
@pytest.mark.parametrize("lost", ["sentences/wav", "sentences", "dialog/EmoEvaluation", "dialog"])
def test_a_session_that_is_half_unpacked_is_refused(tmp_path, name, lost):
    shutil.rmtree(build_iemocap(tmp_path, outer="") / "Session2" / lost)
    with pytest.raises(VoicefitError, match=rf"Session2/{lost}[/\w]*: no such folder; was all of Session2"):
        read(name, tmp_path)


def test_a_session_without_evaluation_files_is_refused(tmp_path):
    for path in (build_iemocap(tmp_path, outer="") / "Session1/dialog/EmoEvaluation").glob("*.txt"):
        path.unlink()
    with pytest.raises(VoicefitError, match=r"Session1/dialog/EmoEvaluation: expected files named like"):
        read("iemocap", tmp_path)


def test_a_session_without_any_listed_audio_is_refused(tmp_path):
    wav = build_iemocap(tmp_path, outer="") / "Session1/sentences/wav"
    shutil.rmtree(wav)
    write_noise(wav / "Ses01F_impro01" / "other.wav", 99)
    with pytest.raises(VoicefitError, match=r"wav/Ses01F_impro01/Ses01F_impro01_F000\.wav: no such file, nor any"):
        read("iemocap", tmp_path)


def test_a_wrong_folder_is_refused(tmp_path):
    (tmp_path / "session1").mkdir()
    with pytest.raises(VoicefitError, match=r"expected Session1/ … Session5/, each with dialog/EmoEvaluation/"):
        read("iemocap", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no line of the form"),
        (b"\xff\xfe[\x00", "no line of the form"),
        (b"[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\n", r"line 1: expected \[start - end\] NAME"),
        (b"\n[6.29 - 8.23]\tSes01F_impro01_F000\tnot\t[2.5, 2.5, 2.5]\n", "line 2: expected"),
        (b"[6.29 - 8.23]\t../../Ses01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\n", "line 1: expected"),
        (b"[6.29 - 8.23]\t/Ses01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\n", "line 1: expected"),
    ],
)
def test_a_damaged_evaluation_is_refused(tmp_path, content, message):
    path = build_iemocap(tmp_path, outer="") / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    path.write_bytes(content)
    with pytest.raises(VoicefitError, match=rf"Ses01F_impro01\.txt.*{message}"):
        read("iemocap", tmp_path)


def test_an_utterance_listed_twice_is_refused(tmp_path):
    folder = build_iemocap(tmp_path, outer="") / "Session1/dialog/EmoEvaluation"
    shutil.copy(folder / "Ses01F_impro01.txt", folder / "Ses01F_impro01 copy.txt")
    with pytest.raises(VoicefitError, match="11 clips are listed twice"):
        read("iemocap", tmp_path)


RATINGS = st.floats(0, 5).map(lambda value: round(value, 4))


@given(
    dialogue=st.from_regex(r"Ses0[1-5][FM]_(impro0[1-8]|script0[1-3]_[1-3]b?)", fullmatch=True),
    turn=st.from_regex(r"[FM][0-9]{3}", fullmatch=True),
    code=st.sampled_from(CODES),
    ratings=st.tuples(RATINGS, RATINGS, RATINGS),
)
def test_a_line_is_parsed_field_by_field(dialogue, turn, code, ratings):
    name = f"{dialogue}_{turn}"
    first, *others = format_block(name, code, *ratings).splitlines(keepends=True)
    assert iemocap.parse_line(first) == (name, code, *ratings)
    assert [iemocap.parse_line(line) for line in others] == [None] * len(others)
    assert iemocap.parse_speaker(name) == dialogue[:5] + turn[0]


@given(st.one_of(st.text(), st.text("[]0123456789.- \tSesFM_aneuxg,", max_size=60)))
def test_any_text_is_an_utterance_or_none(text):
    utterance = iemocap.parse_line(text)
    assert utterance is None or iemocap.parse_speaker(utterance.name)
    assert iemocap.parse_speaker(text) is None or len(iemocap.parse_speaker(text)) == 6
