import io
import os
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import soundfile
from pyarrow import parquet

from voicefit.corpora import cameo
from voicefit.corpora.check import check_corpus
from voicefit.errors import VoicefitError

COLUMNS = ("file_id", "emotion", "speaker_id", "transcription", "gender", "age", "dataset", "language", "license")
ROWS = {
    "cafe": [("01-C-1-1.wav", "anger", "1"), ("01-N-1.wav", "neutral", "1")],
    "mesd": [("Anger_C_A_abajo.wav", "anger", None)],
    "jl_corpus": [("male1_excited_10a_1.wav", "excitement", "male1")],
}


def sound(seed, form="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(seed).uniform(-0.5, 0.5, 800), 16_000, format=form)
    return buffer.getvalue()


def build_cameo(root, rows=None, form="WAV", audio="audio"):
    root.mkdir(parents=True, exist_ok=True)
    for corpus, clips in (rows or ROWS).items():
        table = {column: [None] * len(clips) for column in COLUMNS}
        for place, column in enumerate(COLUMNS[:3]):
            table[column] = [clip[place] for clip in clips]
        table[audio] = [{"bytes": sound(n, form), "path": f"../{clip[0]}"} for n, clip in enumerate(clips)]
        parquet.write_table(pyarrow.table(table), root / f"{corpus}-00000-of-00001.parquet")
    return root


@pytest.mark.parametrize("given", ["", "data"])
@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_every_table_that_is_there_is_read(tmp_path, given, form):
    build_cameo(tmp_path / "data", form=form)
    (tmp_path / "README.md").write_text("CAMEO")
    corpus = cameo.load("mine", tmp_path / given)
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == [
        ("cafe/01-C-1-1.wav", "cafe-1", "anger", "anger"),
        ("cafe/01-N-1.wav", "cafe-1", "neutral", "neutral"),
        ("jl_corpus/male1_excited_10a_1.wav", "jl_corpus-male1", "excitement", "excitement"),
        ("mesd/Anger_C_A_abajo.wav", "mesd", "anger", "anger"),
    ]
    cache = Path(os.environ["VOICEFIT_CACHE"], "unpacked")
    assert all(clip.path.is_file() and clip.path.is_relative_to(cache) for clip in corpus.clips)
    assert check_corpus(corpus.select(lambda clip: clip.speaker == "cafe-1")).findings == ()
    assert corpus.clips[1].path.read_bytes() == sound(1, form)


def test_audio_is_unpacked_once_until_its_table_changes(tmp_path):
    build_cameo(tmp_path / "data")
    first = cameo.load("mine", tmp_path).clips
    first[0].path.write_bytes(b"still there")
    assert cameo.load("mine", tmp_path).clips == first
    assert first[0].path.read_bytes() == b"still there"
    build_cameo(tmp_path / "data", {"cafe": [*ROWS["cafe"], ("02-P-2-6.wav", "fear", "2")]})
    again = cameo.load("mine", tmp_path).clips
    assert [clip.label for clip in again] == ["anger", "neutral", "fear", "excitement", "anger"]
    assert again[0].path.read_bytes() == sound(0)


def test_a_row_without_audio_is_a_missing_clip(tmp_path):
    table = {"file_id": ["a.wav", "b.wav"], "emotion": ["anger", None], "speaker_id": ["1", ""]}
    table["audio"] = [None, {"bytes": sound(0), "path": None}]
    parquet.write_table(pyarrow.table(table), tmp_path / "cafe-00000-of-00001.parquet")
    corpus = cameo.load("mine", tmp_path)
    assert [(clip.id, clip.speaker, clip.label) for clip in corpus.clips] == [
        ("cafe/a.wav", "cafe-1", "anger"),
        ("cafe/b.wav", "cafe", None),
    ]
    assert [(finding.clip_id, finding.kind) for finding in check_corpus(corpus).findings] == [
        ("cafe/a.wav", "missing"),
        ("cafe/b.wav", "unlabelled"),
    ]


def test_another_table_is_refused(tmp_path):
    (tmp_path / "other-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(VoicefitError, match=r"expected data/ with tables like cafe-00000-of-00001\.parquet here"):
        cameo.load("mine", tmp_path)
    (tmp_path / "cafe-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(VoicefitError, match=r"cafe-00000-of-00001\.parquet: its audio cannot be unpacked"):
        cameo.load("mine", tmp_path)
    build_cameo(tmp_path, audio="sound")
    with pytest.raises(VoicefitError, match=r"cafe-00000-of-00001\.parquet: no column audio"):
        cameo.load("mine", tmp_path)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("audio", ["a.wav"], "column audio holds string, not audio"),
        ("audio", [{"path": "a.wav"}], "column audio holds struct<path: string>, not audio"),
        ("emotion", [[1]], "column emotion holds list<element: int64>, not text"),
    ],
)
def test_a_column_of_something_else_is_named(tmp_path, column, values, words):
    table = {"file_id": ["a"], "emotion": ["anger"], "speaker_id": ["1"], "audio": [{"bytes": sound(0), "path": "a"}]}
    parquet.write_table(pyarrow.table(table | {column: values}), tmp_path / "cafe-00000-of-00001.parquet")
    with pytest.raises(VoicefitError) as caught:
        cameo.load("mine", tmp_path)
    assert str(caught.value) == f"{tmp_path}/cafe-00000-of-00001.parquet: {words}"


def test_numbers_are_read_as_text(tmp_path):
    table = {"file_id": [7], "emotion": [3], "speaker_id": [12], "audio": [{"bytes": sound(0), "path": None}]}
    parquet.write_table(pyarrow.table(table), tmp_path / "cafe-00000-of-00001.parquet")
    (clip,) = cameo.load("mine", tmp_path).clips
    assert (clip.id, clip.speaker, clip.native_label) == ("cafe/7", "cafe-12", "3")


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    build_cameo(tmp_path / "data")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VOICEFIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(VoicefitError, match="file"):
        cameo.load("mine", tmp_path / "data")
    assert (tmp_path / "file").is_file()
