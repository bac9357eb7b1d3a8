import pytest

from support.layouts import write_noise
from voicefit.corpora.layout import audio_files, find_root, subfolders
from voicefit.errors import VoicefitError


def has_mark(folder):
    return (folder / "mark").is_file()


def test_audio_files_are_sorted_and_exclude_hidden_and_other_files(tmp_path):
    for name in ("b.wav", "a.flac", ".hidden.wav", "._a.wav", "C.WAV"):
        write_noise(tmp_path / name.replace("C.WAV", "c.wav"), 0)
    (tmp_path / "c.wav").rename(tmp_path / "C.WAV")
    (tmp_path / "notes.txt").write_text("no audio")
    (tmp_path / "folder.wav").mkdir()
    assert [path.name for path in audio_files(tmp_path)] == ["C.WAV", "a.flac", "b.wav"]


def test_audio_files_exclude_hidden_folders(tmp_path):
    write_noise(tmp_path / "__MACOSX" / "._a.wav", 0)
    write_noise(tmp_path / ".trash" / "a.wav", 0)
    write_noise(tmp_path / "kept" / "a.wav", 0)
    assert [path.parent.name for path in audio_files(tmp_path, "**/*")] == ["kept"]


def test_the_folder_itself_comes_before_its_subfolders(tmp_path):
    (tmp_path / "below").mkdir()
    for folder in (tmp_path, tmp_path / "below"):
        (folder / "mark").touch()
    assert find_root(tmp_path, has_mark, "a mark") == tmp_path


def test_one_subfolder_is_found_and_several_are_named(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mark").touch()
    assert find_root(tmp_path, has_mark, "a mark") == tmp_path / "one"
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "mark").touch()
    with pytest.raises(VoicefitError, match="one, two"):
        find_root(tmp_path, has_mark, "a mark")


def test_a_wrong_or_absent_folder_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(VoicefitError, match=rf"{tmp_path}: expected a mark here"):
        find_root(tmp_path, has_mark, "a mark")
    with pytest.raises(VoicefitError, match=r"absent: no such folder.*a mark"):
        find_root(tmp_path / "absent", has_mark, "a mark")


def test_subfolders_leave_files_out(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "file").touch()
    assert [path.name for path in subfolders(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["a.wav"]),
        ("*/*", ["s 1/b.wav", "t/c.wav"]),
        ("**/*", ["a.wav", "s 1/b.wav", "s 1/x/y/d.wav", "t/c.wav"]),
        ("s */**/*", ["s 1/b.wav", "s 1/x/y/d.wav"]),
        ("*/x/*/*", ["s 1/x/y/d.wav"]),
    ],
)
def test_patterns_are_those_of_glob_and_links_are_followed(tmp_path, pattern, expected):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for path in (root / "a.wav", root / "s 1" / "b.wav", root / "s 1" / "x" / "y" / "d.wav", elsewhere / "c.wav"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "t").symlink_to(elsewhere)
    assert [path.relative_to(root).as_posix() for path in audio_files(root, pattern)] == expected
