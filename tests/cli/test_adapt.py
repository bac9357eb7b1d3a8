"""`voicefit adapt`."""

import json
import sys

import numpy as np
import pytest
import soundfile

from support.layouts import build_folder, write_noise
from support.tiny_models import build_wav2vec2_group_norm
from support.voices import write_clips
from voicefit import api
from voicefit.errors import VoicefitError


def test_adapt_refuses_to_overwrite(run, model, tmp_path):
    before = (model / "model.safetensors").read_bytes()
    code, _, err = run("adapt", tmp_path / "encoder", tmp_path / "clips", "--out", model)
    assert code == 2
    assert "exists already" in err
    assert (model / "model.safetensors").read_bytes() == before


def test_adapt_refuses_a_method_that_wants_more_than_the_shots(run, tmp_path):
    code, _, err = run(
        "adapt", tmp_path / "encoder", tmp_path / "clips", "--out", tmp_path / "m", "--method", "published"
    )
    assert code == 2
    assert "method published needs clips to validate on besides the shots" in err


@pytest.mark.slow(1)
def test_adapt_takes_what_the_corpora_know_where_there_is_something(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    write_noise(tmp_path / "more" / "a.wav", 5, seconds=0.3)
    code, out, err = run("adapt", checkpoint, clips, "--out", tmp_path / "m", "--unlabelled", tmp_path / "more")
    assert code == 0
    assert "1 recording without labels took part; as the model has it: " in err
    assert "by method joint" in out
    record = json.loads((tmp_path / "m" / "voicefit.json").read_text())
    assert (record["method"], record["unlabelled"]) == ("joint", 1)
    code, out, _ = run("adapt", checkpoint, clips, "--out", tmp_path / "p")
    assert code == 0
    assert "by method prior" in out
    code, out, _ = run("adapt", tmp_path / "encoder", clips, "--out", tmp_path / "n")
    assert code == 0
    assert "by method head" in out


def test_a_label_without_a_clip_is_learnt_from_the_corpora_or_told(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    for name in ("fear", "shouting"):  # the checkpoint knows one of them
        (clips / name).mkdir()
    code, _, err = run("adapt", checkpoint, clips, "--out", tmp_path / "m")
    assert code == 0, err
    assert "no clip of fear can be used: the model knows this label from the start's corpora alone" in err
    assert "no clip of shouting can be used: the model does not know this label" in err
    labels = json.loads((tmp_path / "m" / "config.json").read_text())["label2id"]
    assert "fear" in labels and "shouting" not in labels
    code, _, err = run("adapt", checkpoint, clips, "--out", tmp_path / "n", "--method", "head")
    assert code == 0, err
    assert "no clip of fear can be used: the model does not know this label" in err


def test_clips_that_cannot_be_read_at_all_are_told_in_one_line(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    for label in ("anger", "fear"):
        (tmp_path / "bad" / label).mkdir(parents=True)
        (tmp_path / "bad" / label / "1.wav").write_bytes(b"not audio")
    code, _, err = run("adapt", checkpoint, tmp_path / "bad", "--out", tmp_path / "m")
    assert code == 2
    assert "bad: holds no clip that can be used (anger/1.wav: unreadable" in err
    code, _, err = run("adapt", checkpoint, clips, "--out", tmp_path / "m", "--unlabelled", clips)
    assert code == 2
    assert "clips: every recording there has a label already" in err


def test_what_other_beside_several_labels_means_is_told(run, tmp_path):
    clips = build_folder(tmp_path / "clips", speakers=())
    for seed in range(2):
        write_noise(clips / "other" / f"{seed}.wav", 50 + seed)
    code, out, err = run("adapt", "mini", clips, "--out", tmp_path / "m", "--small")
    assert code == 0, err
    assert "2 other" in out and "other is a label beside the others" in err
    (clips / "neutral").rename(tmp_path / "neutral")
    code, out, err = run("adapt", "mini", clips, "--out", tmp_path / "n", "--small")
    assert code == 0, err
    assert "other is a label beside the others" not in err


def test_adapt_refuses_unlabelled_clips_that_would_not_be_used(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    write_noise(tmp_path / "more" / "a.wav", 5, seconds=0.3)
    arguments = [checkpoint, clips, "--out", tmp_path / "m", "--unlabelled", tmp_path / "more"]
    code, _, err = run("adapt", *arguments, "--method", "head")
    assert code == 2
    assert "method head learns nothing from unlabelled clips" in err
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_bytes(b"not audio")
    code, _, err = run("adapt", *arguments[:-1], tmp_path / "bad")
    assert code == 2
    assert "bad: holds no clip that can be used" in err


def test_a_label_without_a_clip_that_can_be_read_is_told_with_the_file(run, tmp_path):
    clips = build_folder(tmp_path / "clips", speakers=())
    (clips / "Angry").rename(clips / "shouting")  # which no corpus knows
    for clip in (clips / "shouting").iterdir():
        clip.write_bytes(b"\0\0\0\x18ftypM4A junk")
    code, _, err = run("adapt", clips, "--out", tmp_path / "model")
    assert code == 2
    assert "1 label has clips that can be used; at least two are needed (not used: shouting/" in err


def test_a_setting_that_is_wrong_is_told_in_one_line(tmp_path):
    with pytest.raises(VoicefitError, match=r"settings of full: lr: .* greater than 0"):
        api.adapt(tmp_path / "encoder", tmp_path / "clips", out=tmp_path / "m", method="full", settings={"lr": -1})


@pytest.mark.parametrize("method", ["prior", "zero-shot"])
def test_unlabelled_clips_are_no_setting_of_a_method(tmp_path, method):
    with pytest.raises(VoicefitError, match=rf"settings of {method}: unknown key 'unlabelled'; "):
        api.adapt(tmp_path, tmp_path / "clips", out=tmp_path / "m", method=method, settings={"unlabelled": 3})


def test_adapt_names_a_clip_that_it_leaves_out(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    clips = build_folder(tmp_path / "clips", speakers=())
    soundfile.write(clips / "Angry" / "tiny.wav", np.zeros(20), 16_000)
    code, _, err = run("adapt", encoder, clips, "--out", tmp_path / "model")
    assert code == 0
    assert "left out: Angry/tiny.wav" in err and "25 ms" in err
    assert json.loads((tmp_path / "model" / "voicefit.json").read_text())["left_out"]["Angry/tiny.wav"].startswith(
        "too-short: 1 ms long"
    )


def test_adapt_tells_of_recordings_that_cannot_be_read_and_of_labels_that_it_does_not_know(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)  # as where FFmpeg's decoders are not installed
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    clips = build_folder(tmp_path / "clips", speakers=())
    for name in ("Angry/phone.m4a", "Calm/phone.M4A"):
        (clips / name).parent.mkdir(exist_ok=True)
        (clips / name).write_bytes(b"\0\0\0\x18ftypM4A ")
    code, out, err = run("adapt", encoder, clips, "--out", tmp_path / "model")
    assert code == 0, err
    reason = (
        "which is not read without FFmpeg's decoders: pip install 'voicefit[formats]', or convert it to WAV or FLAC"
    )
    for name in ("Angry/phone.m4a", "Calm/phone.M4A"):
        assert f"left out: {name} (unreadable: is an MP4 or M4A recording, {reason})" in err
    assert "no clip of calm can be used: the model does not know this label" in err
    assert "adapted on 2 anger, 2 neutral" in out


def test_adapt_refuses_several_speakers(run, tmp_path):
    clips = build_folder(tmp_path / "clips", speakers=("anna", "ben"))
    code, _, err = run("adapt", clips, "--out", tmp_path / "model")
    assert code == 2
    assert "holds clips of several speakers (anna, ben …); a model is of one: give the folder of one" in err
    code, _, err = run("adapt", clips / "anna", "--out", tmp_path / "model")
    assert code == 0, err


def test_adapt_says_where_there_was_little_to_train(run, tmp_path):
    clips = build_folder(tmp_path / "clips", speakers=())
    code, _, err = run("adapt", clips, "--method", "full", "--out", tmp_path / "model")
    assert code == 0, err
    assert "every layer of mini is frozen, so that method full has trained little but the classifier" in err
    code, _, err = run("adapt", clips, "--out", tmp_path / "other")
    assert code == 0, err
    assert "frozen" not in err


def test_adapt_says_how_sure_it_is_and_writes_it_down(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    for seed in range(4):
        write_noise(tmp_path / "clips" / ("a", "b")[seed % 2] / f"{seed}.wav", seed, seconds=0.6)
    code, out, err = run("adapt", encoder, tmp_path / "clips", "--out", tmp_path / "model")
    assert code == 0 and "listen to" not in err
    found = json.loads((tmp_path / "model" / "voicefit.json").read_text())["leave_one_out"]
    assert (found["clips"], found["chance"]) == (4, 2.0)
    words = f"how sure: hard to tell from 2 clips of a label. On 4 clips: {found['right']} right when each was left out"
    assert f"{words} (chance 2), which is mostly far too low. `voicefit evaluate` on other clips tells better" in out
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"On 4 clips: {found['right']} right when each was left out; chance 2." in card


def test_adapt_says_that_there_are_copies_and_leaves_them_out_together(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    for seed in range(8):
        for copy in range(2):
            write_noise(tmp_path / "clips" / ("a", "b")[seed % 2] / f"{seed}-{copy}.wav", seed, seconds=0.6)
    code, out, _ = run("adapt", encoder, tmp_path / "clips", "--out", tmp_path / "model")
    assert code == 0
    found = json.loads((tmp_path / "model" / "voicefit.json").read_text())["leave_one_out"]
    assert (found["clips"], found["copies"]) == (16, 8) and found["right"] < 16
    words = f"on 16 clips, 8 of them copies of others: {found['right']} right when each was left out with its copies"
    assert words in out
    assert "Of these clips 8 have the samples of another" in (tmp_path / "model" / "README.md").read_text()


def test_adapt_takes_one_clip_a_label_and_says_what_it_cannot(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    for label, seconds in (("a", 0.6), ("b", 0.3)):
        write_noise(tmp_path / "clips" / label / "1.wav", 0, seconds=seconds)
    code, out, err = run("adapt", encoder, tmp_path / "clips", "--out", tmp_path / "model")
    assert code == 0
    assert "adapted on 1 a, 1 b" in out and "how sure: not measured" in out
    assert "listen to b/1.wav: it is 0.3 s long" in err
    assert "Not measured" in (tmp_path / "model" / "README.md").read_text()


def test_a_model_grows_by_clips_and_corrections_in_place(run, tmp_path):
    clips = write_clips(tmp_path / "clips", "anger/1", "anger/2", "neutral/1", "neutral/2")
    assert run("adapt", clips, "--out", tmp_path / "m", "--small")[0] == 0
    (tmp_path / "more" / "sadness").mkdir(parents=True)
    (clips / "anger" / "2.wav").rename(tmp_path / "more" / "sadness" / "that.wav")
    again = ["adapt", "--from", tmp_path / "m", tmp_path / "more", "--out", tmp_path / "m"]
    code, _, err = run(*again)
    assert code == 2 and "take its place with --overwrite" in err
    code, out, err = run(*again, "--overwrite")
    assert code == 0, err
    assert "sadness/that.wav was anger, and is sadness now" in err
    assert "adapted on 1 anger, 2 neutral, 1 sadness by method prior" in out
    code, out, err = run("adapt", "--from", tmp_path / "m", "--drop", "sad", "--out", tmp_path / "n")
    assert code == 0, err
    assert "label sadness is dropped, with its 1 clip" in err and "adapted on 1 anger, 2 neutral" in out
    assert not (tmp_path / "n" / "config.json").exists()  # small, as the model was


def test_each_speaker_gets_a_row_and_failures_end_with_2(run, tmp_path):
    names = ("anger/1", "anger/2", "neutral/1", "neutral/2")
    write_clips(tmp_path / "all" / "anna", *names)
    write_clips(tmp_path / "all" / "ben", "anger/1")
    (tmp_path / "all" / "anna" / "anger" / "bad.wav").write_bytes(b"not audio")
    code, out, err = run("adapt", tmp_path / "all", "--each", "--out", tmp_path / "models", "--small")
    assert code == 2
    assert "left out: anna: anger/bad.wav" in err
    assert "error: 1 of 2 speakers have no model: ben (" in err and "Traceback" not in err
    anna, ben = (line for line in out.splitlines() if line.split()[0] in ("anna", "ben"))
    assert "2 anger, 2 neutral" in anna and " of 4 " in anna and "no model" in ben
    assert (tmp_path / "models" / "anna" / "head.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "voicefit example"),
        (["clips", "--drop", "anger"], "--from"),
        (["clips", "--each", "--from", "m"], "leave --from out"),
        (["--from", "m", "a", "b", "c"], "3 arguments"),
    ],
)
def test_options_that_do_not_go_together_are_told(run, tmp_path, arguments, words):
    code, _, err = run("adapt", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert words in err and len(err.strip().splitlines()) == 1


def test_recordings_without_labels_can_be_a_table_that_has_none(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    write_clips(tmp_path / "more", "a", "b", first=40)
    table = tmp_path / "more.csv"
    table.write_text("file,start,end\nmore/a.wav,0,0.3\nmore/b.wav,,\nmore/b.wav,,\nmore/gone.wav,,\n")
    code, out, err = run("adapt", checkpoint, clips, "--out", tmp_path / "m", "--unlabelled", table)
    assert code == 0, err
    assert "2 recordings without labels took part" in err and "by method joint" in out
    assert "left out: row 4 of more.csv (lists more/b.wav again)" in err
    assert "left out: more/gone.wav (missing: " in err
    table.write_text("label\nhappy\n")
    code, _, err = run("adapt", checkpoint, clips, "--out", tmp_path / "n", "--unlabelled", table)
    assert code == 2 and "more.csv: no column path; the columns are label" in err
