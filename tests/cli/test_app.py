import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.layouts import build_emodb, build_folder, write_noise
from support.tiny_models import build_wav2vec2_group_norm
from voicefit import api
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
    ["evaluate"],
    ["suggest"],
    ["predict"],
    ["export"],
    ["push"],
    ["serve"],
    ["sweep"],
    ["report"],
]


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
    assert licences["ravdess"] == licences["ravdess-intensity"] == "CC BY-NC-SA 4.0"


def test_corpora_list_says_what_labels_tell(run):
    _, out, _ = run("corpora", "list")
    assert "labels are emotions, except of" in out
    told = " ".join(out.partition("except of")[2].split())
    for words in ("fsdd (digit)", "ravdess-intensity (intensity)", "tess-word (word)"):
        assert words in told
    assert "emodb" not in told and "folder" not in told


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


def test_a_plan_that_is_not_there_is_named_with_the_preset_that_is_called_alike(run):
    code, _, err = run("sweep", "plans/encoder-sizes.toml", "--dry-run")
    assert code == 2
    assert "plans/encoder-sizes.toml: no such plan; did you mean --preset encoder-size?" in err
