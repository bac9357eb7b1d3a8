"""The ONNX graph of an encoder says what the encoder says, for every family."""

import os
import shutil

import numpy as np
import onnx
import pytest

from support.adapted_models import build_adapted
from support.tiny_models import BUILDERS, build_start, edit_json, make_waveform, rewrite_weights
from voicefit.audio import MIN_SAMPLES, SAMPLE_RATE
from voicefit.checkpoints.start import open_start
from voicefit.encoders import FrontEnd, Reading, load_encoder
from voicefit.encoders.onnx_encoder import GRAPH, INPUT, OUTPUT, OnnxEncoder, new_session, open_graph
from voicefit.errors import VoicefitError
from voicefit.export.encoder import OPSET, add_graph, encoder_graph, load_for_graph

pytestmark = pytest.mark.slow(4)

WINDOW = 5 * SAMPLE_RATE


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A plain encoder of a family with its graph, made once; nobody changes it."""
    made = {}

    def build(family):
        if family not in made:
            made[family] = BUILDERS[family](tmp_path_factory.mktemp(family) / "encoder")
            assert add_graph(made[family]) == made[family] / GRAPH
        return made[family]

    return build


def assert_same(graph, encoder, samples):
    waveform = 0.3 * make_waveform(samples / SAMPLE_RATE, 1) + 0.05
    assert len(waveform) == samples
    expected, found = encoder.embed(waveform), graph.embed(waveform)
    assert (found.shape, found.dtype) == ((graph.hidden_size,), np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    return expected


@pytest.mark.parametrize("family", list(BUILDERS))
def test_the_graph_says_what_pytorch_says_at_every_length(plain, family):
    folder = plain(family)
    graph, encoder = OnnxEncoder(folder / GRAPH), load_encoder(folder)
    lengths = (100, MIN_SAMPLES, MIN_SAMPLES + 1, 6_401, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW)
    answers = [assert_same(graph, encoder, samples) for samples in lengths]
    assert np.std(answers, axis=0).max() > 1e-2  # else the agreement says nothing


@pytest.mark.parametrize("family", list(BUILDERS))
def test_clips_of_one_length_together_give_what_each_gives_alone(plain, family):
    graph = plain(family) / GRAPH
    clips = np.stack([make_waveform(0.7, seed) for seed in range(3)])
    together = new_session(graph).run([OUTPUT], {INPUT: clips})[0]
    alone = np.stack([OnnxEncoder(graph).embed(clip) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-4, rtol=0)
    assert np.abs(alone[0] - alone[1]).max() > 1e-2


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize(
    ("family", "reading"),
    [
        ("wav2vec2-layer-norm", Reading(depth=2, weighted_layers=True)),
        ("wavlm", Reading(frozen_layers=2, front_end=FrontEnd(max_seconds=0.4))),
        ("whisper", Reading(frozen_layers=2, front_end=FrontEnd(max_seconds=0.4))),
    ],
    ids=["weighted", "wavlm, frozen", "whisper, frozen"],
)
def test_a_checkpoint_s_graph_reads_it_as_it_was_trained(tmp_path, family, reading):
    folder = build_start(tmp_path, family, reading)
    add_graph(folder)
    start = open_start(folder)
    graph = start.graph
    assert graph is not None and graph.max_seconds == start.encoder.max_seconds == reading.front_end.max_seconds
    for samples in (MIN_SAMPLES, 6_399, 6_400, 6_401, WINDOW + 1):
        assert_same(graph, start.encoder, samples)
    np.testing.assert_array_equal(graph.projection.weight, start.encoder.projection.weight)
    np.testing.assert_array_equal(graph.projection.bias, start.encoder.projection.bias)
    if reading.weighted_layers:
        last = load_encoder(folder, Reading(front_end=reading.front_end))
        assert np.abs(last.embed(make_waveform(1.0)) - graph.embed(make_waveform(1.0))).max() > 1e-2


@pytest.mark.parametrize("more", [{}, {"weighted_layers": True}], ids=["last", "weighted"])
def test_an_adapted_model_s_graph_is_that_of_its_encoder(tmp_path, more):
    folder = build_adapted(tmp_path, "whisper", **more)
    add_graph(folder)
    encoder = load_for_graph(folder)
    assert bool(encoder.layer_weights) == bool(more)
    assert_same(OnnxEncoder(folder / GRAPH), encoder, 9_000)


def test_the_graph_tells_what_it_takes_in_its_metadata(plain):
    folder = plain("wav2vec2-group-norm")
    model = onnx.load(folder / GRAPH)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts.pop("voicefit")
    assert facts == {
        "hidden_size": "16",
        "sample_rate": "16000",
        "min_samples": "400",
        "max_seconds": "5",
        "digest": load_encoder(folder).digest(),
    }
    assert [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] == [OPSET]


def test_an_encoder_without_a_projector_is_projected_by_the_identity(plain, tmp_path):
    folder = shutil.copytree(plain("hubert"), tmp_path / "encoder")
    rewrite_weights(folder, lambda weights: {k: v for k, v in weights.items() if not k.startswith("projector")})
    projection = OnnxEncoder(folder / GRAPH).projection
    pooled = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    assert np.array_equal(projection.project(pooled), pooled)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other"])
def test_a_damaged_graph_is_an_error_of_one_line_that_names_it(plain, tmp_path, damage):
    path, content = tmp_path / GRAPH, (plain("hubert") / GRAPH).read_bytes()
    if damage == "other":  # a graph that somebody else made
        model = onnx.load_from_string(content)
        del model.metadata_props[:]
        content = model.SerializeToString()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"no graph"}.get(damage, content))
    with pytest.raises(VoicefitError) as caught:
        open_graph(path)
    assert str(caught.value).startswith(f"{path}: is damaged, or not an encoder that Voicefit wrote (")
    assert "\n" not in str(caught.value)


def test_a_graph_is_loaded_once_until_its_file_changes(plain, tmp_path):
    path = tmp_path / GRAPH
    shutil.copyfile(plain("hubert") / GRAPH, path)
    first = open_graph(path)
    assert open_graph(path) is first
    os.utime(path, ns=(0, 0))
    assert open_graph(path) is not first


WEIGHTS = {
    "stem": "wav2vec2.feature_extractor.conv_layers.0.conv.weight",
    "entry": "wav2vec2.feature_projection.projection.bias",
    "layer": "wav2vec2.encoder.layers.1.attention.k_proj.weight",
    "exit": "wav2vec2.encoder.layer_norm.weight",
}


@pytest.mark.parametrize("part", WEIGHTS)
def test_the_digest_changes_with_every_weight(tmp_path, part):
    folder = BUILDERS["wav2vec2-layer-norm"](tmp_path / "encoder")
    before = load_encoder(folder).digest()

    def change(weights):
        weights[WEIGHTS[part]].view(-1)[-1] += 1e-3
        return weights

    assert load_encoder(rewrite_weights(folder, change)).digest() != before


@pytest.mark.parametrize(
    ("file", "changes"),
    [("config.json", {"num_attention_heads": 4}), ("preprocessor_config.json", {"do_normalize": False})],
)
def test_the_digest_changes_with_settings_that_a_vector_depends_on(tmp_path, file, changes):
    folder = BUILDERS["wav2vec2-layer-norm"](tmp_path / "encoder")
    before = load_encoder(folder).digest()
    assert load_encoder(folder).digest() == before
    edit_json(folder / file, **changes)
    assert load_encoder(folder).digest() != before
    assert load_encoder(folder, Reading(depth=2)).digest() not in (before, load_encoder(folder).digest())


def test_the_digest_does_not_change_with_the_head(tmp_path):
    folder = BUILDERS["wav2vec2-layer-norm"](tmp_path / "encoder")
    before = load_encoder(folder).digest()
    rewrite_weights(
        folder, lambda w: {k: v + 1 if k.startswith(("projector", "classifier")) else v for k, v in w.items()}
    )
    edit_json(folder / "config.json", id2label={"0": "one", "1": "two", "2": "three"})
    assert load_encoder(folder).digest() == before


def test_a_graph_that_differs_is_not_written(plain, tmp_path, monkeypatch):
    folder = shutil.copytree(plain("hubert"), tmp_path / "encoder")
    (folder / GRAPH).unlink()
    other = encoder_graph(load_encoder(BUILDERS["hubert"](tmp_path / "other", num_hidden_layers=2)))
    monkeypatch.setattr("voicefit.export.encoder.encoder_graph", lambda encoder: other)
    with pytest.raises(VoicefitError, match=r"its ONNX graph differs from it by .*; nothing was written"):
        add_graph(folder)
    assert not (folder / GRAPH).exists()


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize("quirk", [{"pad_first": True}, {"resample": False}])
def test_quirks_of_the_published_code_have_no_graph(tmp_path, quirk):
    folder = build_start(tmp_path, "hubert", Reading(front_end=FrontEnd(**quirk)))
    assert add_graph(folder) is None
    assert not (folder / GRAPH).exists()


def test_weights_that_half_precision_holds_are_stored_in_it_and_read_back_exactly(tmp_path):
    """As `mini`, whose weights are in half precision."""
    folder = BUILDERS["hubert"](tmp_path / "encoder", intermediate_size=64)
    rewrite_weights(folder, lambda weights: {name: weight.half().float() for name, weight in weights.items()})
    encoder = load_encoder(folder)
    graph = encoder_graph(encoder)
    halves = [tensor for tensor in graph.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16]
    assert halves and all(tensor.name.endswith(".half") for tensor in halves)
    add_graph(folder)
    assert_same(OnnxEncoder(folder / GRAPH), encoder, 16_000)


def test_a_start_without_a_graph_is_opened_in_pytorch(tmp_path):
    folder = BUILDERS["hubert"](tmp_path / "encoder")
    start = open_start(folder)
    assert start.graph is None and start.fixed_encoder is start.encoder
