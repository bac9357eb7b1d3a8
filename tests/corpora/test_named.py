"""Corpora whose paths tell everything: a miniature of each, with the oddities of its release."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.layouts import write_files, write_noise
from voicefit.corpora import (
    CORPORA,
    aesdd,
    ased,
    baved,
    cafe,
    emotiontts,
    enterface,
    load_corpus,
    mesd,
    oreau,
    shemo,
    subesco,
    urdu,
)
from voicefit.errors import VoicefitError

CLIPS = {
    "mesd": [
        ("Anger_C_A_abajo", "child", "anger", "Anger"),
        ("Disgust_F_B_enganado", "female", "disgust", "Disgust"),
        ("Fear_M_A_basta_ya", "male", "fear", "Fear"),
        ("Happiness_F_A_de_nada", "female", "happiness", "Happiness"),
        ("Neutral_M_A_si", "male", "neutral", "Neutral"),
        ("Sadness_C_B_condena", "child", "sadness", "Sadness"),
    ],
    "subesco": [
        ("F_01_OISHI_S_10_HAPPY_4", "F_01", "happiness", "HAPPY"),
        ("F_02_MONIKA_S_1_NEUTRAL_5", "F_02", "neutral", "NEUTRAL"),
        ("F_10_FAHMEE_S_6_FEAR_5", "F_10", "fear", "FEAR"),
        ("M_01_BASHIR_S_7_ANGRY_5", "M_01", "anger", "ANGRY"),
        ("M_02_NIPUN_S_6_SAD_1", "M_02", "sadness", "SAD"),
        ("M_07_SIBLY_S_9_DISGUST_5", "M_07", "disgust", "DISGUST"),
        ("M_10_EVAN_S_10_SURPRISE_3", "M_10", "surprise", "SURPRISE"),
    ],
    "ased": [
        ("01Neutral/n1-01-01-01-01", "01", "neutral", "n1"),
        ("02Fearful/f2-03-02-02-65", "65", "fear", "f2"),
        ("03Happy/h3-07-01-01-13", "13", "happiness", "h3"),
        ("04Sad/S4-04-02-01-29", "29", "sadness", "s4"),  # a capital, as in the release
        ("04Sad/s4-04-01-01-29", "29", "sadness", "s4"),
        ("05Angry/a5-03-01-02-50", "50", "anger", "a5"),
    ],
    "baved": [
        ("0/10-f-20-0-1-0", "10", "neutral", "1"),
        ("0/100-f-6-0-0-0", "100", "low", "0"),
        ("6/47-M-20-6-2-170", "47", "high", "2"),
    ],
    "urdu-dataset": [
        ("Angry/SM5_F33_A061", "SM5", "anger", "A"),
        ("Happy/SF9/SF9_F4_H04", "SF9", "happiness", "H"),
        ("Neutral/SM5_F72_N0100", "SM5", "neutral", "N"),
        ("Sad/SM20_F8_S012", "SM20", "sadness", "S"),
    ],
    "shemo": [
        ("female/F02S05", "F02", "sadness", "S"),
        ("female/F21W09", "F21", "surprise", "W"),
        ("male/M21F01", "M21", "fear", "F"),
        ("male/M25A03", "M25", "anger", "A"),
        ("male/M28H02", "M28", "happiness", "H"),
        ("male/M47N04", "M47", "neutral", "N"),
    ],
    "aesdd": [
        ("anger/a06 (5)", "5", "anger", "anger"),
        ("anger/a06 (5)b", "5", "anger", "anger"),
        ("disgust/d14 (1)", "1", "disgust", "disgust"),
        ("fear/f10 (01)", "1", "fear", "fear"),
        ("happiness/h09 (6)", "6", "happiness", "happiness"),
        ("sadness/s05 (3)", "3", "sadness", "sadness"),
    ],
    "emotiontts": [
        ("emotional-to-emotional/nea/wav/nea00100", "nea", "neutral", "일반"),
        ("emotional-to-emotional/nea/wav/nea00101", "nea", "happiness", "기쁨"),
        ("plain-to-emotional/ema/wav/ema00001", "ema", "neutral", "일반"),
        ("plain-to-emotional/ema/wav/ema00201", "ema", "anger", "화남"),
        ("plain-to-emotional/ema/wav/ema00400", "ema", "sadness", "슬픔"),
    ],
    "enterface": [
        ("subject 11/anger/sentence 1/s12_an_1", "11", "anger", "anger"),  # numbered as subject 12
        ("subject 16/surprise/sentence 3/s16_su_3avi", "16", "surprise", "surprise"),
        ("subject 3/fear/sentence 2/s_3_fe_2", "3", "fear", "fear"),
        ("subject 6/disgust/s6_di_5", "6", "disgust", "disgust"),  # no folder of the sentence
        ("subject 7/happiness/sentence 4/s7_ha_4", "7", "happiness", "happiness"),
        ("subject 7/sadness/sentence 4/s7_sa_4", "7", "sadness", "sadness"),
    ],
    "oreau": [
        ("f/sessj/10a02Ja", "10", "happiness", "J"),
        ("f/sesss/24a06Sa", "24", "surprise", "S"),
        ("m/sessc/01a01Ca", "01", "anger", "C"),
        ("m/sessd/01a01Db", "01", "disgust", "D"),
        ("m/sessn/01a01Na", "01", "neutral", "N"),
        ("m/sessp/01b01Pa", "01", "fear", "P"),
        ("m/sesst/01a01Ta", "01", "sadness", "T"),
    ],
}
"""Registry name → path without suffix, speaker, label and native label of a few clips."""

PARSERS = [
    aesdd.parse_path,
    ased.parse_path,
    baved.parse_path,
    cafe.parse_name,
    emotiontts.parse_path,
    enterface.parse_path,
    mesd.parse_path,
    oreau.parse_path,
    shemo.parse_path,
    subesco.parse_path,
    urdu.parse_path,
]

each = pytest.mark.parametrize("name", CLIPS)


def build(root, name, suffix=".wav"):
    return write_files(root, [f"{path}{suffix}" for path, *_ in CLIPS[name]])


def rows(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@each
@pytest.mark.parametrize("given", ["", "unpacked"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_clip_is_read(tmp_path, name, given, suffix):
    corpus = load_corpus(name, build(tmp_path / "unpacked", name, suffix) if given else build(tmp_path, name, suffix))
    assert rows(corpus) == [(f"{path}{suffix}", *others) for path, *others in CLIPS[name]]
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert corpus.info is CORPORA[name].info


@each
def test_the_folder_above_may_be_given(tmp_path, name):
    build(tmp_path / "unpacked", name)
    assert load_corpus(name, tmp_path).root == tmp_path / "unpacked"


@each
def test_a_file_named_otherwise_is_unlabelled(tmp_path, name):
    first = CLIPS[name][0][0]
    stray = f"{first.rpartition('/')[0]}/take two.wav".lstrip("/")
    write_noise(build(tmp_path, name) / stray, 99)
    (clip,) = (clip for clip in load_corpus(name, tmp_path).clips if clip.label is None)
    assert (clip.id, clip.speaker, clip.native_label) == (stray, "unknown", "")


@each
def test_stray_files_are_passed_over(tmp_path, name):
    build(tmp_path, name)
    folder = (tmp_path / CLIPS[name][0][0]).parent
    for stray in (".DS_Store", "._a.wav", "notes.txt", "video.avi"):
        (folder / stray).write_bytes(b"\0")
    assert len(load_corpus(name, tmp_path).clips) == len(CLIPS[name])


@pytest.mark.parametrize("name", [*CLIPS, "cafe"])
def test_a_wrong_root_is_refused(tmp_path, name):
    write_noise(tmp_path / "Angry" / "1.wav", 0)
    with pytest.raises(VoicefitError, match=rf"^{tmp_path}: expected .*\S named like .*\S here"):
        load_corpus(name, tmp_path)
    with pytest.raises(VoicefitError, match="no such folder"):
        load_corpus(name, tmp_path / "absent")


@pytest.mark.parametrize("name", ["cafe", "emotiontts", "subesco"])
def test_the_published_counts_of_labels_add_up(name):
    info = CORPORA[name].info
    assert sum(info.expected_labels.values()) == info.expected_clips


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__module__)
@given(text=st.text())
def test_any_other_path_is_never_an_error(parse, text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("parse", "path"),
    [
        (urdu.parse_path, "Angry/SM5_F33_N061"),
        (aesdd.parse_path, "anger/f10 (1)"),
        (enterface.parse_path, "subject 7/sadness/sentence 4/s7_ha_4"),
        (emotiontts.parse_path, "plain-to-emotional/ema/wav/emb00001"),
        (emotiontts.parse_path, "plain-to-emotional/ema/wav/ema00401"),
        (emotiontts.parse_path, "plain-to-emotional/ema/wav/ema00000"),
        (ased.parse_path, "05Angry/a4-03-01-02-50"),
        (cafe.parse_name, "01-N-1-6"),
        (cafe.parse_name, "01-C-6"),
    ],
)
def test_a_path_that_contradicts_itself_is_of_no_clip(parse, path):
    assert parse(path) is None


def test_the_folders_of_baved_are_no_labels(tmp_path):
    corpus = load_corpus("baved", build(tmp_path, "baved"))
    assert corpus.labels == ["high", "low", "neutral"]


def test_videos_of_enterface_have_to_be_converted(tmp_path):
    video = tmp_path / "enterface database" / "subject 1" / "anger" / "sentence 1" / "s1_an_1.avi"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"RIFF")
    with pytest.raises(VoicefitError, match=r"s1_an_1\.avi: only videos here; extract the audio of every \.avi"):
        load_corpus("enterface", tmp_path)
    write_noise(video.with_suffix(".wav"), 0)
    assert len(load_corpus("enterface", tmp_path).clips) == 1


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_either_version_of_oreau_is_read_by_its_name(tmp_path, form):
    title = unicodedata.normalize(form, "OréauFR")
    build(tmp_path / f"{title}_02", "oreau")
    write_noise(build(tmp_path / f"{title}_01", "oreau") / "m" / "sessn" / "01a02Na.wav", 99)
    assert len(load_corpus("oreau", tmp_path).clips) == len(CLIPS["oreau"])
    everything = load_corpus("oreau-all", tmp_path)
    assert len(everything.clips) == len(CLIPS["oreau"]) + 1
    assert everything.info is oreau.INFO_ALL


@pytest.mark.parametrize("given", ["", "OréauFR_01"])
def test_a_version_of_oreau_is_not_taken_for_the_other(tmp_path, given):
    build(tmp_path / "OréauFR_01", "oreau")
    with pytest.raises(VoicefitError, match="OréauFR_01: this is another version of Oréau; read it as oreau-all="):
        load_corpus("oreau", tmp_path / given)


CAFE = [
    ("01-C-1-1", "01", "anger", "C"),
    ("01-N-1", "01", "neutral", "N"),
    ("02-P-2-6", "02", "fear", "P"),
    ("07-D-1-1", "07", "disgust", "D"),
    ("07-J-2-3", "07", "happiness", "J"),
    ("12-S-1-1", "12", "surprise", "S"),
    ("12-T-2-4", "12", "sadness", "T"),
]
EMOTION_FOLDERS = {"C": "Colère", "D": "Dégoût", "J": "Joie", "N": "Neutre", "P": "Peur", "S": "Surprise"}


def build_cafe(root, suffix, part):
    """The release at 48 kHz, or the two parts of that at 192 kHz, which share the speakers."""
    for seed, (stem, *_) in enumerate(CAFE):
        letter = stem[3]
        below = EMOTION_FOLDERS.get(letter, "Tristesse") + (
            "" if letter == "N" else ("/Faible", "/Fort")[stem[5] == "2"]
        )
        write_noise(root / part(int(stem[:2])) / below / f"{stem}{suffix}", seed)
    (root / part(1) / "Readme.txt").write_text("CaFE")


def test_cafe_is_read_at_either_rate_with_the_same_ids(tmp_path):
    build_cafe(tmp_path / "low", ".wav", lambda speaker: "CaFE_48k")
    build_cafe(tmp_path / "high", ".aiff", lambda speaker: f"CaFE_192k_{1 + (speaker > 6)}")
    for root in (tmp_path / "low", tmp_path / "low" / "CaFE_48k", tmp_path / "high"):
        corpus = load_corpus("cafe", root)
        assert rows(corpus) == CAFE
        assert all(clip.path.is_file() for clip in corpus.clips)
    with pytest.raises(VoicefitError, match="7 clips are listed twice, the first is 01-C-1-1"):
        load_corpus("cafe", tmp_path)


def test_accents_of_cafe_may_be_damaged(tmp_path):
    write_files(tmp_path, ["D\N{SINGLE LOW-9 QUOTATION MARK}go\N{EN DASH}t/Fort/10-D-2-1.wav", "Dégoût/take.wav"])
    assert rows(load_corpus("cafe", tmp_path)) == [
        ("10-D-2-1", "10", "disgust", "D"),
        ("Dégoût/take.wav", "unknown", None, ""),
    ]
