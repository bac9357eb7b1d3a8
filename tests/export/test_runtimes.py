"""Exported graphs in the oldest onnxruntime that pyproject.toml allows, and in onnxruntime-web in Node and Chromium."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from support import SUPPORT
from support.adapted_models import build_adapted
from support.chromium import CHROMIUM, FLAGS
from support.tiny_models import make_waveform
from voicefit.export.onnx import export
from voicefit.export.web import RUNTIME_FILES
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
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("npm")
    if npm is None:
        pytest.skip("no npm here")
    package = "onnxruntime-web@1"
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, package]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip("npm cannot install onnxruntime-web here")
    return folder


def test_onnxruntime_web_runs_it_in_node(graphs, onnxruntime_web):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here")
    shutil.copy(SUPPORT / "run_graphs.mjs", onnxruntime_web)  # Node looks for packages beside the script
    command = [node, onnxruntime_web / "run_graphs.mjs", graphs]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ})
    assert done.returncode == 0, done.stderr
    agree(graphs, done.stdout)


class Site(SimpleHTTPRequestHandler):
    """The files of a folder; what the page sends goes to ``said``."""

    said: SimpleQueue[str]

    def do_POST(self):
        self.said.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_onnxruntime_web_runs_it_in_chromium(graphs, onnxruntime_web, tmp_path, monkeypatch):
    site, said = tmp_path / "site", SimpleQueue()
    shutil.copytree(graphs, site)
    for name in RUNTIME_FILES:
        shutil.copy(onnxruntime_web / "node_modules" / "onnxruntime-web" / "dist" / name, site)
    shutil.copy(SUPPORT / "run_graphs.html", site / "index.html")
    monkeypatch.setattr(Site, "said", said, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        command = [CHROMIUM, "--headless", *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", address]
        chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            answers = said.get(timeout=240)
        finally:
            chromium.terminate()
            chromium.wait(30)
            server.shutdown()
    assert answers.startswith("{"), answers
    agree(graphs, answers)
