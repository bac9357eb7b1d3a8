import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.msp_improv import KEYS, LETTERS, build_msp_improv, format_block
from voicefit.corpora import msp_improv
from voicefit.errors import VoicefitError

PERCEIVED = ["anger", "happiness", "neutral", "other", "sadness", None]
LAYOUTS = [
    {},
    {"audio": "Audio"},
    {"audio": "Audio", "evaluation": "Evalution.txt"},
    {"evaluation": "Evalution.txt", "outer": "MSP-IMPROV"},
    {"audio": "Audio", "outer": "MSP-IMPROV"},
    {"audio": "Audio", "evaluation": "Audio/Evaluation.txt"},
]


def path_of(key, suffix=".wav"):
    scenario, speaker, kind, _ = key.split("-")
    return f"session{speaker[-1]}/{scenario}/{kind}/MSP-IMPROV-{key}{suffix}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_perceived_emotions_and_ratings(tmp_path, layout):
    corpus = msp_improv.load("mine", build_msp_improv(tmp_path, **layout))
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == sorted(
        (path_of(key), key.split("-")[1], PERCEIVED[index % 6], LETTERS[index % 6]) for index, key in enumerate(KEYS)
    )
    assert all((clip.arousal, clip.valence, clip.dominance) == (3.75, 3.5, None) for clip in corpus.clips)
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert corpus.speakers == ["F01", "F02", "M01"]
    assert (corpus.name, corpus.info) == ("mine", msp_improv.INFO)


@pytest.mark.parametrize("layout", [*LAYOUTS, {"evaluation": ""}, {"audio": "Audio", "evaluation": ""}])
def test_every_layout_gives_the_same_acted_emotions_even_without_label_file(tmp_path, layout):
    corpus = msp_improv.load_acted("mine", build_msp_improv(tmp_path, **layout))
    labels = {"A": "anger", "N": "neutral"}
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == sorted(
        (path_of(key), key.split("-")[1], labels[key[3]], key[3]) for key in KEYS
    )
    assert all(clip.path.is_file() and clip.valence is None and clip.split is None for clip in corpus.clips)
    assert corpus.info is msp_improv.INFO_ACTED


def test_the_folder_of_the_audio_may_be_named_itself(tmp_path):
    above = msp_improv.load("m", build_msp_improv(tmp_path, audio="Audio", suffix=".flac"))
    assert msp_improv.load("m", tmp_path / "Audio") == above
    assert {clip.path.suffix for clip in above.clips} == {".flac"}


def test_the_readers_are_registered_with_the_published_counts():
    assert [reader.info.name for reader in msp_improv.READERS] == ["msp-improv", "msp-improv-acted"]
    assert sum(msp_improv.INFO.expected_labels.values()) + 555 == msp_improv.INFO.expected_clips
    assert not msp_improv.INFO_ACTED.expected_labels


def test_a_listed_clip_without_file_stays(tmp_path):
    absent_id = path_of("S01A-F02-P-FM01")
    (build_msp_improv(tmp_path, audio="Audio") / "Audio" / absent_id).unlink()
    (absent,) = (clip for clip in msp_improv.load("m", tmp_path).clips if not clip.path.exists())
    assert (absent.id, absent.path, absent.speaker) == (absent_id, tmp_path / "Audio" / absent_id, "F02")
    assert absent.native_label == "N"


def test_unlisted_files_are_unlabelled_and_stray_files_are_not_read(tmp_path):
    folder = build_msp_improv(tmp_path) / "session1/S01A/P"
    write_noise(folder / "MSP-IMPROV-S01A-M01-P-MF77.wav", 99)
    write_noise(folder / "take two.wav", 100)
    write_noise(tmp_path / "session1" / "calibration.wav", 101)
    (folder / "._MSP-IMPROV-S01A-F01-P-FM01.wav").write_bytes(b"Mac")
    (folder / ".DS_Store").write_bytes(b"Mac")
    perceived, acted = msp_improv.load("m", tmp_path), msp_improv.load_acted("m", tmp_path)
    unlisted = [clip for clip in perceived.clips if not clip.native_label]
    assert [(clip.id, clip.speaker, clip.label, clip.arousal) for clip in unlisted] == [
        ("session1/S01A/P/MSP-IMPROV-S01A-M01-P-MF77.wav", "M01", None, None),
        ("session1/S01A/P/take two.wav", "unknown", None, None),
    ]
    assert [clip.id for clip in acted.clips if clip.label is None] == ["session1/S01A/P/take two.wav"]
    assert len(perceived.clips) == len(acted.clips) == len(KEYS) + 2


def test_a_missing_label_file_is_refused_and_the_other_reader_named(tmp_path):
    build_msp_improv(tmp_path, audio="Audio", evaluation="")
    message = rf"^{tmp_path}/Evaluation\.txt: no such file, nor Evalution\.txt;.*msp-improv-acted reads"
    with pytest.raises(VoicefitError, match=message):
        msp_improv.load("m", tmp_path)


@pytest.mark.parametrize("load", [msp_improv.load, msp_improv.load_acted])
def test_a_wrong_folder_is_refused(tmp_path, load):
    (tmp_path / "Evaluation.txt").write_text(format_block(KEYS[0], "A"))
    (tmp_path / "Audio").mkdir()
    with pytest.raises(VoicefitError, match=r"expected session1/ … session6/, or Audio/ that holds them, here"):
        load("m", tmp_path)


def test_sessions_without_any_listed_audio_are_refused(tmp_path):
    build_msp_improv(tmp_path)
    for session in ("session1", "session2"):
        shutil.rmtree(tmp_path / session)
    write_noise(tmp_path / "session1/S01A/P/other.wav", 99)
    with pytest.raises(VoicefitError, match=r"MSP-IMPROV-S01A-F01-P-FM01\.wav: no such file, nor any other that"):
        msp_improv.load("m", tmp_path)
    with pytest.raises(VoicefitError, match="expected files named like session1/S01A/P/MSP-IMPROV-"):
        msp_improv.load_acted("m", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no line like UTD-IMPROV-"),
        (b"\xff\xfeU\x00T\x00", "no line like UTD-IMPROV-"),
        (b"\nUTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3.0;\n", "line 2: expected NAME"),
        (b"UTD-IMPROV-S01A-F01-P-FM01.avi; Q; A:3.0; V:3.0; D:3.0;\n", "line 1: expected NAME"),
        (b"UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3,0; V:3.0; D:3.0;\n", "line 1: expected NAME"),
        (b"UTD-IMPROV-../../S01A-F01-P-FM01.avi; A; A:3.0; V:3.0; D:3.0;\n", "line 1: expected NAME"),
    ],
)
def test_a_damaged_label_file_is_refused(tmp_path, content, message):
    (build_msp_improv(tmp_path) / "Evaluation.txt").write_bytes(content)
    with pytest.raises(VoicefitError, match=rf"Evaluation\.txt.*{message}"):
        msp_improv.load("m", tmp_path)


def test_a_clip_listed_twice_is_refused(tmp_path):
    with (build_msp_improv(tmp_path) / "Evaluation.txt").open("a") as file:
        file.write(format_block(KEYS[0], "N"))
    with pytest.raises(VoicefitError, match="1 clips are listed twice"):
        msp_improv.load("m", tmp_path)


RATING = st.one_of(st.just(None), st.integers(100, 500).map(lambda value: value / 100))


@given(
    key=st.from_regex(r"S(0[1-9]|1[0-9]|20)[AHNS]-[FM]0[1-6]-[PRST]-(FM|MF|FF|MM)[0-9]{2}", fullmatch=True),
    letter=st.sampled_from(LETTERS),
    activation=RATING,
    valence=RATING,
)
def test_a_line_is_parsed_field_by_field(key, letter, activation, valence):
    numbers = ("NaN" if value is None else f"{value:.6f}" for value in (activation, valence))
    first, *others = format_block(key, letter, *numbers).splitlines(keepends=True)
    arousal = None if activation is None else 6 - activation
    assert msp_improv.parse_line(first) == (f"MSP-IMPROV-{key}", letter, arousal, valence, None)
    assert [msp_improv.parse_line(line) for line in others] == [None] * len(others)
    assert msp_improv.parse_name(f"MSP-IMPROV-{key}") == tuple(key.split("-")[:3])


@given(st.one_of(st.text(), st.text("UTDIMPROV-S01AF.avi; :NaN", max_size=60)))
def test_any_text_is_an_evaluation_or_none(text):
    evaluation = msp_improv.parse_line(text)
    assert evaluation is None or msp_improv.parse_name(evaluation.stem)
    fields = msp_improv.parse_name(text)
    assert fields is None or fields[0][-1] in "AHNS"
