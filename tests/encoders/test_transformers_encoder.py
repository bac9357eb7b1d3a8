"""Whole models without a graph: Voicefit says of a clip what `transformers` says."""

import numpy as np
import pytest

from support.adapted_models import LABELS, build_adapted
from support.tiny_models import BUILDERS, edit_json, make_waveform, plain_logits
from voicefit.audio import SAMPLE_RATE
from voicefit.encoders.transformers_encoder import TransformersEncoder
from voicefit.errors import VoicefitError
from voicefit.heads.logistic import softmax
from voicefit.prediction.model import load_model


@pytest.mark.parametrize("family", list(BUILDERS))
def test_an_answer_is_the_head_s_of_the_pooled_vector_and_that_of_the_whole_model(family, tmp_path):
    folder = build_adapted(tmp_path, family)
    model = load_model(folder)
    assert isinstance(model.encoder, TransformersEncoder) and model.labels == LABELS
    waveform = make_waveform(0.7)
    pooled = model.encoder.embed(waveform)
    assert (pooled.shape, pooled.dtype) == ((model.encoder.hidden_size,), np.float32)
    logits = model.head(pooled[None])
    np.testing.assert_allclose(logits, plain_logits(folder, waveform), atol=1e-4, rtol=0)
    np.testing.assert_allclose(model.probabilities(waveform), softmax(logits)[0], atol=1e-6, rtol=0)


def test_weighted_layers_are_read_as_they_were_saved(tmp_path):
    folder = build_adapted(tmp_path, "wav2vec2-layer-norm", weighted_layers=True)
    model, waveform = load_model(folder), make_waveform(0.7)
    found = model.head(model.encoder.embed(waveform)[None])
    np.testing.assert_allclose(found, plain_logits(folder, waveform), atol=1e-4, rtol=0)


def test_what_is_beyond_the_longest_clip_is_cut_and_the_shortest_clip_has_an_answer(tmp_path):
    folder = build_adapted(tmp_path, "hubert")
    encoder, waveform = load_model(folder).encoder, make_waveform(6.0)
    assert encoder.max_seconds == 5
    assert np.array_equal(encoder.embed(waveform), encoder.embed(waveform[: 5 * SAMPLE_RATE]))
    assert np.isfinite(encoder.embed(waveform[:1])).all()


@pytest.mark.parametrize(
    ("file", "content"),
    [("model.safetensors", b"no tensors"), ("config.json", b'{"model_type": "no-such-type"}')],
)
def test_a_model_that_transformers_cannot_load_is_told_in_one_line(tmp_path, file, content):
    folder = build_adapted(tmp_path, "hubert")
    (folder / file).write_bytes(content)
    with pytest.raises(VoicefitError) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_front_end_in_the_record_is_named(tmp_path):
    folder = build_adapted(tmp_path, "hubert")
    edit_json(folder / "voicefit.json", front_end={"max_seconds": -1})
    with pytest.raises(VoicefitError, match=r"voicefit\.json: front_end is wrong"):
        load_model(folder)
