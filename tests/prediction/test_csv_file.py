import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from support.layouts import write_noise
from voicefit.errors import VoicefitError
from voicefit.prediction.csv_file import predict_to_csv
from voicefit.prediction.model import load_model

CLIPS = 60


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for index in range(CLIPS):
        write_noise(folder / f"{index:03}.wav", index, seconds=0.3)
    (folder / "broken.wav").write_bytes(b"RIFF no audio")
    return folder


@pytest.fixture(scope="module")
def mini():
    return load_model("mini")


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_file_has_a_row_that_agrees_with_predict_files(clips, mini, tmp_path):
    before, written, unusable = predict_to_csv(mini, [clips], tmp_path / "p.csv")
    rows, found = rows_of(tmp_path / "p.csv"), mini.predict_files([clips])
    assert (before, written) == (0, CLIPS + 1)
    assert [row["file"] for row in rows] == [item.file for item in found]
    for row, item in zip(rows, found, strict=True):
        assert (row["label"], row["error"], row["remark"]) == (item.label, item.error, item.remark)
        for label, chance in item.probabilities.items():
            assert float(row[label]) == pytest.approx(chance, abs=1e-6)
    assert [item.file for item in unusable] == [str(clips / "broken.wav")]
    assert not list(tmp_path.glob(".*.lock"))


@pytest.mark.slow(2)
def test_killed_again_and_again_it_is_whole_in_the_end(clips, mini, tmp_path):
    out, kills = tmp_path / "p.csv", 0
    command = [sys.executable, "-m", "voicefit", "predict", "mini", str(clips), "--out", str(out)]
    while kills < 3:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        size = out.stat().st_size if out.exists() else 0
        while process.poll() is None and (not out.exists() or out.stat().st_size <= size + 300):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    part = rows_of(out)
    assert 0 < len(part) < CLIPS  # else nothing was resumed
    with out.open("ab") as file:  # a row that the kill has torn
        file.write(b'"torn, ro')
    subprocess.run(command, check=True, capture_output=True)
    whole = tmp_path / "whole.csv"
    predict_to_csv(mini, [clips], whole)
    assert out.read_bytes() == whole.read_bytes()


def test_a_second_call_reads_nothing_again(clips, mini, tmp_path):
    out, read = tmp_path / "p.csv", []
    predict_to_csv(mini, [clips / "000.wav", clips / "001.wav"], out)
    before, written, _ = predict_to_csv(mini, [clips], out, lambda what, done, total: read.append(total))
    assert (before, written) == (2, CLIPS - 1)
    assert set(read) == {CLIPS + 1 - 2}
    files = [row["file"] for row in rows_of(out)]
    assert len(files) == len(set(files)) == CLIPS + 1


@pytest.mark.parametrize("content", [b"my notes\n", b"file,label,calm,error,remark\na.wav,calm,1,,\n", b"no line"])
def test_another_file_is_not_written_to(content, clips, mini, tmp_path):
    out = tmp_path / "p.csv"
    out.write_bytes(content)
    with pytest.raises(VoicefitError, match="exists and holds no predictions"):
        predict_to_csv(mini, [clips], out)
    assert out.read_bytes() == content


def test_two_processes_do_not_write_one_file(clips, mini, tmp_path):
    with FileLock(tmp_path / ".p.csv.lock"), pytest.raises(VoicefitError, match="another process is writing it"):
        predict_to_csv(mini, [clips], tmp_path / "p.csv")


def test_names_with_commas_quotes_and_line_breaks_are_one_row(mini, tmp_path):
    names = ['a,"b".wav', "c d.wav"] + (["e\nf.wav", os.fsdecode(b"g\xff.wav")] if os.name == "posix" else [])
    write_noise(tmp_path / "one.wav", 0, seconds=0.3)
    (tmp_path / "odd").mkdir()
    for name in names:
        shutil.copy(tmp_path / "one.wav", tmp_path / "odd" / name)
    out = tmp_path / "p.csv"
    predict_to_csv(mini, [tmp_path / "odd"], out)
    assert predict_to_csv(mini, [tmp_path / "odd"], out)[0] == len(names)
    assert len(out.read_text().splitlines()) == len(names) + 1


def test_a_folder_without_a_file_that_can_be_read_is_an_error_of_one_line(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.wav").write_bytes(b"RIFF no audio")
    command = [
        sys.executable,
        "-m",
        "voicefit",
        "predict",
        "mini",
        str(tmp_path / "a"),
        "--out",
        str(tmp_path / "p.csv"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "none of these files could be read as audio" in done.stderr and "Traceback" not in done.stderr
    assert [row["file"] for row in rows_of(tmp_path / "p.csv")] == [str(tmp_path / "a" / "broken.wav")]
