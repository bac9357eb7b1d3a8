import shutil
import time

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, BertConfig

from support.tiny_models import (
    BUILDERS,
    LAYERS,
    build_wav2vec2_group_norm,
    build_whisper_asr,
    make_waveform,
    plain_logits,
    rewrite_weights,
    voicefit_logits,
)
from voicefit.encoders import FrontEnd, Reading, load_encoder
from voicefit.errors import VoicefitError

torch.set_num_threads(1)

FAMILY_NAMES = list(BUILDERS)


NEW_NAMES = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
OLD_NAMES = {old: new for new, old in NEW_NAMES.items()}


def rename(names, tensors):
    for before, after in names.items():
        tensors = {key.replace(before, after): tensor for key, tensor in tensors.items()}
    return tensors


def test_old_and_new_names_of_the_positional_weights_load_alike(tmp_path):
    old, new = (build_wav2vec2_group_norm(tmp_path / name) for name in ("old", "new"))
    rewrite_weights(old, lambda tensors: rename(NEW_NAMES, tensors))
    rewrite_weights(new, lambda tensors: rename(OLD_NAMES, tensors))
    assert any(key.endswith("conv.weight_g") for key in load_file(old / "model.safetensors"))
    assert any(key.endswith("weight.original0") for key in load_file(new / "model.safetensors"))
    waveform = make_waveform(0.4)
    encoders = [load_encoder(folder) for folder in (old, new)]
    assert torch.equal(*(encoder.pool([encoder.front(waveform)]) for encoder in encoders))


def test_a_bare_pretrained_encoder_loads_and_reads_frames_as_they_are(tmp_path):
    """`facebook/wav2vec2-base` holds the base model: other key prefix, no projector, no classifier."""
    full = build_wav2vec2_group_norm(tmp_path / "full")
    bare = shutil.copytree(full, tmp_path / "bare")
    rewrite_weights(
        bare,
        lambda tensors: (
            {key.removeprefix("wav2vec2."): tensor for key, tensor in tensors.items() if key.startswith("wav2vec2.")}
            | {"quantizer.codevectors": torch.zeros(3), "masked_spec_embed": torch.zeros(16)}
        ),
    )
    waveform = make_waveform(0.4)
    pooled = []
    for folder in (full, bare):
        encoder = load_encoder(folder)
        pooled.append(encoder.pool([encoder.front(waveform)]))
    assert torch.equal(*pooled)
    torch.testing.assert_close(encoder.projector(pooled[1]), pooled[1])


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_missing_encoder_weight_is_named(models, family, tmp_path):
    folder = shutil.copytree(models[family], tmp_path / "model")
    gone = next(key for key in load_file(folder / "model.safetensors") if "layers.2." in key)
    rewrite_weights(folder, lambda tensors: {key: t for key, t in tensors.items() if key != gone})
    with pytest.raises(VoicefitError, match=gone.replace(".", r"\.")):
        load_encoder(folder)
    load_encoder(folder, Reading(depth=2))  # not needed there


def test_missing_positional_weights_are_noticed(models, tmp_path):
    """A loader that misses them leaves the positions random, with no more than a warning."""
    folder = shutil.copytree(models["wav2vec2-group-norm"], tmp_path / "model")
    rewrite_weights(folder, lambda tensors: {k: t for k, t in tensors.items() if "pos_conv_embed.conv" not in k})
    with pytest.raises(VoicefitError, match="pos_conv_embed"):
        load_encoder(folder)


def test_a_weight_of_another_shape_is_refused(models, tmp_path):
    for family in ("hubert", "whisper"):
        folder = shutil.copytree(models[family], tmp_path / family)
        rewrite_weights(folder, lambda tensors: {k: t[:-1] if "fc1.bias" in k or "k_proj.bias" in k else t
                                                 for k, t in tensors.items()})  # fmt: skip
        with pytest.raises(VoicefitError, match=r"weight \S*(fc1|k_proj)\S* has not the shape"):
            load_encoder(folder)


def test_a_pickled_checkpoint_is_refused(models, tmp_path):
    folder = shutil.copytree(models["hubert"], tmp_path / "model")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    load_encoder(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(VoicefitError, match="cannot be loaded"):
        load_encoder(folder)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_damaged_weights_are_refused(models, tmp_path, damage):
    folder = shutil.copytree(models["hubert"], tmp_path / "model")
    weights = (folder / "model.safetensors").read_bytes()
    damaged = {"truncated": weights[: len(weights) // 2], "garbage": b"\xff" * 5000, "empty": b""}[damage]
    (folder / "model.safetensors").write_bytes(damaged)
    with pytest.raises(VoicefitError, match="cannot be loaded") as caught:
        load_encoder(folder)
    assert "\n" not in str(caught.value)


WRONG_TYPE = '{"model_type": "hubert", "hidden_size": "wide"}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("config.json", content) for content in (None, "{", "[]", WRONG_TYPE)),
        *(("preprocessor_config.json", content) for content in (None, "{", "[]")),
    ],
)
def test_damaged_settings_are_refused(models, tmp_path, name, content):
    folder = shutil.copytree(models["hubert"], tmp_path / "model")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(VoicefitError) as caught:
        load_encoder(folder)
    assert "\n" not in str(caught.value)


def test_a_model_of_another_kind_is_refused(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(VoicefitError, match="'bert' model; supported are wav2vec2"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("source", ["/nowhere/at/all", "./nowhere", "nobody/no-such-encoder", "no such name", ""])
def test_nothing_there_is_said_fast_in_one_line(source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    began = time.monotonic()
    with pytest.raises(VoicefitError, match=r"no encoder could be loaded|no such folder") as caught:
        load_encoder(source)
    assert time.monotonic() - began < 5
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(source)


def test_a_depth_that_is_not_there_is_refused(models):
    with pytest.raises(VoicefitError, match=f"has {LAYERS} layers, so depth {LAYERS + 1}"):
        load_encoder(models["hubert"], Reading(depth=LAYERS + 1))


def test_freezing_layers_that_are_not_run_is_refused(models):
    with pytest.raises(VoicefitError, match="cannot freeze"):
        load_encoder(models["hubert"], Reading(depth=2, frozen_layers=3))


@pytest.mark.parametrize("numbers", [{"depth": 0}, {"depth": -1}, {"frozen_layers": -1}])
def test_a_reading_of_no_encoder_at_all_is_refused(numbers):
    (name,) = numbers
    with pytest.raises(ValidationError, match=f"{name}\n.*greater than or equal"):
        Reading(**numbers)


def test_a_classifier_over_a_weighted_sum_of_layers_is_read_at_its_last(tmp_path):
    """As SUPERB's emotion models are: the sum's weights are part of a head that Voicefit does not keep."""
    encoder = load_encoder(build_wav2vec2_group_norm(tmp_path / "sum", use_weighted_layer_sum=True))
    encoder.model.save_pretrained(tmp_path / "saved")
    encoder.feature_extractor.save_pretrained(tmp_path / "saved")
    waveform = make_waveform(0.4)
    torch.testing.assert_close(
        voicefit_logits(encoder, [encoder.front(waveform)]), plain_logits(tmp_path / "saved", waveform)
    )


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_the_former_task_of_a_classifier_is_forgotten(tmp_path, problem):
    """`pipeline` would leave out the softmax otherwise."""
    assert load_encoder(build_wav2vec2_group_norm(tmp_path, problem_type=problem)).model.config.problem_type is None


def test_loading_leaves_the_random_state_alone(models):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    for folder in models.values():
        load_encoder(folder)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_a_whisper_of_the_hub_is_cut_to_five_seconds(tmp_path):
    """Its own first positions are kept, not sinusoids computed anew: here they are none."""
    folder = build_whisper_asr(tmp_path)
    stored = load_file(folder / "model.safetensors")
    assert all(key.startswith("model.") for key in stored)
    encoder = load_encoder(folder)
    positions = encoder.model.encoder.embed_positions
    assert torch.equal(positions.weight, stored["model.encoder.embed_positions.weight"][:250])
    assert encoder.model.config.max_source_positions == 250
    assert encoder.feature_extractor.n_samples == 80_000
    assert encoder.front(make_waveform(7)).shape == (250, 16)
    frames = [encoder.front(make_waveform(0.4)), encoder.front(make_waveform(7))]
    assert encoder.pool(frames).isfinite().all()
    for key, tensor in encoder.model.encoder.state_dict().items():
        if "embed_positions" not in key:
            assert torch.equal(tensor, stored[f"model.encoder.{key}"]), key


@pytest.mark.parametrize(("max_seconds", "seconds"), [(0.5, 1), (1.0, 1), (2.2, 3), (5.0, 5), (60.0, 30)])
def test_whisper_hears_whole_seconds(tmp_path, max_seconds, seconds):
    encoder = load_encoder(build_whisper_asr(tmp_path), Reading(front_end=FrontEnd(max_seconds=max_seconds)))
    assert encoder.front(make_waveform(2.0)).shape == (50 * seconds, 16)


def test_a_missing_weight_of_a_whisper_of_the_hub_is_named(tmp_path):
    folder = build_whisper_asr(tmp_path)
    gone = "model.encoder.layers.1.fc1.weight"
    rewrite_weights(folder, lambda tensors: {key: t for key, t in tensors.items() if key != gone})
    with pytest.raises(VoicefitError, match=r"encoder\.layers\.1\.fc1\.weight"):
        load_encoder(folder)


def test_a_cut_whisper_saves_as_a_plain_model(tmp_path):
    encoder = load_encoder(build_whisper_asr(tmp_path / "asr"), Reading(depth=2))
    encoder.model.save_pretrained(tmp_path / "cut")
    encoder.feature_extractor.save_pretrained(tmp_path / "cut")
    waveform = make_waveform(0.8)
    plain = AutoModelForAudioClassification.from_pretrained(tmp_path / "cut", ignore_mismatched_sizes=True)
    inputs = AutoFeatureExtractor.from_pretrained(tmp_path / "cut")(waveform, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        expected = plain.eval().encoder(**inputs).last_hidden_state.mean(1)
    torch.testing.assert_close(encoder.pool([encoder.front(waveform)]), expected, atol=1e-5, rtol=1e-5)
