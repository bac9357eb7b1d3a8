"""A model for each of several speakers."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import voicefit
from support.voices import write_clips
from voicefit.encoders import onnx_encoder
from voicefit.errors import VoicefitError

NAMES = ("anger/1", "anger/2", "neutral/1", "neutral/2")


@pytest.fixture
def speakers(tmp_path):
    """Two speakers who can be enrolled, and one with a single label; what they call anger differs."""
    write_clips(tmp_path / "all" / "anna", *NAMES)
    write_clips(tmp_path / "all" / "ben", *(name.replace("anger", "angry") for name in NAMES), first=4)
    write_clips(tmp_path / "all" / "carl", "anger/1", first=9)
    return tmp_path


def test_each_speaker_gets_the_model_of_one_and_failures_stop_nobody(speakers):
    found, left_out = voicefit.adapt_each("mini", speakers / "all", out=speakers / "models")
    assert left_out == {}
    assert [speaker.name for speaker in found] == ["anna", "ben", "carl"]
    assert [speaker.error for speaker in found[:2]] == ["", ""]
    assert "1 label has clips that can be used" in found[2].error and found[2].adapted is None
    assert sorted(path.name for path in (speakers / "models").iterdir()) == ["anna", "ben"]
    for speaker in found[:2]:
        assert speaker.adapted.shots == {"anger": 2, "neutral": 2}
        assert speaker.adapted.leave_one_out is not None
        voicefit.adapt("mini", speakers / "all" / speaker.name, out=speakers / "one" / speaker.name)
        weights = [load_file(speakers / at / speaker.name / "model.safetensors") for at in ("models", "one")]
        assert all(np.array_equal(weights[0][name], values) for name, values in weights[1].items())


def test_the_encoder_is_loaded_once(speakers, monkeypatch):
    opened = []
    real = onnx_encoder.OnnxEncoder
    monkeypatch.setattr(onnx_encoder, "OnnxEncoder", lambda path: opened.append(path) or real(path))
    onnx_encoder._open.cache_clear()
    voicefit.adapt_each("mini", speakers / "all", out=speakers / "models", small=True)
    assert len(opened) == 1


def test_a_table_names_speakers_too(speakers):
    rows = [
        f"all/{who}/{label}/{take}.wav,{label},{who}"
        for who, label in (("anna", "anger"), ("anna", "neutral"), ("ben", "angry"), ("ben", "neutral"))
        for take in (1, 2)
    ]
    (speakers / "t.csv").write_text("\n".join(["path,label,speaker", *rows]))
    found, _ = voicefit.adapt_each("mini", speakers / "t.csv", out=speakers / "models", small=True)
    assert [speaker.name for speaker in found] == ["anna", "ben"]
    assert [speaker.adapted.shots for speaker in found] == [{"anger": 2, "neutral": 2}] * 2
    (speakers / "t.csv").write_text(
        "\n".join(["path,label,speaker", *(row.replace(",ben", ",../ben") for row in rows)])
    )
    with pytest.raises(VoicefitError, match="cannot be the name of a folder"):
        voicefit.adapt_each("mini", speakers / "t.csv", out=speakers / "others")


def test_recordings_without_labels_are_those_of_each(speakers):
    write_clips(speakers / "more" / "anna", "a", "b", "c", first=20)
    anna, ben, _ = voicefit.adapt_each(
        "mini", speakers / "all", out=speakers / "models", unlabelled=speakers / "more", small=True
    )[0]
    assert (anna.adapted.method, ben.adapted.method) == ("joint", "prior")
    assert json.loads((speakers / "models/anna/voicefit.json").read_text())["unlabelled"] == 3
    assert any("more has no recordings of this speaker" in words for words in ben.adapted.remarks)


def write_rows(path, *rows):
    path.write_text("\n".join(rows))
    return path


def test_recordings_of_each_can_be_a_table_that_has_no_labels(speakers):
    write_clips(speakers / "more", "a", "b", "c", "d", first=20)
    table = write_rows(
        speakers / "more.csv", "path,speaker", *(f"more/{name},anna" for name in ("a.wav", "b.wav", "b.wav")),
        "more/c.wav,ben", "more/d.wav,zoe",
    )  # fmt: skip
    (anna, ben, _), left_out = voicefit.adapt_each(
        "mini", speakers / "all", out=speakers / "models", unlabelled=table, small=True
    )
    assert (anna.adapted.method, ben.adapted.method) == ("joint", "joint")
    counts = [
        json.loads((speakers / f"models/{name}/voicefit.json").read_text())["unlabelled"] for name in ("anna", "ben")
    ]
    assert counts == [2, 1]
    assert left_out == {
        f"{table}, zoe": "no labelled clip is of this speaker",
        "row 4 of more.csv": "lists more/b.wav again",
    }


def test_recordings_of_nobody_are_refused_before_the_work(speakers):
    write_clips(speakers / "more", "a", first=20)
    rows = {"path": "more/a.wav", "path,speaker": "more/a.wav,zoe"}
    for header, row in rows.items():
        table = write_rows(speakers / "more.csv", header, row)
        words = "a.wav has no speaker" if header == "path" else "recordings of none of the speakers .anna, ben, carl."
        with pytest.raises(VoicefitError, match=words):
            voicefit.adapt_each("mini", speakers / "all", out=speakers / "models", unlabelled=table)
    with pytest.raises(VoicefitError, match="neither a folder"):
        voicefit.adapt_each("mini", speakers / "all", out=speakers / "models", unlabelled=speakers / "more/a.wav")
    assert not (speakers / "models").exists()


def test_a_method_that_trains_the_encoder_begins_anew_with_each(speakers, start):
    shutil.rmtree(speakers / "all" / "carl")
    options = {"method": "full", "settings": {"steps": 2}}
    voicefit.adapt_each(start, speakers / "all", out=speakers / "models", **options)
    voicefit.adapt(start, speakers / "all/ben", out=speakers / "ben", **options)
    found, expected = (load_file(path / "model.safetensors") for path in (speakers / "models/ben", speakers / "ben"))
    assert all(np.array_equal(found[name], values) for name, values in expected.items())


def test_clips_of_one_voice_and_taken_outputs_are_refused_before_the_work(speakers):
    with pytest.raises(VoicefitError, match="leave --each out for one voice"):
        voicefit.adapt_each("mini", speakers / "all" / "anna", out=speakers / "models")
    voicefit.adapt("mini", speakers / "all/ben", out=speakers / "models/ben", small=True)
    with pytest.raises(VoicefitError, match=r"models/ben: exists already; .* --overwrite"):
        voicefit.adapt_each("mini", speakers / "all", out=speakers / "models")
    assert [path.name for path in (speakers / "models").iterdir()] == ["ben"]
    found, _ = voicefit.adapt_each("mini", speakers / "all", out=speakers / "models", overwrite=True)
    assert [bool(speaker.adapted) for speaker in found] == [True, True, False]


def test_what_lies_beside_the_speakers_is_told(speakers):
    write_clips(speakers / "all", "stray", first=30)
    (speakers / "all" / "empty").mkdir()
    found, left_out = voicefit.adapt_each("mini", speakers / "all", out=speakers / "models", small=True)
    assert left_out == {"stray.wav": "lies in no folder of a speaker"}
    assert "no audio file below this folder" in next(one.error for one in found if one.name == "empty")
