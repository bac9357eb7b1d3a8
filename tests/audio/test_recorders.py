"""What phones, browsers, messengers, call centres and field recorders make is read, or refused with the right words."""

import io

import numpy as np
import pytest

from support.recorders import PITCH, by_ffmpeg, tone, write
from voicefit.audio import SAMPLE_RATE, AudioError, decode_recording, find_audio, read_recording


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("av")
    root = tmp_path_factory.mktemp("recorders")
    return root, write(root)


def pitch_of(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(waveform))


def test_there_are_forty_or_more(folder):
    assert len(folder[1]) >= 40


def test_each_is_read_or_refused_with_the_right_words(folder):
    root, expected = folder
    wrong = {}
    for name, wanted in expected.items():
        try:
            found = read_recording(root / name)
        except AudioError as error:
            if not wanted.error or wanted.error not in str(error) or "\n" in str(error):
                wrong[name] = str(error)
            continue
        seconds = len(found.waveform) / SAMPLE_RATE
        told = " ".join(found.remarks)
        right = abs(seconds - wanted.seconds) < 0.15 and abs(pitch_of(found.waveform) - PITCH) < 5
        if wanted.error or not right or wanted.remark not in told or bool(told) != bool(wanted.remark):
            wrong[name] = f"{seconds:.2f} s of {pitch_of(found.waveform):.0f} Hz, {told}"
    assert wrong == {}


def test_all_of_them_are_found_in_a_folder(folder):
    root, expected = folder
    assert {path.name for path in find_audio([root])} == set(expected)


def test_without_pyav_the_way_to_it_is_named(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    for name in ("memo.m4a", "chrome.webm", "blob.wav", "call.amr", "voice mail.wma", "signal.aac"):
        with pytest.raises(AudioError, match=r"pip install 'voicefit\[formats\]'"):
            read_recording(folder[0] / name)
    with pytest.raises(AudioError, match=r"voicefit\[formats\]' reads more encodings"):
        read_recording(folder[0] / "g722.wav")
    assert len(read_recording(folder[0] / "asterisk.gsm").waveform)


@pytest.mark.parametrize("layout", ["stereo", "7.1", "16 channels"])
def test_however_many_channels_ffmpeg_gives_they_are_mixed(layout):
    """PyAV counts the planes of more than eight channels wrongly, and then reads beyond them."""
    av = pytest.importorskip("av")
    count = av.AudioLayout(layout).nb_channels
    samples = np.repeat(tone(16_000, 1.0)[:, None], count, axis=1)
    file = io.BytesIO()
    with av.open(file, "w", format="wv") as out:
        stream = out.add_stream("wavpack", rate=16_000, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate = 16_000
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, 16_000, 4000)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    found = decode_recording(file.getvalue(), "a", 5.0)
    assert found.channels == count
    assert np.allclose(found.waveform, tone(16_000, 1.0), atol=0.01)  # of 8 bits


def test_frames_of_another_rate_in_the_middle_are_heard(tmp_path):
    pytest.importorskip("av")
    parts = by_ffmpeg("aac", "adts", 16_000, tone(seconds=1.0)), by_ffmpeg("aac", "adts", 48_000, tone(seconds=1.0))
    found = decode_recording(b"".join(parts), "a", 5.0)
    assert len(found.waveform) / SAMPLE_RATE == pytest.approx(2.0, abs=0.25)
    assert pitch_of(found.waveform) == pytest.approx(PITCH, abs=5)
