"""Exported graphs in the oldest onnxruntime that pyproject.toml allows, and in onnxruntime-web in Node and Chromium."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import SUPPORT
from support.adapted_models import build_adapted
from support.chromium import CHROMIUM
from support.tiny_models import make_waveform
from support.web_runtime import in_chromium, in_node, install
from voicefit.export.onnx import export
from voicefit.prediction.model import load_model

pytestmark = pytest.mark.slow(60)
pytest.importorskip("onnx", reason="the extra onnx is not installed")

GRAPHS = ("wav2vec2-layer-norm", "hubert-batch-norm", "wavlm", "whisper")
"""Together these have every operator of the families."""

MINI = "mini"

SAMPLES = (400, 721, 16_000, 80_000, 96_000)
PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """A folder with a graph of each family, waveforms, and what the models say of them."""
    folder, answers = tmp_path_factory.mktemp("graphs"), {}
    waveforms = {samples: 0.3 * make_waveform(samples / 16_000, 1) + 0.05 for samples in SAMPLES}
    for samples, waveform in waveforms.items():
        waveform.astype("<f4").tofile(folder / f"{samples}.f32")
    for name in (*GRAPHS, MINI):
        if name == MINI:
            source = MINI
        else:
            weighted = name != "hubert-batch-norm"
            source = build_adapted(folder / "made" / name, name, real_graph=True, weighted_layers=weighted)
        model = load_model(source, graph=False)  # PyTorch answers
        least = int(export(source, folder / f"{name}.onnx").metadata["min_samples"])
        taken = {samples: waveform for samples, waveform in waveforms.items() if samples >= least}
        said = {samples: model.predict(waveform).probabilities for samples, waveform in taken.items()}
        answers[name] = {samples: [said[samples][label] for label in model.labels] for samples in taken}
    shutil.rmtree(folder / "made")
    (folder / "answers.json").write_text(json.dumps(answers))
    return folder


def agree(graphs, printed):
    found, expected = json.loads(printed), json.loads((graphs / "answers.json").read_text())
    assert found.keys() == expected.keys() == {*GRAPHS, MINI}
    for name in found:
        assert found[name].keys() == expected[name].keys() >= {"16000", "80000", "96000"}
        for samples in found[name]:
            np.testing.assert_allclose(found[name][samples], expected[name][samples], atol=1e-4, rtol=0)


def test_the_oldest_onnxruntime_runs_it(graphs, tmp_path):
    (oldest,) = re.findall(r'"onnxruntime>=([\d.]+)"', PYPROJECT.read_text())
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    # The first release of a minor version, since no older one is promised.
    wanted = [f"onnxruntime=={oldest}.0" if oldest.count(".") == 1 else f"onnxruntime=={oldest}", "numpy"]
    command = [python, "-m", "pip", "install", "--quiet", *wanted]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip(f"pip cannot install {wanted[0]} here")
    done = subprocess.run(
        [python, SUPPORT / "run_graphs.py", graphs], capture_output=True, text=True, timeout=300, env={}
    )
    assert done.returncode == 0, done.stderr
    version, answers = done.stdout.splitlines()
    assert version.startswith(oldest)
    agree(graphs, answers)


@pytest.fixture(scope="module")
def onnxruntime_web(tmp_path_factory):
    """A folder in which npm has installed onnxruntime-web."""
    folder = tmp_path_factory.mktemp("npm")
    if shutil.which("npm") is None:
        pytest.skip("no npm here")
    if not install(folder):
        pytest.skip("npm cannot install onnxruntime-web here")
    return folder


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node here")
def test_onnxruntime_web_runs_it_in_node(graphs, onnxruntime_web):
    agree(graphs, in_node(onnxruntime_web, graphs))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_onnxruntime_web_runs_it_in_chromium(graphs, onnxruntime_web, tmp_path):
    agree(graphs, in_chromium(onnxruntime_web, graphs, tmp_path))
