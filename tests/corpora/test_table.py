import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicefit.corpora import table, to_vocabulary
from voicefit.errors import VoicefitError


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def load_csv(folder: Path, text: str):
    path = folder / "clips.csv"
    path.write_text(text, encoding="utf-8")
    return table.load("mine", path)


@pytest.mark.parametrize("suffix", table.SUFFIXES)
def test_all_columns_in_every_format(tmp_path, suffix):
    frame = pd.DataFrame(
        {
            "path": ["a.wav", "a.wav", "sub/b.flac", "c.wav"],
            "label": ["Angry", "sarcasm", None, "sad"],
            "speaker": ["anna", "anna", None, "ben"],
            "start": [0.0, 1.25, None, 2.0],
            "end": [1.25, 2.5, None, None],
            "split": ["train", "test", None, "validation"],
            "comment": ["not", "read", "at", "all"],
        }
    )
    corpus = table.load("mine", write(frame, tmp_path / f"clips{suffix}"))
    assert [(c.id, c.speaker, c.label, c.native_label, c.start, c.end, c.split) for c in corpus.clips] == [
        ("a.wav#0.0-1.25", "anna", "anger", "Angry", 0.0, 1.25, "train"),
        ("a.wav#1.25-2.5", "anna", "sarcasm", "sarcasm", 1.25, 2.5, "test"),
        ("c.wav#2.0-end", "ben", "sadness", "sad", 2.0, None, "validation"),
        ("sub/b.flac", "mine", None, "", 0.0, None, None),
    ]
    assert [clip.path for clip in corpus.clips][-1] == tmp_path / "sub" / "b.flac"
    assert corpus.root == tmp_path


def test_two_columns_are_enough_and_blank_rows_are_skipped(tmp_path):
    corpus = load_csv(tmp_path, "\ufeffpath, label\n a.wav , NA \n\nb.wav,null\n,\n")
    assert [(clip.id, clip.label, clip.speaker) for clip in corpus.clips] == [
        ("a.wav", "na", "mine"),
        ("b.wav", "null", "mine"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",sad,,,", "row 3: path is empty"),
        ("../b.wav,sad,,,", "row 3: path '../b.wav' is not in the table's folder"),
        ("x/../../b.wav,sad,,,", "row 3: .* is not in the table's folder"),
        ("/etc/passwd,sad,,,", "row 3: .* is not in the table's folder"),
        (".,sad,,,", "row 3: .* is not in the table's folder"),
        ("b.wav,sad,soon,,", "row 3: start is 'soon', not a number"),
        ("b.wav,sad,,later,", "row 3: end is 'later', not a number"),
        ("b.wav,sad,nan,,", "row 3: start is nan"),
        ("b.wav,sad,,inf,", "row 3: end is inf"),
        ("b.wav,sad,-1,,", "row 3: start is -1"),
        ("b.wav,sad,2,1,", r"row 3: start \(2 s\) is not before end \(1 s\)"),
        ("b.wav,sad,2,2,", r"row 3: start \(2 s\) is not before end \(2 s\)"),
        ("b.wav,sad,,0,", r"row 3: start \(0 s\) is not before end"),
        ("b.wav,sad,,,dev", "row 3: split is 'dev'"),
        ("a.wav,happy,,,", r"listed twice, the first is a\.wav"),
        ("x/../a.wav,happy,,,", r"listed twice, the first is a\.wav"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    with pytest.raises(VoicefitError, match=message):
        load_csv(tmp_path, f"path,label,start,end,split\na.wav,sad,,,\n{row}\n")


def test_an_absolute_path_inside_the_folder_is_allowed(tmp_path):
    link = tmp_path / "link"
    real = tmp_path / "real"
    real.mkdir()
    link.symlink_to(real)
    corpus = load_csv(link, f"path,label\n{link}/a.wav,sad\n{real}/b.wav,sad\n")
    assert [clip.id for clip in corpus.clips] == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not readable as a .csv table"),
        ("file,emotion\na.wav,sad\n", "no column path and label; the columns are file, emotion"),
        ("path;label\na.wav;sad\n", "no column path and label; the columns are path;label"),
        ("path,label, label\na.wav,sad,happy\n", "several columns are called label"),
        ("path,label\n", "no clip of table of clips"),
        ("path,label\na,b.wav,sad\n", "not readable as a .csv table .*more values than the header"),
        ("path,label\nx.wav,sad\na,b.wav,sad\n", "not readable as a .csv table .*line 3"),
        ('path,label\n"a.wav,sad\n', "not readable as a .csv table"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, message):
    with pytest.raises(VoicefitError, match=message):
        load_csv(tmp_path, text)


def test_an_absent_file_or_other_format_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match="no such file"):
        table.load("mine", tmp_path / "absent.csv")
    with pytest.raises(VoicefitError, match=r"ends in \.csv, \.tsv, \.parquet"):
        table.load("mine", tmp_path / "clips.xlsx")


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200), suffix=st.sampled_from(table.SUFFIXES))
def test_garbage_is_a_clear_error(content, suffix):
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"clips{suffix}"
        path.write_bytes(content)
        with pytest.raises(VoicefitError, match="clips"):
            table.load("mine", path)


TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=12)
NAME = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\#."), min_size=1, max_size=12)
TIME = st.floats(0, 1e6).filter(lambda seconds: seconds == 0 or seconds > 1e-6)
ROW = st.fixed_dictionaries(
    {
        "path": NAME,
        "label": TEXT,
        "speaker": TEXT,
        "start": TIME,
        "length": st.none() | st.floats(0.001, 100),
        "split": st.sampled_from(["", *table.SPLITS]),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=8, unique_by=lambda row: row["path"]),
    suffix=st.sampled_from(table.SUFFIXES),
)
def test_whatever_is_written_is_read_back(rows, suffix):
    for row in rows:
        length = row.pop("length")
        row["end"] = None if length is None else row["start"] + length
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        read = table.load("mine", write(pd.DataFrame(rows), folder / f"clips{suffix}"))
        by_path = {clip.path: clip for clip in read.clips}
        assert len(by_path) == len(rows)
        for row in rows:
            clip = by_path[folder / row["path"]]
            assert (clip.native_label, clip.start, clip.end) == (row["label"], row["start"], row["end"])
            assert clip.label == (to_vocabulary(row["label"]) or None)
            assert (clip.speaker, clip.split) == (row["speaker"] or "mine", row["split"] or None)
