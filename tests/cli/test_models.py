"""`voicefit predict` and `suggest`."""

import json

import numpy as np
import pytest
import soundfile

from support.layouts import build_folder, write_noise


def test_adapt_then_predict_prints_probabilities_that_add_up(run, model, tmp_path):
    write_noise(tmp_path / "new" / "a.wav", 5, seconds=0.3)
    (tmp_path / "new" / "b.wav").write_bytes(b"not audio")
    code, out, _ = run("predict", model, tmp_path / "new", "--json")
    good, bad = json.loads(out)
    assert code == 0
    assert set(good["probabilities"]) == {"anger", "neutral"}
    assert sum(good["probabilities"].values()) == pytest.approx(1)
    assert good["label"] == max(good["probabilities"], key=good["probabilities"].get)
    assert bad["error"] == "is text, not readable as audio; give a recording"


def test_a_figure_is_refused_before_anything_is_predicted_or_gets_its_folder(run, model, tmp_path):
    talk = tmp_path / "talk.wav"
    write_noise(talk, 5, seconds=2.0)
    (tmp_path / "file").touch()
    for figure, words in ((tmp_path / "file" / "a.png", "is a file, not a folder"), ("a.jpg", ".svg or .png")):
        code, out, err = run("predict", model, talk, "--window", 1, "--figure", figure)
        assert code == 2 and out == ""
        assert words in err and "predicting" not in err
    code, _, err = run("predict", model, talk, "--window", 1, "--figure", tmp_path / "new folder" / "a.png")
    assert code == 0, err
    assert (tmp_path / "new folder" / "a.png").is_file()


def test_predict_with_no_readable_file_exits_with_2(run, model, tmp_path):
    (tmp_path / "b.wav").write_bytes(b"not audio")
    code, _, err = run("predict", model, tmp_path / "b.wav")
    assert code == 2
    assert "none of the files" in err


def test_suggest_takes_hidden_files_and_folders_of_a_speaker_as_adapt_does(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    write_noise(tmp_path / "more" / "a.wav", 5, seconds=0.3)
    for label in ("calm", "upset"):
        (tmp_path / "names" / label).mkdir(parents=True)
        (tmp_path / "names" / label / ".DS_Store").write_bytes(b"")
    code, out, err = run("suggest", checkpoint, tmp_path / "more", "--labelled", tmp_path / "names", "--json")
    assert code == 0, err
    assert json.loads(out)[0]["label"] in ("calm", "upset")
    (tmp_path / "one-speaker").mkdir()
    clips.rename(tmp_path / "one-speaker" / "ann")
    code, out, err = run("suggest", checkpoint, tmp_path / "more", "--labelled", tmp_path / "one-speaker", "--json")
    assert code == 0, err
    assert json.loads(out)[0]["label"] != "ann"


def test_suggest_names_recordings_that_have_no_label_yet(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    for seed in range(3):
        write_noise(tmp_path / "more" / f"{seed}.wav", seed, seconds=0.3)
    (tmp_path / "more" / "broken.wav").write_bytes(b"not audio")
    code, out, err = run("suggest", checkpoint, tmp_path / "more", "--labelled", clips, "-n", "2", "--json")
    assert code == 0
    assert len(json.loads(out)) == 2
    assert "broken.wav" in err
    (tmp_path / "names" / "calm").mkdir(parents=True)
    code, _, err = run("suggest", checkpoint, tmp_path / "more", "--labelled", tmp_path / "names")
    assert code == 2
    assert "names 1 label; make a folder, empty if need be, for each" in err
    (tmp_path / "names" / "upset").mkdir()
    code, out, _ = run("suggest", checkpoint, tmp_path / "more", "--labelled", tmp_path / "names")
    assert code == 0
    assert "label next" in out
    both = np.column_stack([soundfile.read(tmp_path / "more" / f"{seed}.wav")[0] for seed in (1, 2)])
    soundfile.write(tmp_path / "call.wav", both, 16_000, subtype="FLOAT")
    alone = [run("suggest", checkpoint, tmp_path / "more" / f"{seed}.wav", "--json")[1] for seed in (1, 2)]
    for channel, expected in enumerate(alone, 1):
        code, out, err = run("suggest", checkpoint, tmp_path / "call.wav", "--channel", channel, "--json")
        assert code == 0, err
        assert json.loads(out)[0]["probability"] == pytest.approx(json.loads(expected)[0]["probability"], abs=1e-5)
    code, _, err = run("suggest", tmp_path / "encoder", tmp_path / "more")
    assert code == 2
    assert "is a plain encoder, which knows no labels" in err


def test_reject_is_refused_where_nothing_is_known_of_the_voice(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    own = sorted(clips.rglob("*.wav"))[0]
    code, _, err = run("predict", "--reject", checkpoint, own)
    assert code == 2 and "knows no clip of the voice" in err
    run("adapt", tmp_path / "encoder", clips, "--out", tmp_path / "n")
    code, _, err = run("predict", "--reject", tmp_path / "n", own)
    assert code == 2 and "was not adapted from a pre-finetuned checkpoint" in err
    code, _, err = run("predict", "--reject", "--together", tmp_path / "n", own)
    assert code == 2 and "leave --reject out" in err


def test_timelines_are_not_labelled_together(run, pretrained, tmp_path):
    code, _, err = run("predict", "mini", tmp_path, "--together", "--window", "1")
    assert code == 2
    assert "--together labels whole clips: leave --window out" in err


def test_one_channel_can_be_chosen_and_labels_are_written(run, tmp_path, start):
    clips = build_folder(tmp_path / "clips", speakers=())
    assert run("adapt", start, clips, "--out", tmp_path / "m")[0] == 0
    stereo = np.zeros((32_000, 2))
    stereo[:16_000, 0] = stereo[16_000:, 1] = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    soundfile.write(tmp_path / "call.wav", stereo, 16_000)
    code, _, err = run("predict", tmp_path / "m", tmp_path / "call.wav")
    assert code == 0 and "channels differ" in err and "--channel 1" in err
    labels = tmp_path / "a.txt"
    window = ("--window", "1", "--channel", "1", "--labels", labels)
    code, out, err = run("predict", tmp_path / "m", tmp_path / "call.wav", *window)
    assert code == 0 and "channels differ" not in err, err
    assert "(silence)" in out
    assert [line.split("\t")[:2] for line in labels.read_text().splitlines()] == [["0.000", "1.000"]]
    code, _, err = run("predict", tmp_path / "m", tmp_path / "call.wav", "--channel", "3")
    assert code == 2 and "none of the files" in err


def test_a_mistyped_model_is_told_with_what_is_spelt_alike(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    for words in (
        ("predict", "moodel", "clips"),
        ("evaluate", "moodel", "clips"),
        ("export", "moodel", "--out", "a.onnx"),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert "moodel: no such folder (did you mean model?). A model of the hub is named as owner/name" in err
    code, _, err = run("adapt", tmp_path / "encodr", "clips", "--out", "other")
    assert code == 2 and f"encodr: no such folder (did you mean {tmp_path / 'encoder'}?)" in err
    code, _, err = run("predict", "moodel/deep", "clips")  # may be a hub id: it is looked for there
    assert code == 2 and "moodel/deep: holds no model (did you mean model?)" in err
    code, _, err = run("adapt", "mimi", "clips", "--out", "other")
    assert code == 2 and "mimi: no such folder (did you mean mini?)" in err
    code, _, err = run("predict", "zzz", "clips")
    assert code == 2 and "zzz: no such folder. A model" in err


def test_export_compares_on_the_clips_that_can_be_read_and_names_the_others(run, tmp_path):
    write_noise(tmp_path / "clips" / "a.wav", 5, seconds=0.3)
    (tmp_path / "clips" / "b.wav").write_bytes(b"not audio")
    (tmp_path / "clips" / "c.wav").symlink_to(tmp_path / "gone.wav")
    code, out, err = run("export", "mini", "--out", tmp_path / "a.onnx", "--clips", tmp_path / "clips")
    assert code == 0, err
    assert "compared on 1 clips" in out
    assert "clips/b.wav (is text, not readable as audio; give a recording)" in err
    assert "clips/c.wav (no such file: it is a link to" in err
    (tmp_path / "clips" / "a.wav").unlink()
    code, _, err = run("export", "mini", "--out", tmp_path / "b.onnx", "--clips", tmp_path / "clips")
    assert code == 2 and not (tmp_path / "b.onnx").exists()
    assert "clips: no clip can be read (" in err and "b.wav: is text, not readable as audio" in err
