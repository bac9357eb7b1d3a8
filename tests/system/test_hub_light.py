"""Models of the hub, and for it, where their encoders are graphs."""

import json
import os
import shutil
import subprocess
import sys

import pytest

import voicefit
from support import hub
from support.layouts import write_noise
from support.tiny_models import build_start
from voicefit.checkpoints.publish import PUBLISHED, push
from voicefit.encoders.onnx_encoder import GRAPH
from voicefit.export.encoder import add_graph

pytestmark = pytest.mark.slow(4)

SCRIPT = """
import json, sys
sys.modules["torch"] = sys.modules["transformers"] = None
import voicefit
home, clips, clip = sys.argv[1:]
answers = {}
for method in ("prior", "head", "prototype"):
    for small in (False, True):
        model = voicefit.adapt("me/checkpoint", clips, method=method, small=small, out=f"{home}/{method}-{small}").model
        answers[f"{method}-{small}"] = model.predict(clip).probabilities
answers["hub"] = voicefit.load_model("me/model").predict(clip).probabilities
answers["checkpoint"] = voicefit.load_model("me/checkpoint").predict(clip).probabilities
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = build_start(tmp_path_factory.mktemp("start"))
    add_graph(folder)
    return folder


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """A folder with clips of a voice, and a new clip."""
    folder = tmp_path_factory.mktemp("voice")
    for seed, name in enumerate(("clips/anger/1", "clips/anger/2", "clips/neutral/1", "clips/neutral/2", "new")):
        write_noise(folder / f"{name}.wav", seed, seconds=0.3 + 0.1 * seed)
    return folder


def put_in_cache(home, repository, folder):
    """As the hub's client does it: files by their digests, and links to them by their names."""
    cached = home / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = cached / "snapshots" / hub.COMMIT
    snapshot.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(hub.COMMIT)
    (cached / "blobs").mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        shutil.copy(path, cached / "blobs" / f"{number:040}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number:040}")


def test_a_checkpoint_of_the_hub_needs_no_pytorch_either(checkpoint, voice, tmp_path):
    expected = {}
    for method in ("prior", "head", "prototype"):
        model = voicefit.adapt(checkpoint, voice / "clips", method=method, out=tmp_path / method).model
        expected[f"{method}-False"] = expected[f"{method}-True"] = model.predict(voice / "new.wav").probabilities
    expected["hub"] = expected["prior-False"]
    expected["checkpoint"] = voicefit.load_model(checkpoint).predict(voice / "new.wav").probabilities
    put_in_cache(tmp_path / "home", "me/checkpoint", checkpoint)
    put_in_cache(tmp_path / "home", "me/model", tmp_path / "prior")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", SCRIPT, tmp_path / "home", voice / "clips", voice / "new.wav"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == expected.keys()
    for name, chances in expected.items():
        assert found[name] == pytest.approx(chances, abs=1e-6), name
    record = json.loads((tmp_path / "home" / "prior-True" / "voicefit.json").read_text())
    assert record["encoder"]["source"] == "me/checkpoint"


def test_a_small_model_is_pushed_whole(checkpoint, voice, tmp_path, monkeypatch):
    sent = tmp_path / "sent"

    class Hub:
        def create_repo(self, repository, **options):
            return f"https://hub/{repository}"

        def upload_folder(self, repo_id, folder_path, allow_patterns):
            assert allow_patterns == list(PUBLISHED)
            sent.mkdir()
            for name in allow_patterns:
                if (folder_path / name).is_file():
                    shutil.copy(folder_path / name, sent)

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    voicefit.adapt(checkpoint, voice / "clips", out=tmp_path / "small", small=True)
    assert push(tmp_path / "small", "me/model") == "https://hub/me/model"
    names = {path.name for path in sent.iterdir()}
    assert "shots.safetensors" not in names  # what is known of a voice's clips stays on this machine
    assert names <= set(PUBLISHED) and {"config.json", "model.safetensors", GRAPH, "prior.safetensors"} <= names
    one, other = (voicefit.load_model(folder).predict(voice / "new.wav") for folder in (sent, tmp_path / "small"))
    assert one == other
