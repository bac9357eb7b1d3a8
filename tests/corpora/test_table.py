import gzip
import json
import tempfile
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.layouts import write_noise
from voicefit.corpora import load_corpus, table, to_vocabulary
from voicefit.corpora.labels import plain
from voicefit.errors import VoicefitError


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False, double_precision=15)
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
        ("b.wav,sad,,,holdout", "row 3: split is 'holdout'"),
        ("a.wav,happy,,,", r"a\.wav is listed twice, as sad in row 2 and as happy in row 3"),
        ("x/../a.wav,happy,,,", r"a\.wav is listed twice, as sad in row 2 and as happy in row 3"),
        ("b.wav", "row 3: 1 values, fewer than the header, which has 5"),
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
        ("name,mood\na.wav,sad\n", "no column path and label; the columns are name, mood"),
        ("path,label, label\na.wav,sad,happy\n", "several columns are called label"),
        ("path,label\n", "no clip of table of clips"),
        ("path,label\na,b.wav,sad\n", "row 2: 3 values, more than the header"),
        ("path,label\nx.wav,sad\na,b.wav,sad\n", "row 3: 3 values, more than the header"),
        ('path,label\n"a.wav,sad\n', "not readable as a .csv table"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, message):
    with pytest.raises(VoicefitError, match=message):
        load_csv(tmp_path, text)


def test_an_absent_file_or_other_format_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match="no such file"):
        table.load("mine", tmp_path / "absent.csv")
    with pytest.raises(VoicefitError, match=r"ends in \.csv, \.tsv, \.jsonl, \.parquet"):
        (tmp_path / "clips.doc").touch()
        table.load("mine", tmp_path / "clips.doc")
    (tmp_path / "clips.xlsx").touch()
    with pytest.raises(VoicefitError, match="save it as CSV UTF-8"):
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
            assert clip.native_label == unicodedata.normalize("NFC", row["label"])
            assert (clip.start, clip.end) == (pytest.approx(row["start"]), row["end"] and pytest.approx(row["end"]))
            assert clip.label in (to_vocabulary(row["label"]) or None, plain(row["label"]))
            assert (clip.speaker, clip.split) == (
                unicodedata.normalize("NFC", row["speaker"]) or "mine",
                row["split"] or None,
            )


def rows_of(corpus):
    return [(clip.id, clip.label) for clip in corpus.clips]


TWO = [("calm/1.wav", "calm"), ("upset/2.wav", "upset")]


@pytest.fixture
def two(tmp_path):
    for seed, (name, _) in enumerate(TWO):
        write_noise(tmp_path / name, seed)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "path;label\ncalm/1.wav;calm\nupset/2.wav;upset\n",
        "path\tlabel\ncalm/1.wav\tcalm\nupset/2.wav\tupset\n",
        "sep=;\npath;label\ncalm/1.wav;calm\nupset/2.wav;upset\n",
        "path|label\ncalm/1.wav|calm\nupset/2.wav|upset\n",
        '"path";"label";"note, long"\n"calm/1.wav";"calm";"a, b, c"\nupset/2.wav;upset;\n',
        "path,label\r\ncalm\\1.wav,calm\r\nupset\\2.wav,upset\r\n",
        "path,label\rcalm/1.wav,calm\rupset/2.wav,upset\r",
        "Path,Label\n./calm/1.wav,calm\nC:\\Users\\me\\clips\\upset\\2.wav,upset\n",
        "file_name,emotion\n/home/me/clips/calm/1.wav,calm\nfile:///home/me/upset/2.wav,upset\n",
        "path,label,,\ncalm/1.wav,calm,x,2\nupset/2.wav,upset,,y\n",
        "wav,class\ncalm/1.wav,calm\nupset/2.wav,upset\nupset/2.wav,upset\n",
    ],
)
def test_tables_as_people_have_them(two, text):
    assert rows_of(load_csv(two, text)) == TWO


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_encodings_that_a_file_tells(two, encoding):
    (two / "t.csv").write_text(
        ("\ufeff" if encoding == "utf-16-le" else "") + "path,label\ncalm/1.wav,fröhlich\n", encoding
    )
    assert rows_of(table.load("mine", two / "t.csv")) == [("calm/1.wav", "fröhlich")]


def test_another_encoding_is_told_with_what_to_do(two):
    (two / "t.csv").write_bytes("path,label\ncalm/1.wav,calm\nupset/2.wav,fröhlich\n".encode("cp1252"))
    with pytest.raises(VoicefitError, match="row 3: byte 0xf6 is not UTF-8; save the table as UTF-8"):
        table.load("mine", two / "t.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('path,label,text\na.wav,calm,"so\nb.wav,calm,he said\nc.wav,calm,5" long\n', "row 2: .*quotation mark"),
        ('path,label,text\na.wav,calm,"so\nb.wav,calm,he\nc.wav,calm,5"\n', "row 2: a value runs over 3 lines"),
        ('text,path,label\n"so,a.wav,calm\nhe,b.wav,calm\n5"" long,c.wav,calm"\n', "row 2: a value runs over 3 lines"),
        ('text,path,label\n"so,a.wav,calm\nhe said,b.wav,calm\n5" long,c.wav,calm\n', "row 2: .*quotation mark"),
        ('path,label\na.wav,"calm\n', "row 2: .*quotation mark"),
    ],
)
def test_stray_quotation_marks_swallow_no_rows(tmp_path, text, message):
    with pytest.raises(VoicefitError, match=message):
        load_csv(tmp_path, text)


def test_a_text_of_several_lines_is_one_value(tmp_path):
    assert rows_of(load_csv(tmp_path, 'path,label,text\na.wav,calm,"so\nit, goes"\nb.wav,sad,\n')) == [
        ("a.wav", "calm"),
        ("b.wav", "sadness"),
    ]


def test_audformat_with_times_as_text_and_in_parquet(tmp_path):
    text = "file,start,end,emotion\na.wav,0 days 00:00:01.500000,0 days 00:00:02.5,sad\na.wav,0 days,NaT,calm\n"
    text = text.replace("0 days,NaT", "0 days 00:00:00,NaT")
    frame = pd.DataFrame(
        {
            "file": ["a.wav", "a.wav"],
            "start": pd.to_timedelta([1.5, 0], unit="s"),
            "end": pd.to_timedelta([2.5, None], unit="s"),
            "emotion": pd.Categorical(["sad", "calm"]),
        }
    ).set_index(["file", "start", "end"])
    frame.to_parquet(tmp_path / "db.parquet")
    for corpus in (load_csv(tmp_path, text), table.load("mine", tmp_path / "db.parquet")):
        assert [(clip.start, clip.end, clip.label) for clip in corpus.clips] == [
            (1.5, 2.5, "sadness"),
            (0.0, None, "calm"),
        ][:: -1 if corpus.clips[0].label == "calm" else 1]


def test_decimal_commas_where_semicolons_separate(tmp_path):
    clip = load_csv(tmp_path, "path;label;start;end\na.wav;sad;0,5;1,25\n").clips[0]
    assert (clip.start, clip.end) == (0.5, 1.25)


def test_manifests_of_nemo_and_lhotse(two):
    nemo = [{"audio_filepath": str(two / "calm/1.wav"), "offset": 0.01, "duration": 0.02, "label": "calm"}]
    (two / "nemo.jsonl").write_text("\n".join(map(json.dumps, nemo)))
    clip = load_corpus("mine", two / "nemo.jsonl").clips[0]
    assert (clip.path, clip.start, clip.end, clip.label) == (two / "calm/1.wav", 0.01, 0.03, "calm")
    cut = {
        "id": "c1",
        "start": 1.0,
        "duration": 4.0,
        "recording": {"sources": [{"type": "file", "source": "upset/2.wav"}]},
        "supervisions": [
            {"start": 0.5, "duration": 1.0, "speaker": "ann", "custom": {"emotion": "sad"}},
            {"start": 2.0, "duration": 1.0, "speaker": "bob", "custom": {"emotion": "calm"}},
        ],
    }
    with gzip.open(two / "cuts.jsonl.gz", "wt") as file:
        file.write(json.dumps(cut) + "\n")
    corpus = load_corpus("mine", two / "cuts.jsonl.gz")
    assert [(clip.speaker, clip.start, clip.end, clip.label) for clip in corpus.clips] == [
        ("ann", 1.5, 2.5, "sadness"),
        ("bob", 3.0, 4.0, "calm"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path": "a.wav", "label": "sad"}\n{"path"', "line 2: not readable as JSON"),
        ("[1, 2]\n", "line 1: a list; each line is one JSON object"),
        ('{"path": "a.wav", "label": ["sad", "calm"]}\n', "line 1: .* are several values"),
        ('{"path": {"a": 1}, "label": "sad"}\n', "line 1: .* is no text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, message):
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(VoicefitError, match=message):
        table.load("mine", tmp_path / "t.jsonl")


def test_a_file_that_a_mac_unpacked_is_found(tmp_path):
    name = unicodedata.normalize("NFD", "fröhlich.wav")
    write_noise(tmp_path / "é" / name, 1)
    clip = load_csv(tmp_path, "path,label\n" + unicodedata.normalize("NFC", "é/fröhlich.wav") + ",glad\n").clips[0]
    assert clip.path.is_file()


def test_columns_that_are_about_something_else_are_not_read_and_that_is_told(two):
    text = "path,label,channel,partition,begin\ncalm/1.wav,calm,phone,fold 1,soon\nupset/2.wav,upset,phone,,later\n"
    corpus = load_csv(two, text)
    assert [(clip.channel, clip.split, clip.start) for clip in corpus.clips] == [(None, None, 0.0)] * 2
    assert corpus.account.remarks == [
        "the column channel holds 'phone', which is no channel; it is not read",
        "the column partition holds 'fold 1', which is no split; it is not read",
        "the column begin holds 'soon', which is no time; it is not read",
    ]


def test_one_wrong_value_of_many_is_an_error(two):
    with pytest.raises(VoicefitError, match="row 3: channel is '0'; channels are numbered from 1"):
        load_csv(two, "path,label,channel\ncalm/1.wav,calm,1\nupset/2.wav,upset,0\n")


def test_a_row_names_a_channel(two):
    corpus = load_csv(two, "path,label,channel\ncalm/1.wav,calm,right\ncalm/1.wav,upset,1\n")
    assert [(clip.id, clip.label, clip.channel) for clip in corpus.clips] == [
        ("calm/1.wav#channel-1", "upset", 1),
        ("calm/1.wav#channel-2", "calm", 2),
    ]


def test_a_row_that_is_there_twice_is_told(two):
    corpus = load_csv(two, "path,label\ncalm/1.wav,calm\nupset/2.wav,upset\ncalm/1.wav,calm\n")
    assert corpus.account.left_out == {"row 4 of clips.csv": "lists calm/1.wav again"}


def test_half_a_character_in_a_manifest_is_named(tmp_path):
    lines = [{"path": "\U0001f600.wav", "label": "sad"}, {"path": "\ud83d.wav", "label": "sad"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(VoicefitError, match=r"m\.jsonl, line 2: half of a surrogate pair"):
        table.load("mine", tmp_path / "m.jsonl")


def test_every_supervision_of_every_cut_is_a_row(tmp_path):
    write_noise(tmp_path / "a.wav", 0, seconds=2)
    cuts = [["anger", "calm"], ["fear", "joy", "calm"]]
    lines = [
        {
            "recording": {"sources": [{"source": "a.wav"}]},
            "start": float(cut),
            "supervisions": [
                {"start": 0.1 * part, "duration": 0.1, "custom": {"emotion": label}, "speaker": f"{cut}-{part}"}
                for part, label in enumerate(labels)
            ],
        }
        for cut, labels in enumerate(cuts)
    ]
    manifest = tmp_path / "cuts.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)) + "\n")
    found = sorted(clip.speaker for clip in load_corpus("mine", manifest).clips)
    assert found == ["0-0", "0-1", "1-0", "1-1", "1-2"]
