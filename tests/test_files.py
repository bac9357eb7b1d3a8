import json
import os
import stat
from pathlib import Path

import pytest

from voicefit.errors import VoicefitError
from voicefit.files import new_directory, new_file, require_absent, write_json, write_text


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
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    with pytest.raises(OSError, match="full"), new_file(path) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


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
