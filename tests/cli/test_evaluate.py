"""`voicefit evaluate`."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from support.layouts import build_folder, other_clips, write_noise
from support.tiny_models import build_wav2vec2_group_norm
from support.voices import speak


def test_evaluate_scores_labelled_clips_and_predict_labels_them_together(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    code, _, _ = run("adapt", checkpoint, clips, "--out", tmp_path / "m")
    others = other_clips(tmp_path / "others")
    code, out, _ = run("evaluate", tmp_path / "m", others, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["clips"] == 3 == sum(scores["clips"] for scores in found["labels"].values())
    assert found["macro_f1_low"] <= found["macro_f1"] <= found["macro_f1_high"]
    code, out, _ = run("evaluate", tmp_path / "m", others, "--together")
    assert code == 0
    assert "3 clips: macro F1" in out
    code, out, _ = run("predict", tmp_path / "m", clips, "--together", "--json")
    assert code == 0
    assert {item["label"] for item in json.loads(out)} <= set(found["labels"])


def test_evaluate_names_what_it_leaves_out(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    run("adapt", checkpoint, clips, "--out", tmp_path / "m")
    others = other_clips(tmp_path / "others")
    write_noise(others / "bored" / "a.wav", 5, seconds=0.3)
    first = sorted(clips.rglob("*.wav"))[0]
    samples, rate = soundfile.read(first, dtype="int16")
    soundfile.write(others / "Angry" / "renamed.flac", samples, rate)
    code, out, err = run("evaluate", tmp_path / "m", others, "--json")
    assert code == 0, err
    left_out = {Path(name).name: reason for name, reason in json.loads(out)["left_out"].items()}
    assert left_out == {
        "a.wav": "the model does not know the label boredom",
        "renamed.flac": "the model was adapted on it",
    }
    assert "a.wav" in err and "renamed.flac" in err
    code, _, err = run("evaluate", tmp_path / "m", clips)
    assert code == 2 and "no clip can be scored (the model was adapted on it)" in err
    code, _, err = run("evaluate", tmp_path / "m", tmp_path / "absent")
    assert code == 2


def test_what_is_unlike_every_label_is_none_of_these(run, tmp_path):
    clips = tmp_path / "clips"
    for label, take in product(("anger", "sadness"), range(6)):
        speak(clips / label / f"{take}.wav", label, 10 * take + len(label))
    for number, small in (("m", []), ("s", ["--small"])):
        assert run("adapt", "mini", clips, "--out", tmp_path / number, *small)[0] == 0
    own, hum = tmp_path / "own.wav", tmp_path / "hum.wav"
    speak(own, "anger", 7)
    soundfile.write(hum, np.sin(np.arange(8000) / 20), 16_000)
    for model in ("m", "s"):
        code, out, err = run("predict", "--reject", tmp_path / model, own, hum, "--json")
        assert code == 0, err
        first, second = json.loads(out)
        assert (first["unlike"] < 1, first["label"]) == (
            True,
            max(first["probabilities"], key=first["probabilities"].get),
        )
        assert (second["unlike"] > 1, second["label"]) == (True, "none of these")
        assert sum(second["probabilities"].values()) == pytest.approx(1)
    code, out, _ = run("predict", tmp_path / "m", hum, "--json")
    assert json.loads(out)[0]["label"] != "none of these" and json.loads(out)[0]["unlike"] is None
    code, out, _ = run("predict", "--reject", tmp_path / "m", hum, "--out", tmp_path / "p.csv")
    assert code == 0
    (row,) = pd.read_csv(tmp_path / "p.csv").to_dict("records")
    assert row["label"] == "none of these" and row["unlike"] > 1
    code, out, _ = run("predict", "--reject", tmp_path / "m", hum, "--window", "0.5", "--json")
    assert [window["label"] for window in json.loads(out)[0]["windows"]] == ["none of these"]


def test_evaluate_with_reject_scores_labels_that_the_model_does_not_know(run, tmp_path):
    clips = build_folder(tmp_path / "clips", speakers=())
    run("adapt", "mini", clips, "--out", tmp_path / "m")
    others = other_clips(tmp_path / "others")
    (others / "hum").mkdir()
    soundfile.write(others / "hum" / "1.wav", np.sin(np.arange(8000) / 20), 16_000)
    outputs = ["--csv", tmp_path / "e.csv", "--page", tmp_path / "e.html"]
    code, out, err = run("evaluate", "--reject", tmp_path / "m", others, "--json", *outputs)
    assert code == 0, err
    found = json.loads(out)
    assert found["clips"] == 4 and not found["left_out"]
    assert found["labels"]["none of these"]["clips"] == 1
    assert found["confusion"]["none of these"]["none of these"] == 1


def test_evaluate_says_that_an_older_model_names_no_clips(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    run("adapt", checkpoint, clips, "--out", tmp_path / "m")
    record = json.loads((tmp_path / "m" / "voicefit.json").read_text())
    assert list(record.pop("clips").values()) == ["anger", "anger", "neutral", "neutral"]
    (tmp_path / "m" / "voicefit.json").write_text(json.dumps(record))
    code, out, err = run("evaluate", tmp_path / "m", clips, "--json")
    assert code == 0 and json.loads(out)["clips"] == 4
    assert "does not say which clips it was adapted on" in err


@pytest.mark.slow(2)
def test_evaluate_writes_a_table_a_figure_and_a_page(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    run("adapt", checkpoint, clips, "--out", tmp_path / "m")
    others = other_clips(tmp_path / "others <b>")
    outputs = [tmp_path / "new" / name for name in ("e.csv", "e.pdf", "e.html")]
    options = [part for pair in zip(("--csv", "--figure", "--page"), outputs, strict=True) for part in pair]
    code, _, err = run("evaluate", tmp_path / "m", others, *options)
    assert code == 0, err
    table = pd.read_csv(outputs[0])
    assert table[["anger", "neutral"]].sum(axis=1).round(4).tolist() == [1, 1, 1]
    assert table["label"].tolist() == ["anger", "anger", "neutral"]
    assert outputs[1].read_bytes().startswith(b"%PDF")
    page = outputs[2].read_text()
    assert "others &lt;b&gt;" in page and "<b>" not in page
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"e.csv", "e.pdf", "e.html"}


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [("--csv", "e.txt", "ends in .csv"), ("--figure", "e.gif", ".png, .svg, .pdf"), ("--page", "e.pdf", ".html")],
)
def test_evaluate_refuses_outputs_before_the_work(run, tmp_path, option, name, words):
    code, out, err = run("evaluate", tmp_path / "absent", tmp_path / "absent", option, tmp_path / name)
    assert code == 2 and words in err and not out
    assert len(err.strip().splitlines()) == 1


def test_evaluate_asks_for_clips_where_it_is_given_a_model_alone(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    code, _, err = run("evaluate", encoder)
    assert code == 2
    assert f"error: {encoder}: is a model; give labelled clips after it" in err
