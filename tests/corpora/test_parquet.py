"""Parquet tables: recordings inside them, columns that nobody reads, and values that Python has no type for."""

import json

import pandas as pd
import pytest

from support.layouts import write_noise
from support.recorders import recordings
from voicefit.audio import load_waveform
from voicefit.corpora import load_corpus, table
from voicefit.errors import VoicefitError

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Recordings inside tables are written here."""
    monkeypatch.setenv("VOICEFIT_CACHE", str(tmp_path / "cache"))


def write(columns, path):
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def test_recordings_inside_parquet_with_labels_that_are_numbers(tmp_path):
    for seed in (1, 2):
        write_noise(tmp_path / f"{seed}.wav", seed)
    audio = [{"bytes": (tmp_path / f"{seed}.wav").read_bytes(), "path": f"{seed}.wav"} for seed in (1, 2)]
    features = {"label": {"names": ["calm", "sad"], "_type": "ClassLabel"}, "audio": {"_type": "Audio"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    written = pa.table({"audio": audio, "label": [1, 0]}).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(written, tmp_path / "data.parquet")
    corpus = table.load("mine", tmp_path / "data.parquet")
    assert [(clip.id, clip.label) for clip in corpus.clips] == [("1.wav", "sadness"), ("2.wav", "calm")]
    assert corpus.clips[0].path.read_bytes() == audio[0]["bytes"]


def test_a_folder_of_parquet_tables_is_a_data_set_with_its_splits(tmp_path):
    (tmp_path / "set" / "data").mkdir(parents=True)
    for seed, split in enumerate(("train", "test")):
        write_noise(tmp_path / "a.wav", seed)
        audio = [{"bytes": (tmp_path / "a.wav").read_bytes(), "path": f"{split}.wav"}]
        frame = pd.DataFrame({"audio": audio, "emotion": ["sad"]})
        frame.to_parquet(tmp_path / "set" / "data" / f"{split}-00000-of-00001.parquet")
    corpus = load_corpus("mine", tmp_path / "set")
    assert [(clip.id, clip.label, clip.split) for clip in corpus.clips] == [
        ("test.wav", "sadness", "test"),
        ("train.wav", "sadness", "train"),
    ]


def test_parquet_without_pyarrow_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "t.parquet").touch()
    with pytest.raises(VoicefitError, match="Parquet needs pyarrow: pip install pyarrow"):
        table.load("mine", tmp_path / "t.parquet")


def test_a_parquet_row_without_a_label_is_unlabelled(tmp_path):
    for name in ("a", "b"):
        write_noise(tmp_path / f"{name}.wav", ord(name), seconds=0.3)
    frame = pd.DataFrame({"path": ["a.wav", "b.wav"], "label": ["calm", None]})
    found = table.load("mine", write(frame, tmp_path / "clips.parquet"))
    assert [clip.native_label for clip in found.clips] == ["calm", ""]


def parquet_set(root, tables):
    """Write a data set; table → rows of name, seed of its noise (0: no recording) and label."""
    for name, rows in tables.items():
        audio = []
        for clip, seed, _ in rows:
            write_noise(root.parent / "noise.wav", seed)
            audio.append({"bytes": (root.parent / "noise.wav").read_bytes(), "path": clip})
        frame = pd.DataFrame({"audio": audio, "label": [label for *_, label in rows]})
        (root / "data").mkdir(parents=True, exist_ok=True)
        frame.to_parquet(root / "data" / f"{name}.parquet")
    return root


def test_recordings_of_one_name_inside_parquet_are_all_kept(tmp_path):
    root = parquet_set(
        tmp_path / "set",
        {
            "train-0": [("a.wav", 1, "angry"), ("a.wav", 2, "sad"), ("b.wav", 3, "sad"), ("b.wav", 3, "sad")],
            "test-0": [("a.wav", 4, "happy"), ("c.wav", 5, "joy")],
        },
    )
    corpus = load_corpus("set", root)
    assert len({clip.id for clip in corpus.clips}) == len(corpus.clips) == 5
    assert sorted(clip.id.split("~")[0] for clip in corpus.clips) == ["a.wav", "a.wav", "a.wav", "b.wav", "c.wav"]
    assert corpus.account.left_out == {"row 5 of train-0.parquet": "lists b.wav again"}
    assert any(line.startswith("a.wav stands for several recordings") for line in corpus.account.remarks)
    # Labels of all tables are settled together: each of two words for one thing stays what it is.
    assert corpus.labels == ["anger", "happy", "joy", "sadness"]


def test_a_recording_with_two_labels_in_two_tables_is_an_error(tmp_path):
    root = parquet_set(tmp_path / "set", {"test-0": [("a.wav", 1, "sad")], "train-0": [("a.wav", 1, "angry")]})
    words = r"a\.wav is listed twice, as sad in row 2 of test-0\.parquet and as angry in row 2; keep one"
    with pytest.raises(VoicefitError, match=words):
        load_corpus("set", root)


FAR = pa.array([2_000_000_000, 1], pa.int32()).view(pa.date32())
"""Python's dates end in the year 9999."""


def test_values_that_nobody_reads_do_not_matter(tmp_path):
    nanoseconds = pa.array([1, 2], pa.int64()).view(pa.timestamp("ns"))
    elsewhere = pa.array([1, 2], pa.int64()).view(pa.timestamp("s", "Mars/Olympus"))
    columns = {"path": ["a.wav", "b.wav"], "label": ["calm", "sad"], "day": FAR, "at": nanoseconds, "there": elsewhere}
    corpus = table.load("mine", write(columns, tmp_path / "clips.parquet"))
    assert [clip.native_label for clip in corpus.clips] == ["calm", "sad"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (FAR, "not readable as a .parquet table (days=2000000000"),
        (pa.array([b"\xff", b"sad"]), "row 2: \"b'\\\\xff'\" is no text"),
        ([{"bytes": 1, "path": 2}] * 2, "row 2: \"{'bytes': 1, 'path': 2}\" is no text"),
    ],
)
def test_labels_that_are_none_are_an_error_of_one_line(tmp_path, column, words):
    path = write({"path": ["a.wav", "b.wav"], "label": column}, tmp_path / "clips.parquet")
    with pytest.raises(VoicefitError) as caught:
        table.load("mine", path)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_texts_that_are_written_as_bytes_are_texts(tmp_path):
    write_noise(tmp_path / "a.wav", 1)
    columns = {"path": [b"a.wav"], "label": [b"calm"], "speaker": ["Zoë".encode()]}
    (clip,) = table.load("mine", write(columns, tmp_path / "clips.parquet")).clips
    assert (clip.id, clip.path, clip.label, clip.speaker) == ("a.wav", tmp_path / "a.wav", "calm", "Zoë")


def test_billions_of_rows_in_a_small_file_are_refused(tmp_path):
    path = write({"path": pa.nulls(5_000_001, pa.string()), "label": pa.nulls(5_000_001)}, tmp_path / "clips.parquet")
    assert path.stat().st_size < 100_000
    with pytest.raises(VoicefitError, match="5,000,001 rows; 5,000,000 can be read, so split it"):
        table.load("mine", path)


def test_names_of_many_lines_become_names_of_one(tmp_path):
    write_noise(tmp_path / "a.wav", 1)
    audio = [{"bytes": (tmp_path / "a.wav").read_bytes(), "path": "a\nb\0.w\0v"}]
    corpus = table.load("mine", write({"audio": audio, "la\nbel": [""], "label": ["sad"]}, tmp_path / "clips.parquet"))
    (clip,) = corpus.clips
    assert clip.id == "a b\0.w\0v"
    assert clip.path.read_bytes() == audio[0]["bytes"]
    with pytest.raises(VoicefitError, match=r"no column label; the columns are audio, la bel$"):
        table.load("mine", write({"audio": audio, "la\nbel": [""]}, tmp_path / "clips.parquet"))


@pytest.mark.slow(1)
def test_recordings_of_phones_inside_a_table_are_heard(tmp_path):
    pytest.importorskip("av")
    kept = {name: content for name, content, expected in recordings() if not expected.error}
    audio = [{"bytes": content, "path": "a.wav"} for content in kept.values()]
    corpus = table.load("mine", write({"audio": audio, "label": ["sad"] * len(kept)}, tmp_path / "clips.parquet"))
    assert len(corpus.clips) == len(set(kept.values())) > 20
    assert all(len(load_waveform(clip.path)) for clip in corpus.clips)


@pytest.mark.parametrize("absent", [None, {"bytes": None, "path": None}, {"bytes": b"", "path": ""}])
def test_a_row_without_a_recording_is_named(tmp_path, absent):
    write_noise(tmp_path / "a.wav", 1)
    audio = [{"bytes": (tmp_path / "a.wav").read_bytes(), "path": "a.wav"}, absent]
    path = write({"audio": audio, "label": ["sad", "sad"]}, tmp_path / "clips.parquet")
    with pytest.raises(VoicefitError, match=r"clips\.parquet, row 3: path is empty$"):
        table.load("mine", path)
