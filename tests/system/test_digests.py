import os

import pytest

from voicefit.system import digests
from voicefit.system.digests import combined_digest, file_digest


@pytest.fixture
def reads(monkeypatch):
    read, digest = [], digests.hashlib.file_digest
    monkeypatch.setattr(digests.hashlib, "file_digest", lambda *given: read.append(1) or digest(*given))
    return read


def test_a_file_that_stays_as_it_is_is_read_once(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(digests, "_TIME_RESOLUTION_NS", 0)
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert file_digest(path) == file_digest(path) and len(reads) == 1


def test_a_file_that_has_only_just_changed_is_read_again(tmp_path, reads):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert file_digest(path) == file_digest(path) and len(reads) == 2


def test_a_change_is_seen_though_size_and_time_are_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "_TIME_RESOLUTION_NS", 0)
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before, stat = file_digest(path), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file_digest(path) != before


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path):
    assert file_digest(tmp_path / "gone") == file_digest(tmp_path) == b""


def test_parts_are_told_apart():
    assert combined_digest([b"ab", b"c"]) != combined_digest([b"a", b"bc"])
