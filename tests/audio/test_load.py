import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicefit.audio import (
    AUDIO_SUFFIXES,
    MIN_SAMPLES,
    SAMPLE_RATE,
    AudioError,
    decode_recording,
    find_audio,
    limits,
    load_waveform,
    reading,
    waveform_length,
)


def decode_waveform(content, name, max_seconds):
    return decode_recording(content, name, max_seconds).waveform


def sine(frequency=440.0, seconds=1.0, rate=SAMPLE_RATE, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def error_of(path, *segment) -> AudioError:
    with pytest.raises(AudioError) as caught:
        load_waveform(path, *segment)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_U8"}, 1 / 64),
        ("a.wav", {"subtype": "PCM_16"}, 1e-4),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.wav", {"subtype": "FLOAT"}, 1e-7),
        ("a.wav", {"subtype": "DOUBLE"}, 1e-7),
        ("a.flac", {}, 1e-4),
        ("a.aiff", {}, 1e-4),
    ],
)
def test_lossless_formats_are_read_exactly(tmp_path, name, options, tolerance):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 4000)
    soundfile.write(tmp_path / name, samples, SAMPLE_RATE, **options)
    waveform = load_waveform(tmp_path / name)
    assert waveform.dtype == np.float32
    assert waveform.shape == (4000,)
    assert waveform.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(waveform, samples, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ogg", {"subtype": "VORBIS"}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.mp3", {}),
    ],
)
def test_lossy_formats_keep_length_and_frequency(tmp_path, name, options):
    soundfile.write(tmp_path / name, sine(), SAMPLE_RATE, **options)
    waveform = load_waveform(tmp_path / name)
    assert len(waveform) == pytest.approx(SAMPLE_RATE, abs=1200)
    assert frequency_of(waveform) == pytest.approx(440, abs=2)


def frequency_of(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return spectrum.argmax() * SAMPLE_RATE / len(waveform)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_resampling_keeps_frequency_level_and_length(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", sine(1000, 1.0, rate), rate, subtype="FLOAT")
    waveform = load_waveform(tmp_path / "a.wav")
    assert abs(len(waveform) - SAMPLE_RATE) <= 1
    inner = slice(1000, 15_000)  # the filter fades in and out
    np.testing.assert_allclose(waveform[inner], sine(1000)[inner], atol=1e-3)


def test_resampling_removes_what_16_khz_cannot_hold(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(12_000, 1.0, 48_000), 48_000, subtype="FLOAT")
    assert np.abs(load_waveform(tmp_path / "a.wav")[1000:15_000]).max() < 1e-3


def test_channels_are_averaged(tmp_path):
    left, right = sine(440), sine(1000, amplitude=0.2)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(load_waveform(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.0, None, (0, 16_000)),
        (0.25, None, (4000, 16_000)),
        (0.25, 0.75, (4000, 12_000)),
        (0.5, 9.0, (8000, 16_000)),
    ],
)
def test_segments_of_a_file(tmp_path, start, end, expected):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 16_000)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(load_waveform(tmp_path / "a.wav", start, end), samples[slice(*expected)], atol=1e-7)


def test_segments_are_in_seconds_at_any_rate(tmp_path):
    soundfile.write(tmp_path / "a.flac", sine(1000, 1.0, 48_000), 48_000)
    assert abs(len(load_waveform(tmp_path / "a.flac", 0.25, 0.75)) - 8000) <= 1


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100])
@pytest.mark.parametrize("segment", [(), (0.25,), (0.1, 0.7), (0.3, 9.0)])
def test_the_length_of_a_waveform_is_known_from_the_header(tmp_path, rate, segment):
    soundfile.write(tmp_path / "a.wav", sine(seconds=1.2345, rate=rate), rate)
    for resample in (True, False):
        expected = len(load_waveform(tmp_path / "a.wav", *segment, resample=resample))
        assert waveform_length(tmp_path / "a.wav", *segment, resample=resample) == expected


def test_a_file_that_cannot_be_used_has_no_length(tmp_path):
    (tmp_path / "noise.wav").write_text("not audio")
    soundfile.write(tmp_path / "short.wav", np.zeros(300), SAMPLE_RATE)
    for name in ("nowhere.wav", "noise.wav", "short.wav"):
        assert waveform_length(tmp_path / name) == 0
    soundfile.write(tmp_path / "a.wav", sine(), SAMPLE_RATE)
    assert waveform_length(tmp_path / "a.wav", 2.0) == 0


def test_paths_may_be_text(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(), SAMPLE_RATE)
    assert len(load_waveform(str(tmp_path / "a.wav"))) == SAMPLE_RATE


def test_missing(tmp_path):
    assert error_of(tmp_path / "absent.wav").kind == "missing"
    assert error_of(tmp_path).kind == "missing"


def test_empty(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), SAMPLE_RATE)
    assert error_of(tmp_path / "a.wav").kind == "empty"
    soundfile.write(tmp_path / "b.wav", sine(), SAMPLE_RATE)
    assert error_of(tmp_path / "b.wav", 5.0).kind == "empty"
    assert error_of(tmp_path / "b.wav", 5.0, 6.0).kind == "empty"
    assert error_of(tmp_path / "b.wav", 0.5, 0.4).kind == "empty"


def test_too_short_is_under_25_ms(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine()[: MIN_SAMPLES - 1], SAMPLE_RATE)
    assert error_of(tmp_path / "a.wav").kind == "too-short"
    soundfile.write(tmp_path / "b.wav", sine()[:MIN_SAMPLES], SAMPLE_RATE)
    assert len(load_waveform(tmp_path / "b.wav")) == MIN_SAMPLES


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_unreadable(tmp_path, value):
    samples = sine()
    samples[7000] = value
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    error = error_of(tmp_path / "a.wav")
    assert error.kind == "unreadable"
    assert "not finite" in str(error)


def test_a_truncated_flac_is_unreadable(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(0).uniform(-1, 1, 16_000), SAMPLE_RATE)
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(whole[: len(whole) // 2])
    assert error_of(tmp_path / "a.flac").kind == "unreadable"


def test_of_a_truncated_wav_what_is_there_is_read(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 16_000)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(whole[: len(whole) // 2])
    waveform = load_waveform(tmp_path / "a.wav")
    assert 7900 < len(waveform) < 8000
    np.testing.assert_allclose(waveform, samples[: len(waveform)], atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=400),
    suffix=st.sampled_from([".wav", ".flac", ".opus", ".ogg", ".mp3", ".aiff"]),
)
@example(b"", ".wav")
@example(b"RIFF\x00\x00\x00\x00WAVEfmt ", ".wav")
@example(b"fLaC", ".flac")
@example(b"OggS", ".opus")
def test_garbage_is_never_read_nor_another_error(content, suffix):
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"a{suffix}"
        path.write_bytes(content)
        assert error_of(path).kind in {"unreadable", "empty", "too-short"}


@settings(max_examples=50, deadline=None)
@given(position=st.integers(0, 60), byte=st.integers(0, 255))
def test_a_damaged_header_is_read_or_an_audio_error(position, byte):
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "a.wav"
        soundfile.write(path, sine(seconds=0.1), SAMPLE_RATE)
        content = bytearray(path.read_bytes())
        content[position] = byte
        path.write_bytes(content)
        try:
            waveform = load_waveform(path)
        except AudioError:
            return
        assert len(waveform) >= MIN_SAMPLES
        assert np.isfinite(waveform).all()


def test_suffixes_are_lower_case_and_cover_the_common_formats():
    assert {".wav", ".flac", ".ogg", ".opus", ".mp3"} <= AUDIO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)


def test_without_resampling_samples_are_taken_as_they_are(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 22_050).astype(np.float32)
    soundfile.write(tmp_path / "clip.wav", samples, 22_050, subtype="FLOAT")
    assert np.array_equal(load_waveform(tmp_path / "clip.wav", resample=False), samples)
    assert len(load_waveform(tmp_path / "clip.wav")) == 16_000


def refused(call, *arguments):
    with pytest.raises(AudioError) as error:
        call(*arguments)
    return error.value.kind, str(error.value)


def wav_bytes(samples, rate=SAMPLE_RATE, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", **options)
    return file.getvalue()


@pytest.mark.parametrize(("rate", "words"), [(1, "1 samples per second"), (768_000, "768,000 samples per second")])
def test_rates_that_no_recording_has_are_refused(tmp_path, rate, words):
    soundfile.write(tmp_path / "a.wav", sine(), rate)
    kind, text = refused(load_waveform, tmp_path / "a.wav")
    assert kind == "unreadable" and words in text


def test_more_channels_than_any_recorder_has_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((1000, 64)), SAMPLE_RATE)
    assert "64 channels" in refused(load_waveform, tmp_path / "a.wav")[1]


def test_finite_samples_that_would_overflow_are_refused():
    assert "full scale" in refused(decode_waveform, wav_bytes(np.full(1000, 1e30), subtype="FLOAT"), "a", 5)[1]
    unscaled = decode_waveform(wav_bytes(np.full(1000, 2.0**31), subtype="FLOAT"), "a", 5)
    assert unscaled[0] == 2.0**31


def test_a_recording_longer_than_memory_should_hold_is_refused_but_a_part_of_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_FRAMES", 4 * SAMPLE_RATE)
    soundfile.write(tmp_path / "a.wav", sine(seconds=5), SAMPLE_RATE)
    kind, text = refused(load_waveform, tmp_path / "a.wav")
    assert kind == "too-long" and "longer than 4 s" in text
    assert len(load_waveform(tmp_path / "a.wav", 1, 5)) == 4 * SAMPLE_RATE


def test_blocks_add_up_to_the_whole(tmp_path, monkeypatch):
    samples = np.stack([sine(), sine(300)], axis=1)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    monkeypatch.setattr(reading, "_BLOCK_SAMPLES", 1002)
    assert np.allclose(load_waveform(tmp_path / "a.wav"), samples.mean(axis=1), atol=1e-7)


def test_what_was_sent_is_decoded_from_memory_up_to_a_limit():
    assert len(decode_waveform(wav_bytes(sine(seconds=2)), "clip", 2.0)) == 2 * SAMPLE_RATE
    kind, text = refused(decode_waveform, wav_bytes(sine(seconds=2.1)), "clip", 2.0)
    assert kind == "too-long" and text == "clip: longer than 2 s, the longest that is read; cut it"


def test_a_flac_that_was_written_to_a_pipe_is_read_whole():
    file = io.BytesIO()
    soundfile.write(file, sine(), SAMPLE_RATE, format="FLAC")
    content = bytearray(file.getvalue())
    content[21] &= 0xF0  # total samples: the last 36 bits before the digest in STREAMINFO
    content[22:26] = bytes(4)
    assert len(decode_waveform(bytes(content), "streamed.flac", 5)) == SAMPLE_RATE


def test_audio_is_found_at_any_depth_without_what_a_mac_hides_beside_it(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    for name in ("b.WAV", "deep/a.flac", "._b.wav", "notes.txt", "phone.m4a"):
        (tmp_path / name).touch()
    assert find_audio([tmp_path]) == [tmp_path / "b.WAV", tmp_path / "deep" / "a.flac", tmp_path / "phone.m4a"]
