"""The clips in the box, and that what they show is so."""

import pytest

import voicefit
from voicefit.errors import VoicefitError


def test_the_clips_in_the_box_can_be_told_apart(tmp_path):
    example = voicefit.write_example(tmp_path / "example")
    assert (example / "README.md").is_file()
    assert sum(path.stat().st_size for path in example.rglob("*.ogg")) < 300_000
    adapted = voicefit.adapt("mini", example / "clips", out=tmp_path / "model", small=True)
    assert adapted.shots == dict.fromkeys(("anger", "happiness", "neutral", "sadness"), 2)
    assert not adapted.left_out and not adapted.advice
    assert adapted.model.predict(example / "new-clip.ogg").label == "sadness"
    assert voicefit.evaluate(tmp_path / "model", example / "more-clips").macro_f1 > 0.6
    grown = voicefit.grow(
        tmp_path / "model", example / "more-clips", out=tmp_path / "grown", unlabelled=example / "recordings"
    )
    assert set(grown.shots.values()) == {6} and not grown.left_out


def test_a_folder_that_is_there_stays(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(VoicefitError, match="exists already"):
        voicefit.write_example(tmp_path)
