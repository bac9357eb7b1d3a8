"""The model that comes with Voicefit, as a person gets it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForAudioClassification
from typer.testing import CliRunner

from support.layouts import write_noise
from support.tiny_models import make_waveform
from voicefit import load_model
from voicefit.checkpoints.record import read_record
from voicefit.checkpoints.start import open_start
from voicefit.cli.app import app
from voicefit.system.hub import locate

FOLDER = locate("mini").folder


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, clip in enumerate(("angry/1", "angry/2", "calm/1", "calm/2")):
        write_noise(tmp_path / "clips" / f"{clip}.wav", seed, seconds=0.4)
    return tmp_path / "clips"


def test_it_is_small_whole_and_what_was_checked_in():
    sums = dict(reversed(line.split("  ")) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    assert {path.name for path in FOLDER.iterdir()} == {*sums, "SHA256SUMS"}
    assert all(hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == found for name, found in sums.items())
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(size for name, size in sizes.items() if name != "encoder.onnx") < 10e6
    fourier = 4 * 402 * 400  # bytes of the cosines and sines before the log-mel frames
    assert sizes["encoder.onnx"] < 1.05 * sizes["model.safetensors"] + fourier  # the same weights
    weights = load_file(FOLDER / "model.safetensors")
    large = [w for w in weights.values() if w.numel() > 100_000]
    assert large and all(w.dtype == torch.float16 for w in large)


def test_transformers_loads_it_in_float32_with_nothing_missing():
    model, info = AutoModelForAudioClassification.from_pretrained(FOLDER, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert model.dtype == torch.float32


def test_its_card_names_the_terms_and_every_corpus():
    record, card = read_record("mini"), (FOLDER / "README.md").read_text()
    assert record["terms"] in card and all(corpus["title"] in record["terms"] for corpus in record["corpora"])
    assert all(f"| {corpus['title']} |" in card and corpus["licence"] in card for corpus in record["corpora"])
    assert not any(path in json.dumps(record) for path in ("/home", "/tmp", "/root"))


def test_it_knows_the_labels_and_gives_finite_vectors_of_the_shortest_clip():
    prior = open_start("mini").prior
    assert prior is not None and {"anger", "happiness", "neutral", "sadness"} <= set(prior.labels)
    encoder = open_start("mini").encoder
    pooled = encoder.pool([encoder.front(make_waveform(seconds)) for seconds in (0.025, 0.5, 5)])
    assert pooled.isfinite().all()


def test_its_graph_names_no_file_of_the_machine_that_made_it():
    content = (FOLDER / "encoder.onnx").read_bytes()
    assert b"name_scopes" in content  # what the exporter noted of modules is there
    assert b".py" not in content and b"site-packages" not in content


def test_its_graph_is_that_of_its_weights():
    start = open_start("mini")
    assert start.graph is not None and start.graph.digest == start.encoder.digest()
    for seconds in (0.025, 0.5, 5, 7):
        waveform = make_waveform(seconds)
        expected = start.encoder.embed(waveform)
        np.testing.assert_allclose(start.graph.embed(waveform), expected, atol=1e-4 * max(1, abs(expected).max()))


def test_silence_and_full_scale_noise_have_finite_answers():
    model = load_model("mini")
    for waveform in (np.zeros(8_000, np.float32), np.sign(make_waveform(1.0)).astype(np.float32)):
        assert sum(model.predict(waveform).probabilities.values()) == pytest.approx(1)


def test_adapt_without_a_start_begins_at_it_and_says_on_what_terms(clips: Path, tmp_path: Path):
    out = tmp_path / "model"
    found = CliRunner().invoke(app, ["adapt", str(clips), "--out", str(out)])
    assert found.exit_code == 0, found.output
    assert " ".join(found.stderr.splitlines()[0].split()) == (
        f"model: mini, which comes with Voicefit. {read_record('mini')['terms']}"
    )
    assert "It learnt from EmoDB (CC0 1.0) and EMOVO (no terms stated, which is no permission)." in found.stderr
    assert "by method prior" in found.stdout
    record = json.loads((out / "voicefit.json").read_text())
    assert record["source"] == "mini" and record["corpora"] == read_record("mini")["corpora"]


def test_predict_without_a_model_asks_it(clips: Path):
    found = CliRunner().invoke(app, ["predict", str(clips / "calm"), "--json"])
    assert found.exit_code == 0, found.output
    answers = json.loads(found.stdout)
    assert [set(answer["probabilities"]) for answer in answers] == [set(open_start("mini").prior.labels)] * 2


def test_more_than_a_start_and_clips_is_refused(clips: Path, tmp_path: Path):
    found = CliRunner().invoke(app, ["adapt", "a", "b", "c", "--out", str(tmp_path / "model")])
    assert found.exit_code != 0
    assert "give a start, or none, and one folder of clips" in str(found.exception)
