"""Models written from their start's files, whole or small, are those that are written from PyTorch."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import voicefit
from support.layouts import write_noise
from support.tiny_models import BUILDERS, build_start, edit_json, make_waveform, plain_logits, rewrite_weights
from voicefit.checkpoints.adapted import can_copy, make_whole, read_head
from voicefit.checkpoints.record import HEAD, PRIOR
from voicefit.checkpoints.start import open_start
from voicefit.encoders import FrontEnd, Reading
from voicefit.encoders.onnx_encoder import GRAPH
from voicefit.errors import VoicefitError
from voicefit.export.encoder import add_graph
from voicefit.heads.logistic import softmax
from voicefit.prediction.together import predict_together
from voicefit.system.files import read_metadata, write_json

pytestmark = pytest.mark.slow(3)

FILES = (
    "README.md",
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "shots.safetensors",
    "voicefit.json",
)
WHOLE = {*FILES, GRAPH, PRIOR}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two clips of each of two labels, and recordings of the same voice."""
    folder = tmp_path_factory.mktemp("voice")
    for seed, name in enumerate(("anger/1", "anger/2", "neutral/1", "neutral/2")):
        write_noise(folder / "clips" / f"{name}.wav", seed, seconds=0.3 + 0.1 * seed)
    for seed in range(5):
        write_noise(folder / "more" / f"{seed}.wav", 10 + seed, seconds=0.4, peak=0.1 + 0.1 * seed)
    return folder


@pytest.fixture(scope="module")
def start_with_graph(tmp_path_factory):
    folder = build_start(tmp_path_factory.mktemp("start"))
    add_graph(folder)
    return folder


@pytest.fixture
def start(start_with_graph, tmp_path):
    """One that a test may change."""
    return shutil.copytree(start_with_graph, tmp_path / "start")


def test_the_card_of_a_small_model_does_not_promise_that_transformers_loads_it(small):
    card = (small / "README.md").read_text(encoding="utf-8")
    assert "pipeline(" not in card
    assert "It holds the head alone; `voicefit predict` finds its encoder, `" in card


def test_a_folder_other_beside_one_label_is_the_rest(start_with_graph, clips, tmp_path):
    shutil.copytree(clips / "clips" / "anger", tmp_path / "clips" / "anger")
    shutil.copytree(clips / "clips" / "neutral", tmp_path / "clips" / "other")
    adapted = voicefit.adapt(start_with_graph, tmp_path / "clips", out=tmp_path / "model")
    assert adapted.model.labels == ["other", "anger"]  # as methods expect one emotion against the rest


@pytest.fixture(scope="module")
def small(start_with_graph, clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("small") / "model"
    voicefit.adapt(start_with_graph, clips / "clips", out=out, small=True)
    return out


def assert_same_models(light, heavy):
    """Weights and plain data; the exact graph is a copy of the start's and lies beside the light one alone."""
    found, expected = load_file(light / "model.safetensors"), load_file(heavy / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-4, msg=lambda text, name=name: name + text)
    for name in ("config.json", "preprocessor_config.json", "voicefit.json"):
        plain, other = (json.loads((folder / name).read_text(encoding="utf-8")) for folder in (light, heavy))
        for record in (plain, other):
            record.pop("transformers_version", None)
        assert plain == other, name
    assert (light / "README.md").read_bytes() == (heavy / "README.md").read_bytes()
    if (light / PRIOR).exists():  # the order of its metadata is not always the same
        assert read_metadata(light / PRIOR) == read_metadata(heavy / PRIOR)
        pairs = zip(*(sorted(load_file(folder / PRIOR).items()) for folder in (light, heavy)), strict=True)
        assert all(name == other and torch.equal(one, two) for (name, one), (other, two) in pairs)
    assert {path.name for path in light.iterdir()} - {path.name for path in heavy.iterdir()} == {GRAPH}
    assert {path.name for path in heavy.iterdir()} <= {path.name for path in light.iterdir()}


@pytest.mark.parametrize(
    ("method", "more"),
    [("prior", {}), ("joint", {"unlabelled": True}), ("head", {}), ("prototype", {}), ("zero-shot", {})],
)
def test_without_pytorch_a_model_is_what_it_is_with_it(start, clips, tmp_path, method, more, monkeypatch):
    more = {name: clips / "more" for name in more}
    with monkeypatch.context() as patch:
        patch.setattr("voicefit.checkpoints.start.require", refuse)
        light = voicefit.adapt(start, clips / "clips", out=tmp_path / "light", method=method, **more)
    (start / GRAPH).unlink()
    heavy = voicefit.adapt(start, clips / "clips", out=tmp_path / "heavy", method=method, **more)
    assert_same_models(tmp_path / "light", tmp_path / "heavy")
    assert (light.shots, light.remarks, light.left_out) == (heavy.shots, heavy.remarks, heavy.left_out)


def refuse(*reasons):
    raise AssertionError(f"PyTorch is asked for: {reasons}")


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize("family", list(BUILDERS))
def test_every_family_is_written_as_by_pytorch(family, clips, tmp_path):
    reading = Reading(depth=2, frozen_layers=1, front_end=FrontEnd(max_seconds=0.45))
    start = build_start(tmp_path, family, reading)
    add_graph(start)
    voicefit.adapt(start, clips / "clips", out=tmp_path / "light")
    (start / GRAPH).unlink()
    voicefit.adapt(start, clips / "clips", out=tmp_path / "heavy")
    assert_same_models(tmp_path / "light", tmp_path / "heavy")


@pytest.mark.usefixtures("without_curves")
def test_weighted_layers_are_copied_too(clips, tmp_path):
    start = build_start(tmp_path, "wavlm", Reading(weighted_layers=True))
    add_graph(start)
    voicefit.adapt(start, clips / "clips", out=tmp_path / "light")
    (start / GRAPH).unlink()
    voicefit.adapt(start, clips / "clips", out=tmp_path / "heavy")
    assert_same_models(tmp_path / "light", tmp_path / "heavy")


def test_a_plain_classifier_with_a_graph_is_copied_as_it_is_and_has_no_prior(clips, tmp_path):
    """Settings and weights of masking, which is for training, stay; PyTorch would leave them out."""
    start = BUILDERS["hubert"](tmp_path / "encoder")
    add_graph(start)
    assert can_copy(open_start(start))
    light = voicefit.adapt(start, clips / "clips", out=tmp_path / "light").model
    (start / GRAPH).unlink()
    heavy = voicefit.adapt(start, clips / "clips", out=tmp_path / "heavy").model
    assert not (tmp_path / "light" / PRIOR).exists()
    waveform = make_waveform(0.6)
    answers = [light.probabilities(waveform), heavy.probabilities(waveform)]
    answers += [softmax(plain_logits(tmp_path / name, waveform).numpy())[0] for name in ("light", "heavy")]
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-4, rtol=0)
    given, saved = (json.loads((folder / "config.json").read_text()) for folder in (start, tmp_path / "light"))
    assert {name for name in given if saved[name] != given[name]} == {"id2label", "label2id"}


def test_transformers_says_of_it_what_voicefit_says(start, clips, tmp_path):
    model = voicefit.adapt(start, clips / "clips", out=tmp_path / "model").model
    assert {path.name for path in (tmp_path / "model").iterdir()} == WHOLE
    assert len({path.stat().st_mode for path in (tmp_path / "model").iterdir()}) == 1
    waveform = make_waveform(0.7)
    expected = softmax(plain_logits(tmp_path / "model", waveform).numpy())[0]
    np.testing.assert_allclose(model.probabilities(waveform), expected, atol=1e-4, rtol=0)


def test_weights_in_half_precision_become_whole_numbers_of_32_bits(start, clips, tmp_path):
    """As those of `mini`: what they hold is kept."""
    rewrite_weights(start, lambda weights: {name: weight.half() for name, weight in weights.items()})
    add_graph(start)
    voicefit.adapt(start, clips / "clips", out=tmp_path / "model")
    saved, given = load_file(tmp_path / "model" / "model.safetensors"), load_file(start / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    for name, tensor in saved.items():
        if not name.startswith(("projector", "classifier")):
            assert torch.equal(tensor, given[name].float()), name


# Small models


def test_a_small_model_is_kilobytes_and_answers_as_the_whole_one(small, start, clips, tmp_path):
    assert {path.name for path in small.iterdir()} == {HEAD, "README.md", "shots.safetensors", "voicefit.json"}
    assert sum(path.stat().st_size for path in small.iterdir()) < 10_000
    assert len({path.stat().st_mode for path in small.iterdir()}) == 1
    voicefit.adapt(start, clips / "clips", out=tmp_path / "whole")
    one, other = voicefit.load_model(small), voicefit.load_model(tmp_path / "whole")
    assert one.labels == other.labels
    for seed in range(3):
        waveform = make_waveform(0.5, seed)
        assert np.array_equal(one.probabilities(waveform), other.probabilities(waveform))
    together = [predict_together(model, [clips / "more"])[1] for model in (small, tmp_path / "whole")]
    assert together[0] == together[1]


def test_a_small_model_is_made_whole(small, start_with_graph, clips, tmp_path):
    voicefit.adapt(start_with_graph, clips / "clips", out=tmp_path / "expected")
    make_whole(small, tmp_path / "whole")
    names = {path.name for path in (tmp_path / "expected").iterdir()}
    assert {path.name for path in (tmp_path / "whole").iterdir()} == names == WHOLE
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes(), name


def test_a_whole_model_is_not_made_whole_again(start, clips, tmp_path):
    voicefit.adapt(start, clips / "clips", out=tmp_path / "whole")
    with pytest.raises(VoicefitError, match="whole: is not a model without its encoder"):
        make_whole(tmp_path / "whole", tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.fixture
def own_small(start, clips, tmp_path):
    """A small model of a start that a test may change."""
    voicefit.adapt(start, clips / "clips", out=tmp_path / "small", small=True)
    return tmp_path / "small"


def test_an_encoder_that_changed_is_refused(own_small, start, tmp_path):
    before = open_start(start).graph.digest
    last = "wav2vec2.encoder.layers.2.final_layer_norm.bias"
    rewrite_weights(start, lambda weights: {**weights, last: weights[last] + 1e-3})
    add_graph(start)
    now = open_start(start).graph.digest
    for use in (voicefit.load_model, lambda model: make_whole(model, tmp_path / "whole")):
        with pytest.raises(
            VoicefitError, match=f"was made with encoder {before} of {start}, where {now} is now; adapt"
        ):
            use(own_small)
    assert not (tmp_path / "whole").exists()


def test_an_encoder_without_its_graph_is_refused(own_small, start):
    (start / GRAPH).unlink()
    with pytest.raises(VoicefitError, match=f"was made with encoder [0-9a-f]{{32}} of {start}, where none is now"):
        voicefit.load_model(own_small)


def test_a_missing_encoder_is_refused(own_small, start):
    shutil.rmtree(start)
    with pytest.raises(VoicefitError, match=f"its encoder {start} is not there; put it there again, or adapt anew"):
        voicefit.load_model(own_small)


def test_a_start_that_is_moved_is_found_where_the_record_says(own_small, start, tmp_path, monkeypatch):
    """The record holds a path that does not depend on the current folder."""
    assert json.loads((own_small / "voicefit.json").read_text())["encoder"]["source"] == str(start)
    monkeypatch.chdir(tmp_path.parent)
    expected = voicefit.load_model(own_small).probabilities(make_waveform(0.5))
    start.rename(tmp_path / "moved")
    record = json.loads((own_small / "voicefit.json").read_text())
    edit_json(own_small / "voicefit.json", encoder={**record["encoder"], "source": str(tmp_path / "moved")})
    assert np.array_equal(voicefit.load_model(own_small).probabilities(make_waveform(0.5)), expected)


def test_a_start_that_has_no_graph_makes_no_small_model(start, clips, tmp_path):
    (start / GRAPH).unlink()
    with pytest.raises(VoicefitError, match=f"start: has no {GRAPH}; run `voicefit export .* --format encoder` first"):
        voicefit.adapt(start, clips / "clips", out=tmp_path / "model", small=True)
    assert not (tmp_path / "model").exists()


def test_a_method_that_trains_the_encoder_makes_no_small_model(start, clips, tmp_path):
    with pytest.raises(VoicefitError, match="method full changes the encoder: a model by it is whole"):
        voicefit.adapt(start, clips / "clips", out=tmp_path / "model", method="full", small=True)


@pytest.mark.parametrize("wrong", [{}, {"encoder": None}, {"encoder": {"source": "x"}}, {"encoder": ["x"]}])
def test_a_record_that_does_not_name_the_encoder_is_named(own_small, wrong):
    write_json(own_small / "voicefit.json", {"kind": "adapted", "labels": ["anger", "neutral"], **wrong})
    with pytest.raises(VoicefitError, match=r"voicefit\.json: does not name the model's encoder"):
        voicefit.load_model(own_small)


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_damaged_head_is_an_error_of_one_line_that_names_it(small, start_with_graph, tmp_path, content):
    path = tmp_path / HEAD
    path.write_bytes((start_with_graph / PRIOR).read_bytes() if content is None else content)
    with pytest.raises(VoicefitError, match=r"head\.safetensors: is damaged, or not a classifier") as caught:
        read_head(path)
    assert "\n" not in str(caught.value)
