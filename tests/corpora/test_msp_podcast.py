import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.layouts import write_noise
from support.layouts.msp_podcast import build_msp_podcast
from voicefit.corpora import msp_podcast
from voicefit.errors import VoicefitError

CLIPS = [
    ("MSP-PODCAST_0001_0008.wav", "30", "neutral", "N"),
    ("MSP-PODCAST_0001_0009.wav", "39", "anger", "A"),
    ("MSP-PODCAST_0002_0033.wav", "podcast-0002", "sadness", "S"),
    ("MSP-PODCAST_0002_0035.wav", "7", "happiness", "H"),
    ("MSP-PODCAST_0003_0001.wav", "podcast-0003", "surprise", "U"),
    ("MSP-PODCAST_0004_0001.wav", "8", "fear", "F"),
    ("MSP-PODCAST_0004_0002.wav", "8", "disgust", "D"),
    ("MSP-PODCAST_0005_0001.wav", "9", "contempt", "C"),
    ("MSP-PODCAST_0005_0002_0001.wav", "9", "other", "O"),
    ("MSP-PODCAST_0006_0001.wav", "10", None, "X"),
]
LAYOUTS = [
    {},
    {"labels": "Labels/labels_concensus.csv", "validation": "Validation"},
    {"labels": "label/labels_concensus.json", "audio": "Audio"},
    {"labels": "labels/labels_consensus.json", "audio": "Audio", "outer": "MSP-PODCAST-Publish-1.12"},
    {"outer": "MSP-PODCAST"},
]
BOTH = [msp_podcast.load, msp_podcast.load_train]


def shown(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_clips_without_split(tmp_path, layout):
    corpus = msp_podcast.load("mine", build_msp_podcast(tmp_path, **layout))
    assert shown(corpus) == CLIPS
    assert [(clip.valence, clip.arousal, clip.dominance) for clip in corpus.clips[:2]] == [
        (4.0, 2.2, 2.6),
        (2.5, 5.777778, 5.0),
    ]
    assert all(clip.path.is_file() and clip.split is None for clip in corpus.clips)
    assert corpus.root == tmp_path / layout.get("outer", "")
    assert (corpus.name, corpus.info) == ("mine", msp_podcast.INFO)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_train_set_is_read_alone(tmp_path, layout):
    corpus = msp_podcast.load_train("mine", build_msp_podcast(tmp_path, **layout))
    assert shown(corpus) == [CLIPS[2], CLIPS[3], CLIPS[4], CLIPS[9]]
    assert corpus.info is msp_podcast.INFO_TRAIN


def test_the_format_of_the_audio_may_be_another(tmp_path):
    corpus = msp_podcast.load("m", build_msp_podcast(tmp_path, suffix=".flac"))
    assert shown(corpus) == [(name.replace(".wav", ".flac"), *others) for name, *others in CLIPS]
    assert all(clip.path.is_file() for clip in corpus.clips)


@pytest.mark.parametrize("load", BOTH)
def test_a_listed_clip_without_file_stays(tmp_path, load):
    (build_msp_podcast(tmp_path) / "Audios" / "MSP-PODCAST_0002_0035.wav").unlink()
    (absent,) = (clip for clip in load("m", tmp_path).clips if not clip.path.exists())
    assert (absent.id, absent.label) == ("MSP-PODCAST_0002_0035.wav", "happiness")
    assert absent.path == tmp_path / "Audios" / "MSP-PODCAST_0002_0035.wav"


def test_unlisted_files_are_unlabelled_and_stray_files_are_not_read(tmp_path):
    audio = build_msp_podcast(tmp_path) / "Audios"
    write_noise(audio / "MSP-PODCAST_0099_0001.wav", 99)
    write_noise(audio / "take two.wav", 100)
    write_noise(audio / "MSP-PODCAST_0001_0008.flac", 101)
    for name in ("._MSP-PODCAST_0001_0008.wav", ".DS_Store", "video.mp4"):
        (audio / name).write_bytes(b"stray")
    (audio / "folder.wav").mkdir()
    clips = msp_podcast.load("m", tmp_path).clips
    assert [(clip.id, clip.speaker, clip.label, clip.valence) for clip in clips if not clip.native_label] == [
        ("MSP-PODCAST_0001_0008.wav", "podcast-0001", None, None),
        ("MSP-PODCAST_0099_0001.wav", "podcast-0099", None, None),
        ("take two.wav", "unknown", None, None),
    ]
    assert len(clips) == len(CLIPS) + 3
    assert len(msp_podcast.load_train("m", tmp_path).clips) == 4


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_is_not_known_may_be_empty(tmp_path, form):
    path = build_msp_podcast(tmp_path, labels=f"Labels/labels_consensus.{form}") / f"Labels/labels_consensus.{form}"
    if form == "csv":
        header = "\N{ZERO WIDTH NO-BREAK SPACE}FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
        path.write_text(
            header + "MSP-PODCAST_0001_0008.wav, N ,2,nan,,,,Train\nMSP-PODCAST_0001_0009.wav,,,,,30,,Test1\n"
        )
    else:
        first = {"EmoClass": "N", "EmoAct": "2", "EmoVal": float("nan"), "SpkrID": None, "Split_Set": "Train"}
        second = {"EmoClass": "", "SpkrID": 30, "EmoDom": None, "Split_Set": "Test1"}
        path.write_text(json.dumps({"MSP-PODCAST_0001_0008.wav": first, "MSP-PODCAST_0001_0009.wav": second}))
    first, second = msp_podcast.load("m", tmp_path).clips[:2]
    assert (first.speaker, first.label, first.arousal) == ("podcast-0001", "neutral", 2.0)
    assert (first.valence, first.dominance) == (None, None)
    assert (second.speaker, second.label, second.native_label, second.arousal) == ("30", None, "", None)


@pytest.mark.parametrize("load", BOTH)
@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("Audios", r"Audios: no such folder, nor Audio, audios, audio; was all of it unpacked"),
        ("Labels", r"Labels: no such folder, nor Label, labels, label; was all of it unpacked"),
        ("Labels/labels_consensus.csv", r"labels_consensus\.csv: no such file, nor labels_concensus\.csv"),
    ],
)
def test_a_half_unpacked_archive_is_refused(tmp_path, load, lost, message):
    (build_msp_podcast(tmp_path) / lost).rename(tmp_path / "elsewhere")
    with pytest.raises(VoicefitError, match=rf"^{tmp_path}/.*{message}"):
        load("m", tmp_path)


@pytest.mark.parametrize("load", BOTH)
def test_labels_without_any_of_their_audio_are_refused(tmp_path, load):
    for path in (build_msp_podcast(tmp_path) / "Audios").iterdir():
        path.rename(path.with_stem(f"{path.stem} copy"))
    with pytest.raises(VoicefitError, match=r"Audios/MSP-PODCAST_000\d_00\d+\.wav: no such file, nor any other of"):
        load("m", tmp_path)


@pytest.mark.parametrize("load", BOTH)
def test_a_wrong_folder_is_refused(tmp_path, load):
    with pytest.raises(VoicefitError, match=r"expected Labels/labels_consensus\.csv and Audios/ here"):
        load("m", tmp_path)


def test_labels_without_a_train_set_are_refused_only_where_it_is_wanted(tmp_path):
    path = build_msp_podcast(tmp_path) / "Labels/labels_consensus.csv"
    path.write_text(path.read_text().replace("Train", "Test1"))
    assert len(msp_podcast.load("m", tmp_path).clips) == len(CLIPS)
    with pytest.raises(VoicefitError, match="no clip whose Split_Set is Train"):
        msp_podcast.load_train("m", tmp_path)


def test_a_clip_listed_twice_is_refused(tmp_path):
    path = build_msp_podcast(tmp_path) / "Labels/labels_consensus.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(VoicefitError, match=r"1 clips are listed twice, the first is MSP-PODCAST_0001_0008\.wav"):
        msp_podcast.load("m", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "MSP-PODCAST_0001_0008.wav",
            "../MSP-PODCAST_0001_0008.wav",
            "column FileName of clip 1, is not the name of a file",
        ),
        (
            "MSP-PODCAST_0001_0008.wav",
            "/etc/passwd",
            "'/etc/passwd', column FileName of clip 1, is not the name of a file",
        ),
        ("MSP-PODCAST_0001_0008.wav", r"..\\x.wav", "column FileName of clip 1, is not the name of a file"),
        ("MSP-PODCAST_0001_0008.wav", "..", "column FileName of clip 1, is not the name of a file"),
        ("MSP-PODCAST_0001_0008.wav", " ", "column FileName of clip 1, is not the name of a file"),
        (",N,", ",Q,", "'Q', column EmoClass of clip 1, is not an EmoClass"),
        ("2.2", "much", "'much', column EmoAct of clip 1, is not a number"),
        ("2.2", "inf", "'inf', column EmoAct of clip 1, is not a number"),
        (",10,Female,Train\n", ",10,Fem", "'', column Split_Set of clip 10, is not a set; is the file complete"),
        ("SpkrID", "Speaker", "no column SpkrID; is this the label file"),
    ],
)
def test_a_damaged_value_is_refused(tmp_path, old, new, message):
    path = build_msp_podcast(tmp_path) / "Labels/labels_consensus.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(VoicefitError, match=rf"labels_consensus\.csv: .*{message}"):
        msp_podcast.load("m", tmp_path)


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("csv", b"", "not readable as the label file"),
        ("csv", b"\xff\xfe\x00garbage", "not readable as the label file"),
        ("csv", b"FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n", "lists no clip"),
        ("json", b"", "not readable as the label file"),
        ("json", b"\xff\xfe", "not readable as the label file"),
        ("json", b"[" * 100_000, "not readable as the label file"),
        ("json", b"[1]", "not an object with an object for each file"),
        ("json", b'{"x.wav": [{"EmoClass": "N"}]}', "not an object with an object for each file"),
        ("json", b'{"x.wav": {"EmoClass": "N"}}', "no column EmoVal, EmoAct, EmoDom, SpkrID, Split_Set"),
        ("json", b"{}", "no column"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, form, content, message):
    path = f"Labels/labels_consensus.{form}"
    (build_msp_podcast(tmp_path, labels=path) / path).write_bytes(content)
    with pytest.raises(VoicefitError, match=message):
        msp_podcast.load("m", tmp_path)


RATING = st.one_of(st.just(""), st.integers(100, 700).map(lambda value: str(value / 100)))
ROW = st.tuples(st.sampled_from(sorted(msp_podcast.EMOTIONS)), RATING, RATING, RATING, st.sampled_from(["", "3"]))


@settings(max_examples=20)
@given(rows=st.lists(ROW, min_size=1, max_size=4), form=st.sampled_from(["csv", "json"]))
def test_a_label_file_is_read_row_by_row(rows, form):
    names = [f"MSP-PODCAST_0001_{index:04}.wav" for index in range(len(rows))]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in ("Labels", "Audios"):
            (root / part).mkdir()
        (root / "Audios" / names[0]).touch()
        path = root / "Labels" / f"labels_consensus.{form}"
        if form == "csv":
            lines = [",".join([name, *row, "Test1"]) for name, row in zip(names, rows, strict=True)]
            path.write_text("\n".join(["FileName,EmoClass,EmoVal,EmoAct,EmoDom,SpkrID,Split_Set", *lines]))
        else:
            fields = ("EmoClass", "EmoVal", "EmoAct", "EmoDom", "SpkrID", "Split_Set")
            data = {
                name: dict(zip(fields, (*row, "Test1"), strict=True)) for name, row in zip(names, rows, strict=True)
            }
            path.write_text(json.dumps(data))
        clips = msp_podcast.load("m", root).clips
    assert [
        (clip.id, clip.native_label, clip.valence, clip.arousal, clip.dominance, clip.speaker) for clip in clips
    ] == [
        (name, letter, *(float(value) if value else None for value in ratings), speaker or "podcast-0001")
        for name, (letter, *ratings, speaker) in zip(names, rows, strict=True)
    ]


@settings(max_examples=50)
@given(content=st.one_of(st.binary(), st.text().map(str.encode)), form=st.sampled_from(["csv", "json"]))
def test_any_other_label_file_is_refused(content, form):
    with tempfile.TemporaryDirectory() as folder:
        for part in ("Labels", "Audios"):
            (Path(folder) / part).mkdir()
        (Path(folder) / "Labels" / f"labels_consensus.{form}").write_bytes(content)
        with pytest.raises(VoicefitError, match=r"labels_consensus"):
            msp_podcast.load("m", Path(folder))


@given(st.one_of(st.text(), st.from_regex(r"MSP-PODCAST_[0-9]{4}_[0-9]{4}\.wav", fullmatch=True)))
def test_any_name_is_of_a_podcast_or_unknown(name):
    speaker = msp_podcast.parse_podcast(name)
    assert speaker == "unknown" or name.startswith(f"MSP-PODCAST_{speaker.removeprefix('podcast-')}_")


def test_the_readers_are_registered():
    assert [reader.info.name for reader in msp_podcast.READERS] == ["msp-podcast", "msp-podcast-train"]
