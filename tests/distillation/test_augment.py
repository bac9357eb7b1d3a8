import numpy as np
import pytest

from support.tiny_models import make_waveform
from voicefit.distillation import augment


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def level(waveform: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(waveform.astype(float) ** 2)))


def test_twice_the_speed_is_half_as_long_and_an_octave_higher():
    time = np.arange(16_000) / 16_000
    fast = augment.speed(np.sin(2 * np.pi * 440 * time).astype(np.float32), 2.0)
    assert len(fast) == 8_000
    assert np.abs(np.fft.rfft(fast)).argmax() * 2 == 880


def test_gain_is_in_decibels_and_stops_at_full_scale():
    waveform = 0.1 * make_waveform(0.5)
    assert level(augment.gain(waveform, -6)) == pytest.approx(level(waveform) - 6, abs=1e-3)
    assert np.abs(augment.gain(waveform, 80)).max() == pytest.approx(1)


def test_noise_stays_5_to_30_db_below_the_clip():
    waveform = make_waveform(1.0)
    below = [level(waveform) - level(augment.add_noise(waveform, draw(seed)) - waveform) for seed in range(30)]
    assert min(below) > 4.9 and max(below) < 30.1
    assert max(below) - min(below) > 15


def test_a_room_keeps_the_level_and_goes_on_after_the_sound():
    waveform = np.concatenate([make_waveform(0.3), np.zeros(8_000, np.float32)])
    wet = augment.reverberate(waveform, draw())
    assert level(wet) == pytest.approx(level(waveform), abs=0.01)
    assert np.abs(wet[5_000:6_000]).max() > 1e-4


@pytest.mark.parametrize("codec", augment._CODECS, ids=lambda codec: codec[1])
def test_codecs_change_a_clip_and_leave_it_in_place(codec: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(augment, "_CODECS", (codec,))
    time = np.arange(16_000) / 16_000
    waveform = (0.3 * np.sin(2 * np.pi * 300 * time) * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)
    heard = augment.encode_and_decode(waveform, draw())
    assert len(heard) == len(waveform)
    assert not np.array_equal(heard, waveform)
    assert np.corrcoef(heard, waveform)[0, 1] > 0.97


def test_degrading_is_a_function_of_the_draw_and_leaves_half_of_the_clips():
    waveform = make_waveform(0.4)
    found = [augment.degrade(waveform, draw(seed)) for seed in range(60)]
    again = [augment.degrade(waveform, draw(seed)) for seed in range(60)]
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert all(len(clip) == len(waveform) and np.isfinite(clip).all() for clip in found)
    assert 15 <= sum(clip is waveform for clip in found) <= 45


def test_silence_stays_finite():
    silence = np.zeros(8_000, np.float32)
    assert all(np.isfinite(augment.degrade(silence, draw(seed))).all() for seed in range(20))
