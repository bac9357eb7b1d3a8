"""Lengths are what was decoded: joined files, headers that are wrong, encodings that cannot be sought."""

import io
import resource

import numpy as np
import pytest
import soundfile

from support.recorders import PITCH, by_ffmpeg, by_libsndfile, tone
from voicefit.audio import (
    SAMPLE_RATE,
    AudioError,
    as_waveform,
    decode_recording,
    load_waveform,
    read_recording,
    waveform_length,
)
from voicefit.audio.kinds import kind_of

KINDS = {
    "WAV": "PCM_16",
    "AIFF": "PCM_16",
    "FLAC": "PCM_16",
    "OGG": "VORBIS",
    "MP3": "MPEG_LAYER_III",
}


def decode_waveform(content, name, max_seconds):
    return decode_recording(content, name, max_seconds).waveform


def pitches(waveform, parts):
    """The pitch of each part of a waveform."""
    found = []
    for part in np.array_split(waveform, parts):
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        found.append(spectrum.argmax() * SAMPLE_RATE / len(part))
    return found


@pytest.mark.parametrize(("kind", "subtype"), [*KINDS.items(), ("OGG", "OPUS")])
@pytest.mark.parametrize("rates", [(16_000, 16_000), (16_000, 48_000), (48_000, 16_000)])
def test_of_joined_files_every_one_is_heard(tmp_path, kind, subtype, rates):
    path = tmp_path / "joined"
    parts = [tone(rate, 2.0, pitch) for rate, pitch in zip(rates, (300, 700), strict=True)]
    path.write_bytes(
        b"".join(by_libsndfile(kind, subtype, rate, part) for rate, part in zip(rates, parts, strict=True))
    )
    waveform = load_waveform(path)
    assert len(waveform) == pytest.approx(4 * SAMPLE_RATE, abs=2)
    assert pitches(waveform, 2) == pytest.approx([300, 700], abs=3)
    assert waveform_length(path) == pytest.approx(len(waveform), abs=2)
    inner = load_waveform(path, 1.5, 3.0)
    assert len(inner) == pytest.approx(1.5 * SAMPLE_RATE, abs=2)
    assert pitches(inner, 3) == pytest.approx([300, 700, 700], abs=5)


def mp3(seconds, pitch=PITCH):
    return by_libsndfile("MP3", "MPEG_LAYER_III", 44_100, tone(44_100, seconds, pitch))


def without_first_frame(content: bytes) -> bytes:
    return content[content.index(b"\xff\xfb", 4) :]


def test_an_mp3_of_which_no_frame_tells_the_length_is_read_whole():
    loud_end = np.r_[np.zeros(10 * 44_100), tone(44_100, 10.0)]  # small frames first: the length by their size is wrong
    file = io.BytesIO()
    soundfile.write(file, loud_end, 44_100, format="MP3", compression_level=0.5, bitrate_mode="VARIABLE")
    content = without_first_frame(file.getvalue())
    assert len(decode_waveform(content, "a", 60)) == pytest.approx(20 * SAMPLE_RATE, abs=2500)


@pytest.mark.parametrize("between", [b"", b"TAG" + bytes(125), b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)])
def test_tags_between_joined_mp3s_do_not_matter(between):
    content = without_first_frame(mp3(2.0)) + between + mp3(2.0, 880.0)
    waveform = decode_waveform(content, "a", 60)
    assert len(waveform) == pytest.approx(4 * SAMPLE_RATE, abs=2500)
    assert pitches(waveform[: 2 * SAMPLE_RATE], 1) == pytest.approx([PITCH], abs=3)
    assert pitches(waveform[-SAMPLE_RATE:], 1) == pytest.approx([880.0], abs=3)


def test_junk_behind_the_first_frame_does_not_matter():
    content = mp3(2.0)
    second = content.index(b"\xff\xfb", 4)
    told = bytearray(content[:second])
    frames = told.index(b"Info" if b"Info" in told else b"Xing") + 8
    told[frames : frames + 4] = bytes(4)
    waveform = decode_waveform(content + bytes(told) + bytes(range(256)) * 3 + content[second:], "a", 60)
    assert len(waveform) == pytest.approx(4 * SAMPLE_RATE, abs=2500)


def test_an_mp3_in_a_wav_is_read_whole():
    frames = without_first_frame(mp3(3.0))
    layout = b"U\0" + (1).to_bytes(2, "little") + (44_100).to_bytes(4, "little") + (8000).to_bytes(4, "little")
    layout += (1).to_bytes(2, "little") + bytes(2) + (12).to_bytes(2, "little") + bytes(12)
    chunks = b"fmt " + len(layout).to_bytes(4, "little") + layout + b"data" + len(frames).to_bytes(4, "little") + frames
    content = b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WAVE" + chunks
    assert len(decode_waveform(content, "a", 60)) == pytest.approx(3 * SAMPLE_RATE, abs=2500)


@pytest.mark.parametrize("told", [0, 100, 32_000, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_is_read_to_its_end_whatever_its_header_tells(told):
    content = bytearray(by_libsndfile("WAV", "PCM_16", 16_000, tone(16_000, 3.0)))
    data = content.index(b"data") + 4
    content[data : data + 4] = told.to_bytes(4, "little")
    assert len(decode_waveform(bytes(content), "a", 60)) == 3 * SAMPLE_RATE


def test_chunks_behind_the_samples_are_no_samples():
    content = (
        by_libsndfile("WAV", "PCM_16", 16_000, tone(16_000, 3.0)) + b"LIST" + (9000).to_bytes(4, "little") + bytes(9000)
    )
    assert len(decode_waveform(content, "a", 60)) == 3 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "GSM610"), ("AIFF", "GSM610"), ("W64", "GSM610"), ("AU", "G721_32")]
)
def test_what_cannot_be_sought_is_read_over(tmp_path, kind, subtype):
    (tmp_path / "a").write_bytes(by_libsndfile(kind, subtype, 8000, np.r_[np.zeros(8000), tone(8000, 2.0)]))
    whole = load_waveform(tmp_path / "a")
    assert len(whole) == pytest.approx(3 * SAMPLE_RATE, abs=700)  # whole frames
    part = load_waveform(tmp_path / "a", 1.5, 2.5)
    assert len(part) == SAMPLE_RATE
    assert pitches(part, 1) == pytest.approx([PITCH], abs=3)


def test_one_channel_can_be_chosen(tmp_path):
    left, right = tone(16_000, 1.0, 300), tone(16_000, 1.0, 700)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    assert np.array_equal(load_waveform(tmp_path / "a.wav", channel=1), left)
    assert np.array_equal(load_waveform(tmp_path / "a.wav", 0.25, channel=2), right[4000:])
    with pytest.raises(AudioError, match="has 2 channels; there is no channel 3"):
        load_waveform(tmp_path / "a.wav", channel=3)


def test_channels_that_cancel_out_are_heard_and_that_is_told(tmp_path):
    left = tone(16_000, 1.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left], axis=1), 16_000, subtype="FLOAT")
    found = read_recording(tmp_path / "a.wav")
    assert np.array_equal(found.waveform, left)
    assert found.remarks == ("its channels cancel each other out, so that channel 1 alone is read",)


@pytest.mark.parametrize("channels", [2, 6])
def test_people_who_take_turns_in_two_channels_are_told(tmp_path, channels):
    samples = np.zeros((48_000, channels), np.float32)
    samples[:24_000, 0] = samples[24_000:, 1] = tone(16_000, 1.5)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert "channels differ" in read_recording(tmp_path / "a.wav").remarks[0]
    assert read_recording(tmp_path / "a.wav", channel=2).remarks == ()


def test_one_person_in_a_room_is_not(tmp_path):
    voice = tone(16_000, 3.0) * np.abs(np.sin(np.arange(48_000) / 3000))
    room = np.stack([voice + 0.3 * np.roll(voice, 200), 0.5 * np.roll(voice, 13)], axis=1)
    soundfile.write(tmp_path / "a.wav", room, 16_000)
    soundfile.write(tmp_path / "b.wav", np.stack([voice, 0 * voice], axis=1), 16_000)
    assert read_recording(tmp_path / "a.wav").remarks == read_recording(tmp_path / "b.wav").remarks == ()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(800, np.int16), "whole numbers of 16 bits are divided by 32768"),
        (np.zeros((800, 2)), r"shape \(800, 2\): give one channel"),
        (np.zeros((1, 800), np.float32), r"shape \(1, 800\)"),
        (np.zeros(0, np.float32), "holds no samples"),
        (np.zeros(10, np.float32), "1 ms long, at least 25 ms are needed"),
        (np.full(800, np.nan), "not finite"),
        (np.full(800, 1e30), "far beyond full scale"),
        (["a"], "a waveform of"),
    ],
)
def test_an_array_that_is_no_waveform_is_refused_in_a_line(array, words):
    with pytest.raises(AudioError, match=words):
        as_waveform(array)


def test_an_array_that_is_a_waveform_is_one():
    assert as_waveform(tone(16_000, 1.0).astype(np.float64)).dtype == np.float32


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.* run `git lfs pull`"),
        (b"/annex/objects/SHA256E-s1--0.wav\n", "git-annex pointer.* run `git annex get`"),
        (b"\xff\xfep\0a\0t\0h\0", "is text"),
        (b"PK\x03\x04" + bytes(100), "a ZIP archive, .*; unpack it"),
        (b"\x89PNG\r\n", "a picture"),
        (b"  <html>", "a web page"),
        (b"", "an empty file"),
        (bytes(5000), "nothing but zeros"),
        (b"MThd" + bytes(20), "MIDI"),
    ],
)
def test_what_is_no_recording_is_called_by_its_name(head, words):
    with pytest.raises(AudioError, match=words):
        decode_waveform(head, "a.wav", 5)


def test_notes_that_claim_gigabytes_cost_no_memory():
    note = b"LIST" + (0x5A00001A).to_bytes(4, "little") + b"INFOISFT" + (14).to_bytes(4, "little") + b"Lavf59.27.100"
    content = bytearray(by_libsndfile("WAV", "PCM_16", 16_000, tone(16_000, 1.0)))
    content[36:36] = note
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AudioError):
        decode_waveform(bytes(content), "a", 5)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize(("kind", "subtype"), KINDS.items())
def test_a_kind_is_told_by_bytes_also_behind_a_tag(kind, subtype):
    content = by_libsndfile(kind, subtype, 16_000)
    assert kind_of(io.BytesIO(content)).name == kind.lower()
    tagged = b"ID3\x03\x00\x00\x00\x00\x01\x00" + bytes(128) + content
    assert kind_of(io.BytesIO(tagged)).name == kind.lower()


@pytest.mark.parametrize("length", [2**63, 2**64 - 1])
def test_a_box_that_claims_more_than_a_file_can_hold_ends_the_search_for_others(tmp_path, length):
    pytest.importorskip("av")
    box = (1).to_bytes(4) + b"free" + length.to_bytes(8)
    content = by_ffmpeg("aac", "ipod", samples=tone(seconds=1.0)) + box + bytes(100)
    assert len(decode_waveform(content, "a", 5)) == pytest.approx(SAMPLE_RATE, abs=3000)
    (tmp_path / "a.m4a").write_bytes(content)
    assert len(load_waveform(tmp_path / "a.m4a")) == pytest.approx(SAMPLE_RATE, abs=3000)
