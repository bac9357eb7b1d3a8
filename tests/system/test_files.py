import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from voicefit.errors import VoicefitError
from voicefit.system.files import new_directory, new_file, require_absent, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_directory_appears_whole_when_the_block_ends(tmp_path):
    target = tmp_path / "deep" / "out"
    with new_directory(target) as building:
        (building / "one").write_text("1")
        assert not target.exists()
    assert names(target) == ["one"]
    assert names(target.parent) == ["out"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_block_leaves_nothing(tmp_path, error):
    with pytest.raises(error), new_directory(tmp_path / "out") as building:
        (building / "folder").mkdir()
        (building / "folder" / "file").write_text("1")
        raise error
    assert names(tmp_path) == []


def test_an_empty_folder_may_be_filled_and_survives_a_failure(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(ValueError, match="stop"), new_directory(target):
        raise ValueError("stop")
    assert names(target) == []
    with new_directory(target) as building:
        (building / "one").write_text("1")
    assert names(target) == ["one"]


def test_an_output_that_holds_something_is_refused_and_kept(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("1")
    (tmp_path / "file").write_text("1")
    for target in (tmp_path / "folder", tmp_path / "file"):
        with pytest.raises(VoicefitError, match=f"{target}: exists already"), new_directory(target):
            pytest.fail("the block must not run")
        with pytest.raises(VoicefitError):
            require_absent(target)
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "folder" / "mine").read_text() == "1"


def test_an_output_below_a_file_or_where_one_may_not_write_is_refused_beforehand(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for deep in ("out", "deep/out"):
        with pytest.raises(VoicefitError, match=f"{deep}: {tmp_path / 'file'} is a file, not a folder"):
            require_absent(tmp_path / "file" / deep)
    require_absent(tmp_path / "deep" / "out")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(VoicefitError, match=f"the folder {tmp_path} may not be written to"):
        require_absent(tmp_path / "deep" / "out")
    assert names(tmp_path) == ["file"]


WRITER = """
import sys, time
from pathlib import Path
from voicefit.system.files import new_directory
with new_directory(Path(sys.argv[1])) as folder:
    (folder / "model.safetensors").write_text("half")
    print(folder.name, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def write_slowly():
    """Begin to write a folder in another process, and wait until there is something in it."""
    processes = []

    def begin(target):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def test_what_a_killed_process_left_is_cleared_by_the_next_write_to_the_same_place(tmp_path, write_slowly):
    places = {name: write_slowly(tmp_path / name) for name in ("out", "out-2", "[out]")}
    alive, its_folder = write_slowly(tmp_path / "out")
    for process, _ in places.values():
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = {name: folder for name, (_, folder) in places.items()}
    assert {*left.values(), its_folder} <= set(names(tmp_path))
    with new_directory(tmp_path / "out") as building:
        (building / "one").write_text("1")
    assert names(tmp_path / "out") == ["one"]
    folders = {name for name in names(tmp_path) if name.endswith(".part")}
    assert folders == {left["out-2"], left["[out]"], its_folder}
    assert names(tmp_path / its_folder) == ["model.safetensors"]
    with new_directory(tmp_path / "[out]"):
        pass
    assert left["[out]"] not in names(tmp_path)
    assert alive.poll() is None


def test_a_write_within_a_write_to_the_same_place_is_left_alone(tmp_path):
    with new_directory(tmp_path / "out") as first:
        with pytest.raises(ValueError, match="stop"), new_directory(tmp_path / "out"):
            raise ValueError("stop")
        (first / "one").write_text("1")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["one"]


def test_text_replaces_a_file_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "note.txt"
    write_text(path, "first ä")
    seen = []
    replace = os.replace

    def watch(source, target):
        seen.append((path.read_text(encoding="utf-8"), Path(source).read_text(encoding="utf-8")))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    write_text(path, "second")
    assert seen == [("first ä", "second")]
    assert path.read_bytes() == b"second"
    assert names(path.parent) == ["note.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with pytest.raises(OSError, match="full"), new_file(path) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_names_of_files_that_are_no_utf8_can_be_written(tmp_path):
    name = os.fsdecode(b"w\xfctend.wav")
    write_json(tmp_path / "a.json", {name: 1})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {name: 1}


def test_files_are_readable_by_whom_the_umask_says(tmp_path):
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "note.txt", "1")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "note.txt").stat().st_mode) == 0o644


def test_json_is_readable_by_people(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Æsop", "n": [1]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"name": "Æsop", "n": [1]}
    assert "Æsop" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path, error):
    words = r"model: cannot be written \(No space left on device\); the same command resumes where it can$"
    with pytest.raises(VoicefitError, match=words), new_directory(tmp_path / "model") as folder:
        (folder / "begun").touch()
        raise error
    assert not list(tmp_path.iterdir())


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(KeyError), new_directory(tmp_path / "model"):
        raise KeyError("something")


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_directory_takes_the_place_of_another(tmp_path, monkeypatch, in_one_step):
    if not in_one_step:  # as where the system cannot exchange names
        monkeypatch.setattr("voicefit.system.files._exchange", lambda one, other: False)
    target = tmp_path / "out"
    with new_directory(target, overwrite=True) as building:
        (building / "one").write_text("1")
    with new_directory(target, overwrite=True) as building:
        (building / "two").write_text("2")
        assert names(target) == ["one"]
    assert names(target) == ["two"]
    assert names(tmp_path) == ["out"]
    with pytest.raises(ValueError, match="on the way"), new_directory(target, overwrite=True) as building:
        raise ValueError("on the way")
    assert names(target) == ["two"] and names(tmp_path) == ["out"]
