"""A start is opened at once, and its encoder loaded when somebody asks for it."""

import shutil
import sys

import numpy as np
import pytest

from support.tiny_models import BUILDERS, LABELS, build_start, make_waveform
from voicefit.checkpoints.record import WEIGHTS
from voicefit.checkpoints.start import open_start
from voicefit.encoders import FrontEnd, Reading
from voicefit.encoders.onnx_encoder import GRAPH, OnnxEncoder
from voicefit.errors import VoicefitError
from voicefit.export.encoder import add_graph


@pytest.fixture(scope="module")
def with_graph(tmp_path_factory):
    reading = Reading(depth=2, frozen_layers=1, front_end=FrontEnd(max_seconds=0.5))
    folder = build_start(tmp_path_factory.mktemp("start"), reading=reading)
    add_graph(folder)
    return folder


@pytest.fixture
def start(with_graph, tmp_path):
    return shutil.copytree(with_graph, tmp_path / "start")


def test_damaged_weights_are_told_when_they_are_needed_and_not_before(start):
    (start / WEIGHTS).write_bytes(b"no tensors")
    opened = open_start(start)
    assert opened.prior.labels == LABELS and opened.record["kind"] == "prefinetuned"
    assert np.isfinite(opened.graph.embed(make_waveform(0.3))).all()
    with pytest.raises(VoicefitError, match="its weights cannot be loaded"):
        _ = opened.encoder


def test_a_damaged_graph_is_told_in_its_turn(start):
    (start / GRAPH).write_bytes(b"no graph")
    opened = open_start(start)
    assert opened.encoder.depth == 2
    with pytest.raises(VoicefitError, match=r"encoder\.onnx: is damaged"):
        _ = opened.graph


def test_who_leaves_the_encoder_as_it_is_gets_the_graph_and_the_same_vectors(start):
    opened = open_start(start)
    assert isinstance(opened.fixed_encoder, OnnxEncoder) and opened.fixed_encoder is opened.graph
    assert opened.front_end.max_seconds == opened.graph.max_seconds == 0.5
    waveform = make_waveform(0.7)
    np.testing.assert_allclose(opened.graph.embed(waveform), opened.encoder.embed(waveform), atol=1e-4)


def test_what_is_asked_to_be_read_otherwise_has_no_graph(start):
    """The graph is of all of the encoder, as it was recorded."""
    opened = open_start(start, Reading(depth=1))
    assert opened.graph is None
    assert opened.fixed_encoder is opened.encoder and opened.encoder.depth == 1


@pytest.mark.parametrize("what", ["encoder", "fixed_encoder"])
def test_without_pytorch_an_encoder_that_has_no_graph_names_the_extra(tmp_path, monkeypatch, what):
    folder = BUILDERS["hubert"](tmp_path / "encoder")
    opened = open_start(folder)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(VoicefitError, match=r"encoder: .* needs torch; run: pip install 'voicefit\[train\]'") as caught:
        getattr(opened, what)
    assert "\n" not in str(caught.value)


def test_what_holds_no_encoder_is_told_at_once(tmp_path):
    with pytest.raises(VoicefitError, match=r"nothing: no such folder\. A model of the hub is named as owner/name"):
        open_start(tmp_path / "nothing")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(VoicefitError, match=r"nothing: no encoder could be loaded from here\. Give"):
        open_start(tmp_path / "nothing")
