import errno
import os
import signal
import stat
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import SUPPORT
from support.layouts import build_folder, write_noise
from support.new_process import Started
from support.tiny_models import BUILDERS, build_wav2vec2_group_norm, make_waveform
from voicefit.audio import AudioError, load_waveform
from voicefit.corpora import Clip, folder
from voicefit.encoders import FrontCache, FrontEnd, Reading, cache_limit, load_encoder
from voicefit.encoders import cache as cache_module
from voicefit.errors import VoicefitError
from voicefit.system import digests
from voicefit.system.machine import limit_threads

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_wav2vec2_group_norm(tmp_path_factory.mktemp("model"))


@pytest.fixture
def encoder(model):
    return load_encoder(model)


@pytest.fixture
def clips(tmp_path):
    return folder.load("corpus", build_folder(tmp_path / "corpus")).clips


@pytest.fixture
def fronts(encoder, monkeypatch):
    """The waveforms that the front end was run on."""
    calls = []
    front = encoder.front
    monkeypatch.setattr(encoder, "front", lambda waveform: calls.append(waveform) or front(waveform))
    return calls


def entries(root):
    return sorted(root.rglob("*.npy"))


def leftovers(root):
    return [path for path in root.rglob("*") if path.is_file() and path.suffix != ".npy"]


@pytest.mark.parametrize("frozen_layers", [0, 1])
@pytest.mark.parametrize("family", list(BUILDERS))
def test_cached_frames_are_the_front_ends_in_half_precision(tmp_path, family, frozen_layers):
    encoder = load_encoder(BUILDERS[family](tmp_path / "model"), Reading(frozen_layers=frozen_layers))
    soundfile.write(tmp_path / "clip.wav", make_waveform(0.7), 16_000)
    clip = Clip("clip.wav", tmp_path / "clip.wav", "me", "anger")
    exact = encoder.front(load_waveform(clip.path))
    first, again = (FrontCache(encoder, tmp_path / "cache").frames(clip) for _ in range(2))
    assert first.dtype == again.dtype == torch.float16
    assert torch.equal(first, exact.half())
    assert torch.equal(again, exact.half())
    # Rounding to 11 bits moves a pooled vector, whose entries are of size 1, by less than 0.01.
    torch.testing.assert_close(encoder.pool([again]), encoder.pool([exact]), atol=1e-2, rtol=0)


def test_an_encoder_that_does_not_resample_hears_more_frames(model, tmp_path):
    soundfile.write(tmp_path / "clip.wav", make_waveform(1.0), 32_000)  # half a second of sound
    clip = Clip("clip.wav", tmp_path / "clip.wav", "me", "anger")
    resampled, as_it_is = (
        FrontCache(load_encoder(model, Reading(front_end=FrontEnd(resample=resample))), tmp_path / "cache").frames(clip)
        for resample in (True, False)
    )
    assert (len(resampled), len(as_it_is)) == (24, 49)


def test_a_cached_clip_needs_no_front_end(encoder, clips, fronts, tmp_path):
    first = FrontCache(encoder, tmp_path / "cache")
    assert first.fill(clips) == {}
    assert len(fronts) == len(clips) == len(entries(tmp_path / "cache"))
    first.fill(clips)
    second = FrontCache(encoder, tmp_path / "cache")
    second.fill(clips)
    assert len(fronts) == len(clips)


def test_frames_read_from_the_cache_may_be_changed(encoder, clips, tmp_path):
    cache = FrontCache(encoder, tmp_path / "cache")
    before = cache.frames(clips[0]).clone()
    cache.frames(clips[0]).zero_()
    assert torch.equal(cache.frames(clips[0]), before)


def test_an_edited_recording_is_not_taken_for_the_old_one(encoder, clips, fronts, tmp_path):
    FrontCache(encoder, tmp_path / "cache").frames(clips[0])
    write_noise(clips[0].path, seed=99)
    frames = FrontCache(encoder, tmp_path / "cache").frames(clips[0])
    assert len(fronts) == 2
    assert torch.equal(frames, encoder.front(load_waveform(clips[0].path)).half())


def test_parts_of_one_file_are_kept_apart(encoder, fronts, tmp_path):
    soundfile.write(tmp_path / "long.wav", make_waveform(1), 16_000)
    whole = Clip("long.wav", tmp_path / "long.wav", "me", "anger")
    parts = [whole, replace(whole, end=0.5), replace(whole, start=0.5), replace(whole, start=0.25, end=0.5)]
    cache = FrontCache(encoder, tmp_path / "cache")
    assert [len(cache.frames(part)) for part in parts] == [49, 24, 24, 12]
    assert len(fronts) == 4


def test_encoders_with_other_front_ends_share_no_entry(model, clips, tmp_path):
    for frozen_layers in (0, 1):
        FrontCache(load_encoder(model, Reading(frozen_layers=frozen_layers)), tmp_path / "cache").frames(clips[0])
    assert len(entries(tmp_path / "cache")) == 2


def test_as_many_clips_are_read_at_once_as_asked_for_where_torch_has_one_thread(encoder, clips, tmp_path, monkeypatch):
    both_are_here = threading.Barrier(2)
    front = encoder.front

    def meet(waveform):
        both_are_here.wait(timeout=30)  # raises where no other clip is read meanwhile
        return front(waveform)

    monkeypatch.setattr(encoder, "front", meet)
    with limit_threads(1):
        assert FrontCache(encoder, tmp_path / "cache").fill(clips[:4], at_once=2) == {}
    assert len(entries(tmp_path / "cache")) == 4


def test_broken_clips_are_named_with_the_reason_and_the_others_cached(encoder, clips, tmp_path):
    clips[0].path.write_text("not audio")
    clips[1].path.unlink()
    soundfile.write(clips[2].path, np.zeros(100), 16_000)
    told = []
    broken = FrontCache(encoder, tmp_path / "cache").fill(clips, lambda: told.append(1))
    assert {clip_id: reason.split(":")[0] for clip_id, reason in broken.items()} == {
        clips[0].id: "unreadable",
        clips[1].id: "missing",
        clips[2].id: "too-short",
    }
    assert all(str(clip.path) in broken[clip.id] for clip in clips[:3])
    assert len(entries(tmp_path / "cache")) == len(clips) - 3
    assert len(told) == len(clips)
    with pytest.raises(AudioError):
        FrontCache(encoder, tmp_path / "cache").frames(clips[0])


def test_the_folder_is_the_one_the_environment_names(encoder, clips, tmp_path, monkeypatch):
    monkeypatch.setenv("VOICEFIT_CACHE", str(tmp_path / "mine"))
    FrontCache(encoder).frames(clips[0])
    assert len(entries(tmp_path / "mine")) == 1


def test_entries_are_readable_by_whom_the_umask_says(encoder, clips, tmp_path):
    """A cache on a shared disk is of use to the group only if the group can read it."""
    old = os.umask(0o027)
    try:
        FrontCache(encoder, tmp_path / "cache").frames(clips[0])
    finally:
        os.umask(old)
    assert stat.S_IMODE(entries(tmp_path / "cache")[0].stat().st_mode) == 0o640


def bytes_of(root):
    return sum(entry.stat().st_size for entry in entries(root))


def test_a_plan_says_to_the_byte_what_filling_writes(model, clips, tmp_path):
    soundfile.write(tmp_path / "long.flac", make_waveform(7.0), 44_100)  # 2.5 s at their true speed
    long = Clip("long.flac", tmp_path / "long.flac", "me", "anger")
    parts = [long, replace(long, start=0.5), replace(long, end=0.7), replace(long, start=0.2, end=0.4)]
    clips[0].path.write_text("not audio")
    wanted = [*clips, *parts, parts[0]]
    for name, front_end in (("plain", FrontEnd(max_seconds=2.0)), ("published", FrontEnd(resample=False))):
        cache = FrontCache(load_encoder(model, Reading(front_end=front_end)), tmp_path / name)
        told = []
        plan = cache.plan(wanted, lambda told=told: told.append(1))
        assert entries(tmp_path / name) == []
        cache.fill(wanted)
        assert (plan.clips, plan.bytes) == (len(wanted) - 2, bytes_of(tmp_path / name))
        assert len(told) == len(wanted)
        assert opened_anew(cache).plan(wanted).clips == 0


def test_what_is_there_already_is_not_planned_for(encoder, clips, tmp_path):
    whole = FrontCache(encoder, tmp_path / "cache").plan(clips)
    FrontCache(encoder, tmp_path / "cache").fill(clips[:3])
    rest = FrontCache(encoder, tmp_path / "cache").plan(clips)
    assert (rest.clips, rest.bytes) == (whole.clips - 3, whole.bytes - bytes_of(tmp_path / "cache"))


@pytest.fixture
def limit(monkeypatch):
    """Sets the limit in bytes, and takes from memory what would hide that there is one."""
    monkeypatch.setattr(cache_module, "_physical_memory", lambda: 0)
    return lambda size: monkeypatch.setenv("VOICEFIT_CACHE_LIMIT", str(size / 10**9))


def test_a_limit_is_kept_over_clips_and_caches_and_the_rest_is_computed(encoder, clips, fronts, limit, tmp_path):
    expected = [encoder.front(load_waveform(clip.path)).half() for clip in clips]
    size = FrontCache(encoder, tmp_path / "cache").plan(clips[:1]).bytes
    limit(3.5 * size)
    for part in (clips[:2], clips):
        plan = FrontCache(encoder, tmp_path / "cache").plan(part)
        fronts.clear()
        assert FrontCache(encoder, tmp_path / "cache").fill(part) == {}
        assert plan.clips >= len(fronts)  # nothing was computed that is not kept
    assert "; VOICEFIT_CACHE_LIMIT leaves room for " in plan.words()
    assert len(entries(tmp_path / "cache")) == 3
    assert bytes_of(tmp_path / "cache") <= 3.5 * size
    cache = FrontCache(encoder, tmp_path / "cache")
    for _ in range(2):
        fronts.clear()
        assert all(torch.equal(cache.frames(clip), frames) for clip, frames in zip(clips, expected, strict=True))
        assert len(fronts) == len(clips) - 3
    assert len(entries(tmp_path / "cache")) == 3


def test_clips_that_are_worked_on_at_once_keep_to_the_limit_together(encoder, clips, limit, tmp_path, monkeypatch):
    size = FrontCache(encoder, tmp_path / "cache").plan(clips[:1]).bytes
    limit(2.5 * size)
    all_have_frames = threading.Barrier(4)
    front = encoder.front

    def meet(waveform):
        frames = front(waveform)
        all_have_frames.wait(timeout=30)
        return frames

    monkeypatch.setattr(encoder, "front", meet)
    with limit_threads(1):
        assert FrontCache(encoder, tmp_path / "cache").fill(clips[:4], at_once=3) == {}
    assert len(entries(tmp_path / "cache")) == 2
    assert bytes_of(tmp_path / "cache") <= 2.5 * size


def test_a_limit_of_nothing_writes_nothing_and_gives_the_same_frames(encoder, clips, fronts, limit, tmp_path):
    expected = [FrontCache(encoder, tmp_path / "cache").frames(clip) for clip in clips]
    limit(0)
    cache = FrontCache(encoder, tmp_path / "nothing")
    fronts.clear()
    clips[0].path.write_text("not audio")
    assert set(cache.fill(clips)) == {clips[0].id}
    assert fronts == []
    assert all(torch.equal(cache.frames(clip), frames) for clip, frames in zip(clips[1:], expected[1:], strict=True))
    assert not (tmp_path / "nothing").exists()


def test_without_a_cache_frames_are_held_in_memory_as_far_as_they_fit(encoder, clips, fronts, tmp_path, monkeypatch):
    monkeypatch.setenv("VOICEFIT_CACHE_LIMIT", "0")
    frames = encoder.front(load_waveform(clips[0].path)).half()
    monkeypatch.setattr(cache_module, "_physical_memory", lambda: 2 * 8 * int(2.5 * frames.nbytes))
    cache = FrontCache(encoder, tmp_path / "cache", processes=2)
    for _ in range(2):
        fronts.clear()
        cache.fill(clips)
        assert [len(cache.frames(clip)) for clip in clips] == [len(frames)] * len(clips)
    assert len(fronts) == len(clips) - 2


def test_processes_share_what_a_limit_leaves(encoder, clips, limit, tmp_path):
    size = FrontCache(encoder, tmp_path / "cache").plan(clips[:1]).bytes
    limit(4.5 * size)
    caches = [FrontCache(encoder, tmp_path / "cache", processes=2) for _ in range(2)]
    assert caches[0].plan(clips).room == pytest.approx(4.5 * size, abs=2)
    caches[1].plan([])  # begins before the other has stored anything
    caches[0].fill(clips)
    assert len(entries(tmp_path / "cache")) == 2
    caches[1].fill(reversed(clips))
    assert len(entries(tmp_path / "cache")) == 4


@pytest.mark.parametrize("given", ["ten", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_of_gigabytes_is_refused(encoder, given, monkeypatch):
    monkeypatch.setenv("VOICEFIT_CACHE_LIMIT", given)
    with pytest.raises(VoicefitError, match=f"VOICEFIT_CACHE_LIMIT={given}: give a number of GB, or 0"):
        FrontCache(encoder)


def test_a_disk_that_is_too_small_is_an_error_before_anything_is_written(encoder, clips, tmp_path, monkeypatch):
    plan = FrontCache(encoder, tmp_path / "a" / "b").plan(clips)
    plan.check()
    monkeypatch.setattr(cache_limit.shutil, "disk_usage", lambda path: SimpleNamespace(free=plan.bytes - 1))
    with pytest.raises(VoicefitError, match=r"the disk is too small for the front-end cache: 8 more .* VOICEFIT_CACHE"):
        FrontCache(encoder, tmp_path / "a" / "b").plan(clips).check()
    monkeypatch.setenv("VOICEFIT_CACHE_LIMIT", str((plan.bytes - 1) / 10**9))
    FrontCache(encoder, tmp_path / "a" / "b").plan(clips).check()


def test_a_disk_that_fills_up_meanwhile_is_an_error_that_says_what_to_do(encoder, clips, tmp_path, monkeypatch):
    def full(*given, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(VoicefitError, match=r"cannot be written to \(No space left on device\); make room, "):
        FrontCache(encoder, tmp_path / "cache").fill(clips)
    assert leftovers(tmp_path / "cache") == []


def test_a_file_is_read_once_for_all_of_its_clips_and_again_when_it_has_changed(encoder, model, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "long.wav", make_waveform(2), 16_000)
    os.utime(tmp_path / "long.wav", (1e9, 1e9))
    monkeypatch.setattr(digests, "_TIME_RESOLUTION_NS", 0)  # as if the file had been there for a while
    parts = [Clip("", tmp_path / "long.wav", "me", "anger", start=start / 4, end=start / 4 + 0.2) for start in range(6)]
    read, digest = [], cache_module.hashlib.file_digest
    monkeypatch.setattr(cache_module.hashlib, "file_digest", lambda *given: read.append(given) or digest(*given))
    for _ in range(2):
        cache = FrontCache(encoder, tmp_path / "cache")
        cache.plan(parts)
        cache.fill(parts)
    FrontCache(load_encoder(model, Reading(frozen_layers=1)), tmp_path / "cache").fill(parts)
    assert len(read) == 1
    soundfile.write(tmp_path / "long.wav", make_waveform(2, seed=1), 16_000)
    os.utime(tmp_path / "long.wav", (1.1e9, 1.1e9))
    frames = FrontCache(encoder, tmp_path / "cache").frames(parts[0])
    assert len(read) == 2
    assert torch.equal(frames, encoder.front(load_waveform(parts[0].path, 0.0, 0.2)).half())


@pytest.fixture(scope="module")
def cached_entry(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("damaged")
    clip = folder.load("corpus", build_folder(root / "corpus")).clips[0]
    cache = FrontCache(load_encoder(model), root / "cache")
    frames = cache.frames(clip)
    (entry,) = entries(root / "cache")
    return cache, clip, frames, entry, entry.read_bytes()


def opened_anew(cache):
    """The same folder with nothing held in memory."""
    return FrontCache(cache.encoder, cache.folder.parent)


def other_array(array):
    def write(path):
        np.save(path, array)

    return write


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:40]),
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
        lambda path: path.write_bytes(bytes(500)),
        other_array(np.zeros((2, 8))),
        other_array(np.zeros(8, np.float16)),
    ],
    ids=["empty", "last byte gone", "header cut", "like a zip", "zeros", "float64", "one-dimensional"],
)
def test_a_damaged_entry_is_computed_again(cached_entry, damage):
    cache, clip, frames, entry, whole = cached_entry
    entry.write_bytes(whole)
    damage(entry)
    assert torch.equal(opened_anew(cache).frames(clip), frames)
    assert entry.read_bytes() == whole


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 127), value=st.binary(min_size=1, max_size=4), cut=st.integers(1, 500))
def test_no_damage_to_an_entrys_header_stops_a_run(cached_entry, position, value, cut):
    cache, clip, frames, entry, whole = cached_entry
    entry.write_bytes(whole[:position] + value + whole[position + len(value) : -cut])
    assert torch.equal(opened_anew(cache).frames(clip), frames)


# Real processes


def start(folder, *arguments):
    return Started([SUPPORT / "fill_cache.py", *arguments], folder)


def read_all(root):
    return {path.relative_to(root): path.read_bytes() for path in entries(root)}


@pytest.mark.slow(12)
def test_processes_that_fill_one_cache_together_give_what_one_alone_gives(encoder, model, clips, tmp_path):
    speakers = tuple("abcdefgh")
    corpus = build_folder(tmp_path / "many", speakers=speakers)
    FrontCache(encoder, tmp_path / "alone").fill(folder.load("many", corpus).clips)
    started = start(tmp_path, model, corpus, tmp_path / "shared", tmp_path / "go")
    assert started.first_line() == "ready"
    (tmp_path / "go").touch()
    assert FrontCache(encoder, tmp_path / "shared").fill(folder.load("many", corpus).clips) == {}
    assert started.end(60)[:2] == (0, "ready\n{}\n")
    assert read_all(tmp_path / "shared") == read_all(tmp_path / "alone")
    assert len(read_all(tmp_path / "alone")) == 4 * len(speakers)
    assert leftovers(tmp_path / "shared") == []


@pytest.mark.slow(9)
def test_a_kill_in_the_middle_of_an_entry_leaves_a_valid_cache(encoder, model, clips, fronts, tmp_path):
    FrontCache(encoder, tmp_path / "whole").fill(clips)
    (tmp_path / "go").touch()
    started = start(tmp_path, model, tmp_path / "corpus", tmp_path / "killed", tmp_path / "go", 3)
    assert started.end(60)[0] == -signal.SIGKILL
    whole = read_all(tmp_path / "whole")
    survivors = read_all(tmp_path / "killed")
    assert len(survivors) in (2, 3)
    # The half-written one, and perhaps one of another thread, under names that no one reads.
    assert len(leftovers(tmp_path / "killed")) in (1, 2)
    assert survivors.items() <= whole.items()
    fronts.clear()
    assert FrontCache(encoder, tmp_path / "killed").fill(clips) == {}
    assert len(fronts) == len(clips) - len(survivors)
    assert read_all(tmp_path / "killed") == whole
