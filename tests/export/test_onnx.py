import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import WhisperFeatureExtractor, pipeline

from support.adapted_models import LABELS, build_adapted
from support.layouts import write_noise
from support.tiny_models import REAL_GRAPHS, make_waveform, rewrite_weights
from voicefit import api
from voicefit.errors import VoicefitError
from voicefit.export.encoder import OPSET, add_graph
from voicefit.export.graph import LogMel
from voicefit.export.onnx import export
from voicefit.prediction.model import load_model

pytestmark = pytest.mark.slow(10)

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_predict.py"


def read(file):
    session = onnxruntime.InferenceSession(file)
    return lambda waveform: session.run(None, {"waveform": waveform})[0]


@pytest.mark.parametrize(
    ("name", "more"),
    # A weighted graph has all that a plain one has; tests/encoders/test_onnx_encoder.py has plain ones.
    [(name, {"weighted_layers": name not in ("hubert-batch-norm", "wavlm")}) for name in REAL_GRAPHS],
)
def test_onnx_voicefit_and_transformers_say_the_same(tmp_path, name, more):
    """Also at a sample more and less than a frame, and than the window of 5 s."""
    folder = build_adapted(tmp_path, name, real_graph=True, **more)
    result = export(folder, tmp_path / "model.onnx")
    model, classify = load_model(folder), read(result.file)
    plain = pipeline("audio-classification", model=str(folder), device="cpu")
    answers = []
    for samples in (400, 401, 719, 720, 721, 16_000, 79_999, 80_000, 80_001, 176_000):
        waveform = 0.3 * make_waveform(samples / 16_000, 1) + 0.05
        expected = [model.predict(waveform).probabilities[label] for label in LABELS]
        np.testing.assert_allclose(classify(waveform), expected, atol=1e-4, rtol=0)
        scores = {row["label"]: row["score"] for row in plain(waveform[: 5 * 16_000], top_k=3)}
        np.testing.assert_allclose([scores[label] for label in LABELS], expected, atol=1e-4, rtol=0)
        answers.append(expected)
    assert np.std(answers, axis=0).max() > 1e-3  # else the agreement says nothing
    assert result.difference < 1e-4 and result.changed == 0
    assert result.bytes == result.file.stat().st_size
    operators = operators_of(onnx.load(result.file))
    assert operators <= documented_operators(name)
    # A weight-normed kernel is computed in the graph.
    assert ("ReduceL2" in operators) == (name not in ("whisper", "hubert-batch-norm"))


def operators_of(model):
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    return {node.op_type for node in model.graph.node}


def documented_operators(of):
    """The operators that docs/how-to/export.md lists for a family, or for 8 bits, and those of all families."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "export.md").read_text()
    rows = {
        name: re.findall(r"`(\w+)`", operators)
        for name, operators in re.findall(r"^\| ([\w .]+) \| (`.+`) \|$", text, re.MULTILINE)
    }
    (kind,) = (name for name in rows if of.startswith(name.lower().replace(" ", "").removesuffix(".0")) or of in name)
    return {*rows["every family"], *rows[kind]}


def test_log_mel_frames_are_those_of_whisper():
    extractor = WhisperFeatureExtractor(chunk_length=3)
    for seconds in (0.05, 1.23, 4.0):
        waveform = make_waveform(seconds)
        expected = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_features[0]
        torch.testing.assert_close(LogMel(extractor)(torch.from_numpy(waveform)[None])[0], expected, atol=2e-5, rtol=0)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return build_adapted(tmp_path_factory.mktemp("whisper"), "whisper")


@pytest.fixture(scope="module")
def exported(whisper):
    return export(whisper, whisper.parent / "model.onnx")


def test_a_real_whisper_on_a_real_voice(shared_data, shared_models, tmp_path):
    clips, unheard = tmp_path / "clips", tmp_path / "unheard"
    for emotion in ("anger", "sadness"):
        (clips / emotion).mkdir(parents=True)
        unheard.mkdir(exist_ok=True)
        files = sorted((shared_data / "nEMO" / "samples").glob(f"EB0_{emotion}_*"))
        for file in files[:2]:
            (clips / emotion / file.name).symlink_to(file)
        for file in files[2:5]:
            (unheard / file.name).symlink_to(file)
    api.adapt(shared_models / "whisper-tiny.en-encoder-5s", clips, out=tmp_path / "model")
    result = export(tmp_path / "model", tmp_path / "model.onnx", clips=[unheard])
    assert (result.clips, result.changed) == (6, 0)
    assert 0 < result.difference < 1e-4


@pytest.fixture(scope="module")
def with_graph(whisper, tmp_path_factory):
    """The model `whisper` with its encoder's graph beside it: exporting it traces nothing."""
    folder = shutil.copytree(whisper, tmp_path_factory.mktemp("with-graph") / "model")
    add_graph(folder)
    return folder


def test_a_model_with_a_graph_of_its_own_is_exported_as_one_without(with_graph, exported, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.onnx.export", None)
    result = export(with_graph, tmp_path / "model.onnx")
    assert result.metadata == exported.metadata
    assert result.difference < 1e-4 and result.torch_seconds is not None
    for seconds in (0.025, 1.7, 6.3):
        waveform = make_waveform(seconds, 1)
        np.testing.assert_allclose(read(result.file)(waveform), read(exported.file)(waveform), atol=1e-5, rtol=0)


def test_int8_is_a_real_quantisation_with_the_change_measured(with_graph, tmp_path):
    clips = tmp_path / "clips"
    for seed in range(3):
        write_noise(clips / f"{seed}.wav", seed, seconds=0.5)
    result = export(with_graph, tmp_path / "int8.onnx", int8=True, clips=[clips])
    operators = operators_of(onnx.load(tmp_path / "int8.onnx"))
    assert "MatMulInteger" in operators
    assert operators <= documented_operators("whisper") | documented_operators("8 bits")
    model, classify = load_model(with_graph, graph=False), read(tmp_path / "int8.onnx")
    differences = []
    for file in sorted(clips.iterdir()):
        waveform = soundfile.read(file, dtype="float32")[0]
        expected = [model.predict(waveform).probabilities[label] for label in LABELS]
        differences.append(abs(classify(waveform) - expected).max())
    assert result.clips == 3
    assert result.difference == pytest.approx(max(differences), abs=1e-6)
    assert 0 < result.difference < 0.5


def test_int8_leaves_the_projection_of_a_front_end_as_it_is(tmp_path):
    """In a distilled encoder it may be near the identity: beside the ones, the others are smaller than a step."""
    model = build_adapted(tmp_path / "model", "wav2vec2-group-norm")
    export(model, tmp_path / "int8.onnx", int8=True)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    projecting = [
        node.op_type
        for node in graph.node
        if any(
            "feature_projection" in entry.value for entry in node.metadata_props if entry.key.endswith("name_scopes")
        )
    ]
    assert "MatMul" in projecting
    assert "MatMulInteger" in {node.op_type for node in graph.node} - set(projecting)


def test_what_8_bits_change_in_the_model_in_the_box_is_told(tmp_path):
    result = export("mini", tmp_path / "int8.onnx", int8=True)
    assert result.bytes < 5_200_000
    assert 0.01 < result.difference < 0.35  # 0.26 on this noise; docs/how-to/export.md advises against it


def test_the_example_runs_with_onnxruntime_and_soundfile_alone(whisper, exported, tmp_path):
    assert len(EXAMPLE.read_text().splitlines()) <= 30
    stereo = np.stack([make_waveform(1.0), make_waveform(1.0, 1)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000, subtype="FLOAT")
    script = f"""
import runpy, sys
sys.argv = ["onnx_predict.py", {str(exported.file)!r}, {str(tmp_path / "a.wav")!r}]
runpy.run_path({str(EXAMPLE)!r})
assert not {{"voicefit", "torch", "transformers", "onnx"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    expected = load_model(whisper).predict(tmp_path / "a.wav").probabilities
    assert done.stdout.split()[1:] == [f"{label}={p:.3f}" for label, p in expected.items()]


def test_labels_and_input_are_told_in_the_metadata(exported):
    facts = onnxruntime.InferenceSession(exported.file).get_modelmeta().custom_metadata_map
    assert json.loads(facts["labels"]) == LABELS
    assert (facts["sample_rate"], facts["min_samples"], facts["max_seconds"]) == ("16000", "400", "5")


def test_a_graph_that_differs_is_not_written(with_graph, tmp_path):
    other = shutil.copytree(with_graph, tmp_path / "other")
    last = "encoder.layer_norm.bias"
    rewrite_weights(other, lambda weights: {**weights, last: weights[last] + torch.arange(16)})
    with pytest.raises(VoicefitError, match="differs from it by"):
        export(other, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == [other]


def test_a_file_that_exists_is_kept(whisper, tmp_path):
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(VoicefitError, match="exists already"):
        export(whisper, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_a_missing_extra_is_named(whisper, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(VoicefitError, match=r"needs onnxscript; run: pip install 'voicefit\[train\]'"):
        export(whisper, tmp_path / "model.onnx")


def test_without_pytorch_a_model_with_a_graph_is_compared_with_it(with_graph, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = export(with_graph, tmp_path / "model.onnx")
    assert result.torch_seconds is None
    assert result.difference < 1e-5 and result.changed == 0
