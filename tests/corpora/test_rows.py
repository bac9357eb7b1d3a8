import ast
import csv
import inspect

import pandas as pd
import pytest

from voicefit.corpora import _MODULES, rows, table
from voicefit.corpora.rows import read_rows
from voicefit.errors import VoicefitError

TABLES = {
    "plain": "a,b,c\n1,2,3\n4,5,6\n",
    "quoted": '"","a","b"\n"1","x, y","he said ""no"""\n',
    "lines within quotes": 'a,b\n"first\nsecond",2\n3,4\n',
    "blank lines": "a,b\n\n1,2\n   \n3,4\n\n",
    "cut short": "a,b,c\n1,2,3\n4\n",
    "no last line end": "a,b\n1,2",
    "line ends of Windows": "a,b\r\n1,2\r\n3,4\r\n",
    "line ends of old Macs": "a,b\r1,2\r3,4\r",
    "a byte order mark": "\N{ZERO WIDTH NO-BREAK SPACE}a,b\n1,2\n",
    "what pandas takes for nothing": "a,b\nNA,null\nnan,None\n,\n",
    "spaces": "a,b\n 1 ,\t2\n",
    "a column twice": "a,b,a\n1,2,3\n",
    "letters of any kind": "a,b\nżółć,怒り\n",
    "an apostrophe": "a,b\nit's,5\" long\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_those_of_pandas(tmp_path, name):
    path = tmp_path / "table.csv"
    path.write_text(TABLES[name], encoding="utf-8", newline="")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False).fillna("")
    expected = [{column: row[column].strip() for column in ("a", "b")} for _, row in frame.iterrows()]
    assert read_rows(path, ("a", "b"), "a table") == expected
    assert expected


def test_rows_without_quoting_are_those_of_pandas(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text('a\tb\n„Tak"\t"\n"x\ty"\n', encoding="utf-8")
    frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    assert read_rows(path, ("a", "b"), "a table", delimiter="\t", quoting=False) == frame.to_dict("records")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable as the labels .it is empty"),
        (b"\n  \n", "not readable as the labels .it is empty"),
        (b"\xff\xfe\x00garbage", "not readable as the labels .*decode"),
        (b'a,b\n1,"2\n3,4\n', "not readable as the labels .*unexpected end of data"),
        (b"a,b\n1,2\n1,2,3\n", "row 2 has more values than there are columns"),
        (b"a,c\n1,2\n", "no column b; is this the labels"),
        (b"x\n1\n", "no column a, b; is this the labels"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(VoicefitError, match=rf"^{path}: .*{message}"):
        read_rows(path, ("a", "b"), "the labels")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match=r"absent\.csv: not readable as the labels"):
        read_rows(tmp_path / "absent.csv", ("a",), "the labels")


@pytest.mark.parametrize(
    "module", [module for module in (*_MODULES, rows) if module is not table], ids=lambda module: module.__name__
)
def test_readers_import_no_pandas(module):
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names])
    }
    assert "pandas" not in imported
