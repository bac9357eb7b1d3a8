"""Exported graphs in the oldest onnxruntime that pyproject.toml allows, and in onnxruntime-web under Node."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import SUPPORT
from support.adapted_models import LABELS, build_adapted
from support.tiny_models import make_waveform
from voicefit.export.onnx import export
from voicefit.prediction.model import load_model

pytestmark = pytest.mark.slow(60)
pytest.importorskip("onnx", reason="the extra onnx is not installed")

GRAPHS = ("wav2vec2-layer-norm", "hubert-batch-norm", "wavlm", "whisper")
"""Together these have every operator of the families."""

SAMPLES = (400, 721, 16_000, 80_000, 96_000)
PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """A folder with a graph of each family, waveforms, and what the models say of them."""
    folder, answers = tmp_path_factory.mktemp("graphs"), {}
    waveforms = {samples: 0.3 * make_waveform(samples / 16_000, 1) + 0.05 for samples in SAMPLES}
    for samples, waveform in waveforms.items():
        waveform.astype("<f4").tofile(folder / f"{samples}.f32")
    for name in GRAPHS:
        weighted = name != "hubert-batch-norm"
        model = load_model(build_adapted(folder / "made", name, real_graph=True, weighted_layers=weighted))
        export(folder / "made" / "model", folder / f"{name}.onnx")
        shutil.rmtree(folder / "made")
        said = {samples: model.predict(waveform).probabilities for samples, waveform in waveforms.items()}
        answers[name] = {samples: [said[samples][label] for label in LABELS] for samples in SAMPLES}
    (folder / "answers.json").write_text(json.dumps(answers))
    return folder


def agree(graphs, printed):
    found, expected = json.loads(printed), json.loads((graphs / "answers.json").read_text())
    assert found.keys() == expected.keys() == set(GRAPHS)
    for name in GRAPHS:
        for samples in map(str, SAMPLES):
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


def test_onnxruntime_web_runs_it_in_node(graphs, tmp_path):
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no Node here")
    package = "onnxruntime-web@1"
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", tmp_path, package]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip("npm cannot install onnxruntime-web here")
    shutil.copy(SUPPORT / "run_graphs.mjs", tmp_path)  # Node looks for packages beside the script
    done = subprocess.run(
        [node, tmp_path / "run_graphs.mjs", graphs], capture_output=True, text=True, timeout=300, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    agree(graphs, done.stdout)
