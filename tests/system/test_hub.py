"""Models of the hub, as its client keeps them: a cache in its real layout, and no connection."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pandas as pd
import pytest

import voicefit
from support import hub
from support.layouts import build_folder, write_noise
from support.tiny_models import build_wav2vec2_group_norm, make_prior
from voicefit.checkpoints.checkpoint import save_prefinetuned
from voicefit.checkpoints.publish import PUBLISHED, push
from voicefit.cli.app import main
from voicefit.encoders import load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.corpus_heads import CorpusHeads
from voicefit.system.hub import locate


def put_in_cache(home, repository, folder):
    """Lay ``folder`` where the hub's client keeps what it has downloaded of ``repository``."""
    cached = home / "hub" / f"models--{repository.replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(hub.COMMIT)
    shutil.copytree(folder, cached / "snapshots" / hub.COMMIT)
    return cached / "snapshots" / hub.COMMIT


def run(home, *arguments, **more):
    return run_python(home, "-m", "voicefit", *arguments, **more)


def run_python(home, *arguments, **more):
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", **more}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def checkpoint(tmp_path):
    encoder = load_encoder(build_wav2vec2_group_norm(tmp_path / "encoder"))
    heads = CorpusHeads({"c": ["anger", "neutral"]}, encoder.projector.out_features)
    record = {"kind": "prefinetuned", "source": "encoder", "protocol": "clean", "seed": 0, "depth": encoder.depth}
    record |= {"frozen_layers": 0, "front_end": encoder.front_end.model_dump(), "corpora": [], "best": {"epoch": 1.0}}
    history = pd.DataFrame([{"epoch": 1, "train_loss": 1.0, "validation_mean_macro_f1": 0.5}])
    save_prefinetuned(encoder, heads, make_prior(encoder.hidden_size), tmp_path / "checkpoint", record, history)
    return tmp_path / "checkpoint"


SCRIPT = """
import json, sys
import voicefit
home, clips, clip = sys.argv[1:4]
answers = []
for number, start in enumerate(sys.argv[4:]):
    adapted = voicefit.adapt(start, clips, out=f"{home}/{number}")
    answers.append([adapted.method, adapted.model.predict(clip).probabilities])
answers.append(["hub", voicefit.load_model("me/model").predict(clip).probabilities])
try:
    voicefit.adapt("me/half", clips, out=f"{home}/half")
except voicefit.VoicefitError as error:
    answers.append(str(error))
print(json.dumps(answers))
"""


@pytest.mark.slow(8)
def test_what_the_hub_has_adapts_and_predicts_like_a_directory(checkpoint, tmp_path):
    put_in_cache(tmp_path / "home", "me/checkpoint", checkpoint)
    clips = build_folder(tmp_path / "clips", speakers=())
    write_noise(tmp_path / "new.wav", 3, seconds=0.4)
    adapted = voicefit.adapt(checkpoint, clips, out=tmp_path / "model")
    expected = adapted.model.predict(tmp_path / "new.wav").probabilities
    put_in_cache(tmp_path / "home", "me/model", tmp_path / "model")
    (put_in_cache(tmp_path / "home", "me/half", checkpoint) / "prior.safetensors").unlink()
    arguments = (tmp_path, clips, tmp_path / "new.wav", "me/checkpoint")
    done = run_python(tmp_path / "home", "-c", SCRIPT, *arguments)
    assert done.returncode == 0, done.stderr
    refused = "me/half: prior.safetensors cannot be fetched from the hub; try again with a connection"
    expected = pytest.approx(expected, abs=1e-6)  # this process may run on fewer threads, which rounds elsewhere
    assert json.loads(done.stdout) == [["prior", expected], ["hub", expected], refused]


def test_a_directory_is_never_looked_for_on_the_hub(checkpoint, tmp_path):
    assert locate(checkpoint).file("config.json") == checkpoint / "config.json"
    assert locate(checkpoint).file("absent.json") is None
    with pytest.raises(VoicefitError, match=r"absent: no such folder\. A model of the hub is named as owner/name"):
        locate(tmp_path / "absent")


LOOK = """
import sys
import voicefit
name, clips, clip, *outs = sys.argv[1:]
for out in outs:
    adapted = voicefit.adapt(name, clips, out=out)
    print(adapted.method, adapted.model.predict(clip).label, flush=True)
    sys.stdin.readline()
"""


@contextmanager
def looking(home, *arguments, **more):
    """A process that adapts once for each directory named; it prints what it has, and waits for a line."""
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", **more}
    command = [sys.executable, "-c", LOOK, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        yield process
        assert process.stdin is not None and process.stderr is not None
        process.stdin.close()
        assert process.wait(60) == 0, process.stderr.read()


@pytest.mark.slow(15)
def test_adapting_looks_once_at_the_hub_and_downloads_each_file_once(checkpoint, tmp_path):
    clips = build_folder(tmp_path / "clips", speakers=())
    write_noise(tmp_path / "new.wav", 3, seconds=0.4)
    (checkpoint / "pytorch_model.bin").write_bytes(b"not safetensors: never asked for")
    arguments = (tmp_path / "home", "me/checkpoint", clips, tmp_path / "new.wav")
    printed = []
    with hub.serve("me/checkpoint", checkpoint) as server:
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": server.address}
        with looking(*arguments, tmp_path / "model-1", tmp_path / "model-2", **online) as process:
            for number in (1, 2):
                printed.append(process.stdout.readline())
                assert server.looks() == 1, server.requests
                downloads = [path for path in server.requests if path.startswith("GET") and "/resolve/" in path]
                expected = {"config.json", "preprocessor_config.json", "prior.safetensors", "voicefit.json"}
                names = {path.rpartition("/")[2] for path in downloads}
                assert names == (expected | {"model.safetensors"} if number == 1 else set())
                server.requests.clear()
                process.stdin.write("\n")
                process.stdin.flush()
    with looking(*arguments, tmp_path / "model-3") as offline:
        assert printed == [offline.stdout.readline()] * 2
    assert printed[0].startswith("prior ")


def test_everything_that_is_written_is_published(checkpoint, tmp_path):
    assert {path.name for path in checkpoint.iterdir()} <= set(PUBLISHED)


def test_a_push_without_a_token_is_one_line(checkpoint, tmp_path):
    done = run(tmp_path / "home", "push", checkpoint, "me/checkpoint")
    assert done.returncode == 2
    assert "run `hf auth login`, or set HF_TOKEN" in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("repository", "offline", "words"),
    [
        ("me/check/point", True, "'me/check/point' is no name of a repository"),
        ("me/checkpoint", True, "the hub cannot be reached or refuses"),
        ("me/checkpoint", False, "the hub cannot be reached or refuses"),
    ],
)
def test_what_keeps_a_push_from_the_hub_is_one_line(checkpoint, repository, offline, words, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    # What the hub's client reads from the environment at its import.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(sys, "argv", ["voicefit", "push", str(checkpoint), repository])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert words in told and len(told.splitlines()) == 1


def test_only_a_model_of_voicefit_is_pushed(tmp_path):
    with pytest.raises(VoicefitError, match=r"has no voicefit\.json"):
        push(tmp_path, "me/anything")
