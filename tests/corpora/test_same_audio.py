"""The same audio under other names."""

import hashlib
import multiprocessing
import os
import shutil

import numpy as np
import pytest
import soundfile

from support.spawned import in_new_process, needs_cores
from voicefit.corpora import Clip
from voicefit.corpora.same_audio import clip_audio, find_same_audio
from voicefit.system import digests, forks


def write(path, seed, seconds=0.5, **how):
    noise = np.random.default_rng(seed).integers(-9000, 9000, int(16000 * seconds)).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise, 16000, **how)
    return path


def clip(path, start=0.0, end=None):
    bounds = "" if end is None and not start else f"#{start}-{end}"
    return Clip(f"{path.parent.name}/{path.name}{bounds}", path, "anna", "calm", start=start, end=end)


def found(clips, others=()):
    return [(pair.clip.id, pair.kind, pair.other.id) for pair in find_same_audio(clips, others)]


@pytest.fixture
def first(tmp_path):
    return write(tmp_path / "a" / "1.wav", 1)


def test_links_copies_and_other_encodings_are_found_and_others_of_that_length_are_not(tmp_path, first):
    (tmp_path / "b").mkdir()
    os.symlink(first, tmp_path / "b" / "link.wav")
    shutil.copy(first, tmp_path / "b" / "copy.wav")
    write(tmp_path / "b" / "other.flac", 1)
    write(tmp_path / "b" / "another.wav", 2)
    names = ("link.wav", "copy.wav", "other.flac", "another.wav")
    assert found([clip(tmp_path / "b" / name) for name in names], [clip(first)]) == [
        ("b/link.wav", "file", "a/1.wav"),
        ("b/copy.wav", "bytes", "a/1.wav"),
        ("b/other.flac", "samples", "a/1.wav"),
    ]


HERE = os.getpid()


def digest_in_a_fork(path):
    assert os.getpid() != HERE
    return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()


def found_by_forks(clips, others):
    """Return the pairs, in a process that may take over what its forks have read, but not digest a file itself."""
    forks._WORTH_A_FORK = 1
    digests._TIME_RESOLUTION_NS = 0
    digests._digest_of = digest_in_a_fork
    pairs = found(clips, others)
    assert multiprocessing.active_children() == []
    return pairs


@needs_cores
def test_forks_find_what_one_process_finds(tmp_path, first):
    shutil.copy(first, tmp_path / "copy.wav")
    write(tmp_path / "other.flac", 1)
    clips = [clip(tmp_path / "copy.wav"), clip(tmp_path / "other.flac"), clip(tmp_path / "gone.wav")]
    alone = found(clips, [clip(first)])
    assert in_new_process(found_by_forks, clips, [clip(first)]) == alone
    assert [kind for _, kind, _ in alone] == ["bytes", "samples"]


def test_clips_that_begin_alike_are_not_the_same(tmp_path):
    beginning = np.random.default_rng(0).integers(-9000, 9000, 8000).astype(np.int16)
    for name, rest in (("1.wav", 1), ("2.wav", 2)):
        soundfile.write(tmp_path / name, np.concatenate([beginning, np.full(8000, rest, np.int16)]), 16000)
    assert found([clip(tmp_path / "1.wav"), clip(tmp_path / "2.wav")]) == []


def test_segments_that_overlap_are_found_in_copies_of_the_file_too(tmp_path, first):
    copy = shutil.copy(first, tmp_path / "copy.wav")
    parts = [clip(first, 0.0, 0.2), clip(first, 0.2, 0.4), clip(first, 0.3, None), clip(copy, 0.1, 0.15)]
    assert [(pair.clip.path.name, pair.kind, pair.other.end) for pair in find_same_audio(parts)] == [
        ("1.wav", "overlap", 0.4),
        ("copy.wav", "overlap", 0.2),
    ]


def test_a_segment_that_was_cut_out_is_found(tmp_path, first):
    samples, rate = soundfile.read(first, dtype="int16")
    soundfile.write(tmp_path / "cut.wav", samples[1600:4800], rate)
    assert found([clip(tmp_path / "cut.wav")], [clip(first, 0.1, 0.3)])[0][1] == "samples"


def test_others_are_not_compared_with_each_other(tmp_path, first):
    twin, third = shutil.copy(first, tmp_path / "twin.wav"), write(tmp_path / "3.wav", 3)
    assert found([clip(third)], [clip(first), clip(twin)]) == []


def test_files_that_cannot_be_read_are_like_their_copies_alone(tmp_path):
    for name, text in (("1.wav", "no audio"), ("2.wav", "none here"), ("3.wav", "no audio")):
        (tmp_path / name).write_text(text)
    clips = [clip(tmp_path / name) for name in ("1.wav", "2.wav", "3.wav", "gone.wav", "lost.wav")]
    assert [(pair.clip.path.name, pair.other.path.name) for pair in find_same_audio(clips)] == [("3.wav", "1.wav")]


def test_the_digest_of_a_clip_is_of_bytes_and_bounds(tmp_path, first):
    before = clip_audio(clip(first))
    assert clip_audio(clip(shutil.copy(first, tmp_path / "elsewhere.wav"))) == before
    assert clip_audio(clip(first, 0.0, 0.2)) != before
    stat = first.stat()
    write(first, 7)
    os.utime(first, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as tools do that work in place
    assert first.stat().st_size == stat.st_size
    assert clip_audio(clip(first)) != before


def test_progress_counts_all(tmp_path, first):
    calls = []
    find_same_audio([clip(first)], [clip(write(tmp_path / "2.wav", 2))], lambda: calls.append(1))
    assert len(calls) == 2


def test_two_channels_of_one_file_are_not_the_same_audio(tmp_path):
    left, right = (Clip(f"call#{n}", tmp_path / "call.wav", "s", "calm", channel=n) for n in (1, 2))
    soundfile.write(left.path, np.random.default_rng(0).normal(scale=0.1, size=(8000, 2)), 16_000)
    assert find_same_audio([left, right]) == []
    assert clip_audio(left) != clip_audio(right)
    assert [same.kind for same in find_same_audio([left, left])] == ["file"]
