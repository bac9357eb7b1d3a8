import json
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from support.layouts import build_emodb, build_folder, write_noise
from support.tiny_models import build_wav2vec2_group_norm, make_prior
from support.voices import speak, write_clips
from voicefit import api
from voicefit.checkpoints.checkpoint import save_prefinetuned
from voicefit.cli import app as cli
from voicefit.encoders import load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.corpus_heads import CorpusHeads
from voicefit.selection.ranking import SCORES

COMMANDS = [
    ["demo"],
    ["example"],
    ["corpora", "list"],
    ["corpora", "check"],
    ["corpora", "download"],
    ["prefinetune"],
    ["select"],
    ["adapt"],
    ["predict"],
    ["export"],
    ["push"],
    ["serve"],
    ["sweep"],
    ["report"],
]


def voicefit(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error of the command line."""
    monkeypatch.setattr(sys, "argv", ["voicefit", *map(str, arguments)])
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *arguments: voicefit(monkeypatch, capsys, *arguments)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(run, command):
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert f"voicefit {' '.join(command)}" in " ".join(out.split())
    assert "Example" in out


def test_corpora_list_prints_json_with_licences(run):
    code, out, _ = run("corpora", "list", "--json")
    licences = {entry["name"]: entry["licence"] for entry in json.loads(out)}
    assert code == 0
    assert licences["ravdess"] == "CC BY-NC-SA 4.0"


def test_check_reports_a_broken_clip_and_ends_well(run, tmp_path):
    root = build_emodb(tmp_path / "EmoDB")
    broken = root / "wav" / "03a01Fa.wav"
    broken.write_bytes(b"not audio")
    code, out, _ = run("corpora", "check", f"emodb={root}", "--json")
    findings = json.loads(out)["findings"]
    assert code == 0
    assert [(f["clip_id"].endswith("03a01Fa.wav"), f["kind"]) for f in findings if f["kind"] == "unreadable"] == [
        (True, "unreadable")
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["corpora", "check", "ravdess=/nowhere"], "/nowhere"),
        (["corpora", "check", "ravdes=/nowhere"], "did you mean"),
        (["corpora", "check", "no-equals-sign"], "NAME=PATH"),
        (["corpora", "download", "iemocap"], "the page of iemocap is https://"),
        (["corpora", "download", "nothing"], "'nothing' is not downloaded: ravdess, cafe"),
        (["adapt", "/nowhere/model", "/nowhere/clips", "--out", "model"], "/nowhere/clips"),
        (["predict", "/nowhere", "x.wav"], "/nowhere"),
        (["export", "/nowhere", "--out", "model.onnx"], "/nowhere"),
        (["sweep", "/nowhere/plan.toml", "--out", "run"], "/nowhere/plan.toml"),
        (["report", "/nowhere"], "/nowhere"),
        (["prefinetune", "--encoder", "/nowhere", "--corpus", "emodb=/gone", "--out", "c"], "/gone"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, out, err = run(*arguments)
    assert code == 2
    assert err.startswith("error: ") and words in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "/locked/model"), "/locked/model: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_what_the_system_refuses_is_one_line_and_exit_code_2(run, monkeypatch, error, words):
    def refuse(*arguments, **named):
        raise error

    monkeypatch.setattr(api, "adapt", refuse)
    code, _, err = run("adapt", "model", "clips", "--out", "out")
    assert code == 2
    assert err.startswith("error: ") and words in err and len(err.splitlines()) == 1


def test_an_unknown_option_exits_with_2(run):
    code, _, err = run("sweep", "--no-such-option")
    assert code == 2
    assert "no-such-option" in err


def test_a_corpus_given_twice_is_refused(run, tmp_path):
    root = build_emodb(tmp_path / "EmoDB")
    arguments = ["--corpus", f"emodb={root}", "--corpus", f"emodb={root}", "--out", tmp_path / "c"]
    code, _, err = run("prefinetune", "--encoder", tmp_path, *arguments)
    assert code == 2
    assert "given twice" in err


@pytest.mark.slow(8)
def test_select_prints_a_ranking_and_what_each_score_says(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    voice = build_folder(tmp_path / "clips", speakers=())
    (voice / "Angry" / "broken.wav").write_bytes(b"not audio")
    arguments = ["--target", voice, "--encoder", encoder, "--corpus", f"emodb={build_emodb(tmp_path / 'EmoDB')}"]
    arguments += ["--corpus", f"mine={build_folder(tmp_path / 'mine')}", "--subsets", "--depth", 1]
    code, out, err = run("select", *arguments)
    assert code == 0, err
    assert next(line for line in out.splitlines() if "emodb" in line).split()[:2] == ["emodb", "+"]
    assert all(f"{score.title}: {score.meaning}" in out for score in SCORES.values())
    assert "left out: target/Angry/broken.wav" in err
    code, out, _ = run("select", *arguments, "--json")
    found = json.loads(out)
    assert found["candidates"][0]["corpora"] == ["emodb", "mine"]
    assert len(found["candidates"]) == 3
    assert set(found["candidates"][0]["scores"]) == set(SCORES)
    assert found["target"] == {"anger": 2, "neutral": 2}


@pytest.fixture
def model(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    clips = build_folder(tmp_path / "clips", speakers=())
    code, _, err = run("adapt", encoder, clips, "--out", tmp_path / "model", "--method", "prototype")
    assert code == 0, err
    return tmp_path / "model"


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


@pytest.fixture
def pretrained(tmp_path):
    """A pre-finetuned checkpoint and clips of a voice, made without training."""
    encoder = load_encoder(build_wav2vec2_group_norm(tmp_path / "encoder"))
    heads = CorpusHeads({"c": ["anger", "neutral"]}, encoder.projector.out_features)
    record = {"source": "encoder", "protocol": "clean", "seed": 0, "depth": encoder.depth, "frozen_layers": 0}
    record |= {"front_end": encoder.front_end.model_dump(), "corpora": [], "best": {"epoch": 1.0}}
    history = pd.DataFrame([{"epoch": 1, "train_loss": 1.0, "validation_mean_macro_f1": 0.5}])
    save_prefinetuned(encoder, heads, make_prior(encoder.hidden_size), tmp_path / "checkpoint", record, history)
    return tmp_path / "checkpoint", build_folder(tmp_path / "clips", speakers=())


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


def other_clips(folder):
    """Clips of the labels of `build_folder`, and no copies of its."""
    for seed, name in enumerate(("Angry/5.wav", "Angry/6.wav", "neutral/5.wav")):
        write_noise(folder / name, 100 + seed, seconds=0.3)
    return folder


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


def test_evaluate_says_that_an_older_model_names_no_clips(run, pretrained, tmp_path):
    checkpoint, clips = pretrained
    run("adapt", checkpoint, clips, "--out", tmp_path / "m")
    record = json.loads((tmp_path / "m" / "voicefit.json").read_text())
    assert list(record.pop("clips").values()) == ["anger", "anger", "neutral", "neutral"]
    (tmp_path / "m" / "voicefit.json").write_text(json.dumps(record))
    code, out, err = run("evaluate", tmp_path / "m", clips, "--json")
    assert code == 0 and json.loads(out)["clips"] == 4
    assert "does not say which clips it was adapted on" in err


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


def test_timelines_are_not_labelled_together(run, pretrained, tmp_path):
    code, _, err = run("predict", "mini", tmp_path, "--together", "--window", "1")
    assert code == 2
    assert "--together labels whole clips: leave --window out" in err


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
    assert f"how sure: on 4 clips: {found['right']} right when each was left out (chance 2)" in out
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


def test_who_stops_a_command_is_told_that_it_can_go_on():
    """Naps are short: a signal on the way into one long nap would be heard at its end."""
    program = (
        "import sys, time\nfrom voicefit.cli import app as cli\n@cli.app.command()\ndef nap():\n"
        "    print('napping', flush=True)\n    for _ in range(600):\n        time.sleep(0.1)\n"
        "sys.argv = ['voicefit', 'nap']\ncli.main()"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as process:
        assert process.stdout.readline() == "napping\n"
        process.send_signal(signal.SIGINT)
        assert "the same command resumes from here" in process.communicate(timeout=60)[1]
    assert process.returncode == 130


def test_square_brackets_and_names_that_are_no_utf8_are_printed(run, tmp_path, start):
    clips = build_folder(tmp_path / "clips", speakers=())
    (clips / "neutral").rename(clips / "[calm]")
    os.rename(os.fsencode(clips / "Angry" / "1.wav"), os.fsencode(clips / "Angry") + b"/w\xfctend.wav")
    code, out, err = run("adapt", start, clips, "--out", tmp_path / "[m]")
    assert code == 0, err
    assert "adapted on 2 [calm], 2 anger" in out and "model: " in out and "/[m]" in out
    code, out, err = run("predict", tmp_path / "[m]", clips, "--json")
    assert code == 0, err
    names = {os.fsencode(Path(item["file"]).name) for item in json.loads(out)}
    assert b"w\xfctend.wav" in names


def test_tables_are_taken_where_folders_are(run, tmp_path, start):
    clips = build_folder(tmp_path / "clips", speakers=())
    rows = [f"{path.relative_to(clips)};{path.parent.name}" for path in sorted(clips.rglob("*.wav"))]
    (clips / "t.csv").write_text("file;emotion\n" + "\n".join([*rows, rows[0]]))
    code, out, err = run("adapt", start, clips / "t.csv", "--out", tmp_path / "m", "--unlabelled", clips / "t.csv")
    assert code == 2 and "every recording there has a label already" in err
    code, out, err = run("adapt", start, clips / "t.csv", "--out", tmp_path / "m")
    assert code == 0, err
    assert "adapted on 2 anger, 2 neutral" in out
    assert "left out: row 6 of t.csv (lists Angry/1.wav again)" in err
    more = [f"more/{path.parent.name}-{path.name};{path.parent.name}" for path in sorted(clips.rglob("*.wav"))]
    for seed, row in enumerate(more):
        write_noise(clips / row.split(";")[0], 100 + seed)
    (clips / "more.csv").write_text("file;emotion\n" + "\n".join(more))
    code, out, err = run("evaluate", tmp_path / "m", clips / "more.csv", "--json")
    assert code == 0 and json.loads(out)["clips"] == 4, err


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


def test_evaluate_asks_for_clips_where_it_is_given_a_model_alone(run, tmp_path):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    code, _, err = run("evaluate", encoder)
    assert code == 2
    assert f"error: {encoder}: is a model; give labelled clips after it" in err


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
