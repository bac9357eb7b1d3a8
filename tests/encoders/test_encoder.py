import json
import shutil
import time
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, BertConfig

from tiny_models import (
    BUILDERS,
    LAYERS,
    build_wav2vec2_group_norm,
    build_wavlm,
    build_whisper,
    build_whisper_asr,
    make_waveform,
    rewrite_weights,
)
from voicefit.encoders import load_encoder
from voicefit.errors import VoicefitError

torch.set_num_threads(1)

FAMILY_NAMES = list(BUILDERS)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: build(root / name) for name, build in BUILDERS.items()}


def plain_logits(folder, waveform, **config):
    """What `transformers` says of one clip without Voicefit."""
    model = AutoModelForAudioClassification.from_pretrained(folder, **config).eval()
    inputs = AutoFeatureExtractor.from_pretrained(folder)(waveform, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits


def voicefit_logits(encoder, frames):
    with torch.no_grad():
        return encoder.model.classifier(encoder.projector(encoder(frames)))


# Equal to transformers


@pytest.mark.parametrize("depth", [1, 2, LAYERS])
@pytest.mark.parametrize("frozen_layers", [0, 1])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_logits_of_one_clip_equal_the_plain_model(models, family, frozen_layers, depth):
    waveform = make_waveform(0.6)
    encoder = load_encoder(models[family], depth=depth, frozen_layers=frozen_layers)
    expected = plain_logits(models[family], waveform, num_hidden_layers=depth)
    assert encoder.depth == depth
    torch.testing.assert_close(voicefit_logits(encoder, [encoder.front(waveform)]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_every_layer_changes_the_logits(models, family):
    """The comparison with the plain model would prove nothing if layers did next to nothing."""
    waveform = make_waveform(0.6)
    by_depth = [plain_logits(models[family], waveform, num_hidden_layers=depth) for depth in range(1, LAYERS + 1)]
    for shallow, deep in pairwise(by_depth):
        assert (shallow - deep).abs().max() > 0.01


@pytest.mark.parametrize("frozen_layers", [0, 1, LAYERS])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_clip_is_pooled_alone_as_beside_longer_ones(models, family, frozen_layers):
    encoder = load_encoder(models[family], frozen_layers=frozen_layers)
    frames = [encoder.front(make_waveform(seconds, seed)) for seed, seconds in enumerate((0.3, 1.1, 0.025, 0.7))]
    alone = torch.cat([encoder.pool([clip]) for clip in frames])
    torch.testing.assert_close(encoder.pool(frames), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(encoder.pool(frames, batch_size=2), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frozen_layers", [0, 1])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_bfloat16_training_passes_accept_clips_of_different_length(models, family, frozen_layers):
    encoder = load_encoder(models[family], frozen_layers=frozen_layers)
    frames = [encoder.front(make_waveform(seconds)) for seconds in (0.3, 0.8)]
    with torch.autocast("cpu", torch.bfloat16):
        pooled = encoder(frames).float()
    pooled.sum().backward()
    torch.testing.assert_close(pooled.detach(), encoder.pool(frames), atol=0.15, rtol=0.1)


def test_clips_are_cut_to_max_seconds(models):
    encoder = load_encoder(models["wav2vec2-group-norm"], max_seconds=0.5)
    waveform = make_waveform(0.9)
    torch.testing.assert_close(encoder.front(waveform), encoder.front(waveform[:8000]), atol=0, rtol=0)


def test_the_shortest_clip_gives_one_frame(models):
    assert load_encoder(models["wav2vec2-group-norm"]).front(make_waveform(0.025)).shape == (1, 8)


def test_half_precision_front_changes_pooled_vectors_little(models):
    for family in FAMILY_NAMES:
        encoder = load_encoder(models[family])
        front = encoder.front(make_waveform(0.6))
        torch.testing.assert_close(encoder.pool([front.half()]), encoder.pool([front]), atol=5e-3, rtol=0)


# What is trained


@pytest.mark.parametrize("frozen_layers", [0, 1, 2])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_gradients_reach_the_rest_and_never_the_front_end(models, family, frozen_layers):
    encoder = load_encoder(models[family], frozen_layers=frozen_layers)
    encoder.train()
    frames = [encoder.front(make_waveform(seconds)) for seconds in (0.3, 0.6)]
    encoder.projector(encoder(frames)).pow(2).sum().backward()
    with_gradient = {name for name, p in encoder.named_parameters() if p.grad is not None}
    trainable = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert with_gradient == trainable == set(encoder.trainable_state())
    layers = {int(name.split("layers.")[1][0]) for name in trainable if ".layers." in name}
    assert layers == set(range(frozen_layers, LAYERS))
    assert any(name.endswith("projector.weight") for name in trainable)
    assert not any("feature_extractor" in name or "conv1" in name or "conv2" in name for name in trainable)
    assert any("feature_projection" in name or "pos_conv" in name for name in trainable) == (
        frozen_layers == 0 and family != "whisper"
    )


def test_the_front_end_drops_nothing_out_while_training(tmp_path):
    encoder = load_encoder(build_wavlm(tmp_path, hidden_dropout=0.5, feat_proj_dropout=0.5), frozen_layers=1)
    before = encoder.front(make_waveform(0.4))
    encoder.train()
    assert torch.equal(encoder.front(make_waveform(0.4)), before)
    assert encoder.training


def test_neither_masking_nor_layerdrop_while_training(tmp_path):
    folder = build_wav2vec2_group_norm(
        tmp_path, layerdrop=0.9, mask_time_prob=0.9, mask_feature_prob=0.9, apply_spec_augment=True,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
    )  # fmt: skip
    encoder = load_encoder(folder)
    frames = [encoder.front(make_waveform(0.6))]
    expected = encoder.pool(frames)
    encoder.train()
    with torch.no_grad():
        torch.testing.assert_close(encoder(frames), expected)
    assert encoder.model.config.layerdrop == 0
    assert not encoder.model.config.apply_spec_augment


def test_restored_undoes_training_in_place(models):
    encoder = load_encoder(models["hubert"])
    before = {name: p.clone() for name, p in encoder.named_parameters()}
    identities = {name: id(p) for name, p in encoder.named_parameters()}
    with pytest.raises(KeyboardInterrupt), encoder.restored():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.data.add_(1)
        raise KeyboardInterrupt
    assert all(torch.equal(p, before[name]) for name, p in encoder.named_parameters())
    assert identities == {name: id(p) for name, p in encoder.named_parameters()}


# The key of the cache


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_front_key_follows_front_weights_alone(models, family):
    encoder = load_encoder(models[family], frozen_layers=1)
    keys = {encoder.front_key()}
    trainable = set(encoder.trainable_state())
    for name, parameter in encoder.named_parameters():
        parameter.data.view(-1)[0] += 1
        if name in trainable or "classifier" in name or _after_frozen_layers(name):
            assert encoder.front_key() in keys, name
        else:
            assert encoder.front_key() not in keys, name
        keys.add(encoder.front_key())


def _after_frozen_layers(name):
    """Whisper's closing norm is trainable; nothing else that is frozen lies behind the front end."""
    return name.endswith("encoder.layer_norm.weight") and "whisper" in name


def test_front_key_follows_the_settings(models, tmp_path):
    folder = models["whisper"]
    keys = [
        load_encoder(folder).front_key(),
        load_encoder(folder, frozen_layers=1).front_key(),
        load_encoder(folder, max_seconds=3.0).front_key(),
        load_encoder(models["hubert"]).front_key(),
        load_encoder(models["wav2vec2-group-norm"]).front_key(),
    ]
    other_heads = shutil.copytree(folder, tmp_path / "heads")
    edit_json(other_heads / "config.json", encoder_attention_heads=4)
    keys.append(load_encoder(other_heads, frozen_layers=1).front_key())
    other_normalisation = shutil.copytree(models["hubert"], tmp_path / "normalise")
    edit_json(other_normalisation / "preprocessor_config.json", do_normalize=False)
    keys.append(load_encoder(other_normalisation).front_key())
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_front_key_is_the_same_at_every_depth_and_in_every_process(models, family):
    keys = {load_encoder(models[family], depth=depth, frozen_layers=1).front_key() for depth in (1, 2, LAYERS)}
    assert len(keys) == 1


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# Loading


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
    load_encoder(folder, depth=2)  # not needed there


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
    with pytest.raises(VoicefitError, match="no encoder could be loaded") as caught:
        load_encoder(source)
    assert time.monotonic() - began < 5
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(source)


@pytest.mark.parametrize("depth", [0, -1, LAYERS + 1])
def test_a_depth_that_is_not_there_is_refused(models, depth):
    with pytest.raises(VoicefitError, match=f"has {LAYERS} layers, so depth {depth}"):
        load_encoder(models["hubert"], depth=depth)


@pytest.mark.parametrize("frozen_layers", [-1, 3])
def test_freezing_layers_that_are_not_run_is_refused(models, frozen_layers):
    with pytest.raises(VoicefitError, match="cannot freeze"):
        load_encoder(models["hubert"], depth=2, frozen_layers=frozen_layers)


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


# Whisper


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
    encoder = load_encoder(build_whisper_asr(tmp_path), max_seconds=max_seconds)
    assert encoder.front(make_waveform(2.0)).shape == (50 * seconds, 16)


def test_a_missing_weight_of_a_whisper_of_the_hub_is_named(tmp_path):
    folder = build_whisper_asr(tmp_path)
    gone = "model.encoder.layers.1.fc1.weight"
    rewrite_weights(folder, lambda tensors: {key: t for key, t in tensors.items() if key != gone})
    with pytest.raises(VoicefitError, match=r"encoder\.layers\.1\.fc1\.weight"):
        load_encoder(folder)


def test_a_cut_whisper_saves_as_a_plain_model(tmp_path):
    encoder = load_encoder(build_whisper_asr(tmp_path / "asr"), depth=2)
    encoder.model.save_pretrained(tmp_path / "cut")
    encoder.feature_extractor.save_pretrained(tmp_path / "cut")
    waveform = make_waveform(0.8)
    plain = AutoModelForAudioClassification.from_pretrained(tmp_path / "cut", ignore_mismatched_sizes=True)
    inputs = AutoFeatureExtractor.from_pretrained(tmp_path / "cut")(waveform, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        expected = plain.eval().encoder(**inputs).last_hidden_state.mean(1)
    torch.testing.assert_close(encoder.pool([encoder.front(waveform)]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("depth", [1, 4])
def test_the_real_whisper_says_of_real_clips_what_transformers_says(shared_models, shared_data, depth):
    folder = shared_models / "whisper-tiny.en-encoder-5s"
    encoder = load_encoder(folder, depth=depth)
    model = AutoModelForAudioClassification.from_pretrained(folder, num_hidden_layers=depth, dtype=torch.float32).eval()
    clips = sorted((shared_data / "EmoDB" / "wav").iterdir())[:3]
    waveforms = [soundfile.read(clip, dtype="float32")[0] for clip in clips]
    frames = [encoder.front(waveform) for waveform in waveforms]
    inputs = AutoFeatureExtractor.from_pretrained(folder)(waveforms, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        expected = model.encoder(**inputs).last_hidden_state.mean(1)
    torch.testing.assert_close(encoder.pool(frames), expected, atol=1e-4, rtol=1e-4)


def test_the_tiny_whisper_is_not_sinusoidal(tmp_path):
    """Or the test of the positions above would hold for sinusoids too."""
    from transformers.models.whisper.modeling_whisper import sinusoids

    table = load_file(build_whisper(tmp_path) / "model.safetensors")["encoder.embed_positions.weight"]
    assert (table - sinusoids(250, 16)).abs().max() > 0.1
