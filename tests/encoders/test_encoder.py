import shutil
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from support.tiny_models import (
    BUILDERS,
    LAYERS,
    build_hubert,
    build_wav2vec2_group_norm,
    build_wavlm,
    build_whisper,
    edit_json,
    make_waveform,
    plain_logits,
    voicefit_logits,
)
from voicefit.encoders import FrontEnd, Reading, load_encoder, padding, precision
from voicefit.encoders import encoder as encoder_module
from voicefit.errors import VoicefitError

torch.set_num_threads(1)

FAMILY_NAMES = list(BUILDERS)
QUIET = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0, "activation_dropout": 0.0}


# Equal to transformers


@pytest.mark.parametrize("depth", [1, 2, LAYERS])
@pytest.mark.parametrize("frozen_layers", [0, 1])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_logits_of_one_clip_equal_the_plain_model(models, family, frozen_layers, depth):
    waveform = make_waveform(0.6)
    encoder = load_encoder(models[family], Reading(depth=depth, frozen_layers=frozen_layers))
    expected = plain_logits(models[family], waveform, num_hidden_layers=depth)
    assert encoder.depth == depth
    torch.testing.assert_close(voicefit_logits(encoder, [encoder.front(waveform)]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_weighted_layers_equal_the_plain_model(tmp_path, family):
    """The weights of the layers are those that the model was saved with, all different."""
    weighing = {"use_weighted_layer_sum": True, "tie_last_hidden_states": True}
    folder, waveform = BUILDERS[family](tmp_path / "model", **weighing), make_waveform(0.6)
    encoder = load_encoder(folder, Reading(weighted_layers=True))
    assert encoder.layer_weights[0].shape == (LAYERS + 1,) and encoder.layer_weights[0].std() > 0.01
    expected = plain_logits(folder, waveform)
    torch.testing.assert_close(voicefit_logits(encoder, [encoder.front(waveform)]), expected, atol=1e-5, rtol=1e-5)
    assert (voicefit_logits(load_encoder(folder), [encoder.front(waveform)]) - expected).abs().max() > 0.01


def test_layers_weigh_alike_where_no_weights_were_learnt(models):
    encoder = load_encoder(models["whisper"], Reading(weighted_layers=True))
    assert encoder.layer_weights[0].softmax(0).tolist() == pytest.approx([1 / (LAYERS + 1)] * (LAYERS + 1))


def test_frozen_layers_are_not_weighted(models):
    with pytest.raises(VoicefitError, match="layers that are frozen cannot be weighed"):
        load_encoder(models["whisper"], Reading(weighted_layers=True, frozen_layers=1))


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
    encoder = load_encoder(models[family], Reading(frozen_layers=frozen_layers))
    frames = [encoder.front(make_waveform(seconds, seed)) for seed, seconds in enumerate((0.3, 1.1, 0.025, 0.7))]
    alone = torch.cat([encoder.pool([clip]) for clip in frames])
    torch.testing.assert_close(encoder.pool(frames), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_pooling_reads_a_few_clips_at_a_time_and_gives_what_all_at_once_give(models, family, monkeypatch):
    encoder = load_encoder(models[family])
    frames = [encoder.front(make_waveform(0.2 + 0.1 * (index % 3), index)) for index in range(5)]
    at_once = encoder.pool(frames)
    chunks = []
    forward = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda clips, precision: chunks.append(len(clips)) or forward(clips))
    monkeypatch.setattr(encoder_module, "_CLIPS_PER_POOL", 2)

    def read():
        for index, clip in enumerate(frames):
            assert sum(chunks) >= index - 1  # what was read before has been pooled
            yield clip

    torch.testing.assert_close(encoder.pool(read()), at_once, atol=1e-5, rtol=0)
    assert chunks == [2, 2, 1]


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_clips_keep_their_order_and_gradients_when_they_are_run_in_several_batches(models, family, monkeypatch):
    encoder = load_encoder(models[family])
    frames = [encoder.front(make_waveform(0.2 + 0.1 * (index % 3), index)) for index in range(5)]
    results = []
    for most in (10**6, 1):
        monkeypatch.setitem(padding._FRAMES_PER_BATCH, "cpu", most)
        pooled = encoder(frames)
        (pooled * torch.arange(5)[:, None]).sum().backward()
        gradients = [p.grad.clone() for p in encoder.parameters() if p.grad is not None]
        encoder.zero_grad(set_to_none=True)
        results.append([pooled.detach(), *gradients])
    for together, apart in zip(*results, strict=True):
        torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)
    assert torch.equal(results[1][0][3], encoder.pool([frames[3]])[0])


@pytest.mark.parametrize("taps", [8, 9])
def test_positions_over_normalised_channels_are_the_plain_model_s_and_never_those_of_a_batch(tmp_path, taps):
    """As in mHuBERT; means and variances are those that the model was saved with, whatever is read."""
    folder = build_hubert(tmp_path / "model", conv_pos_batch_norm=True, num_conv_pos_embeddings=taps, **QUIET)
    weights = load_file(folder / "model.safetensors")
    mean = next(name for name in weights if name.endswith("batch_norm.running_mean"))
    weights[mean] = torch.linspace(-1, 1, len(weights[mean]))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    encoder = load_encoder(folder)
    waveforms = [make_waveform(seconds, index) for index, seconds in enumerate((0.3, 0.6))]
    frames = [encoder.front(waveform) for waveform in waveforms]
    expected = torch.cat([plain_logits(folder, waveform) for waveform in waveforms])
    torch.testing.assert_close(voicefit_logits(encoder, frames), expected, atol=1e-5, rtol=1e-5)
    alone = encoder.pool(frames)
    encoder.train()
    torch.testing.assert_close(encoder(frames), alone, atol=1e-5, rtol=1e-5)
    encoder.eval()
    assert torch.equal(encoder.pool(frames), alone)


@pytest.mark.parametrize("frozen_layers", [0, 1])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_bfloat16_training_passes_accept_clips_of_different_length(models, family, frozen_layers, bfloat16):
    encoder = load_encoder(models[family], Reading(frozen_layers=frozen_layers))
    frames = [encoder.front(make_waveform(seconds)) for seconds in (0.3, 0.8)]
    pooled = encoder(frames, "bfloat16")
    pooled.sum().backward()
    assert pooled.dtype == torch.float32
    assert not torch.equal(pooled.detach(), encoder.pool(frames))
    torch.testing.assert_close(pooled.detach(), encoder.pool(frames), atol=0.15, rtol=0.1)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_where_there_is_no_bfloat16_it_is_float32(models, family, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    encoder, waveform = load_encoder(models[family]), make_waveform(0.6)
    frames = [encoder.front(waveform)]
    for way in (encoder, encoder.pool, lambda *given: encoder.hidden(*given)[0]):
        assert torch.equal(way(frames, "bfloat16"), way(frames, "float32"))
    assert torch.equal(*(encoder.layer_frames(waveform, [1], precision) for precision in ("bfloat16", "float32")))


def test_clips_are_cut_to_max_seconds(models):
    encoder = load_encoder(models["wav2vec2-group-norm"], Reading(front_end=FrontEnd(max_seconds=0.5)))
    waveform = make_waveform(0.9)
    torch.testing.assert_close(encoder.front(waveform), encoder.front(waveform[:8000]), atol=0, rtol=0)


@pytest.mark.parametrize("front_end", [{}, {"pad_first": True}, {"train": True}], ids=["plain", "padded", "trained"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_shape_of_the_frames_is_known_without_the_front_end(models, family, front_end):
    for frozen_layers in (0,) if front_end.get("train") else (0, 1):
        encoder = load_encoder(
            models[family], Reading(frozen_layers=frozen_layers, front_end=FrontEnd(max_seconds=1.5, **front_end))
        )
        for samples in (400, 719, 720, 16_001, 40_000):
            waveform = make_waveform(samples / 16_000)
            assert encoder.front_shape(len(waveform)) == tuple(encoder.front(waveform).shape)


def test_the_shortest_clip_gives_one_frame(models):
    assert load_encoder(models["wav2vec2-group-norm"]).front(make_waveform(0.025)).shape == (1, 8)


def test_half_precision_front_changes_pooled_vectors_little(models):
    for family in FAMILY_NAMES:
        encoder = load_encoder(models[family])
        front = encoder.front(make_waveform(0.6))
        torch.testing.assert_close(encoder.pool([front.half()]), encoder.pool([front]), atol=5e-3, rtol=0)


# Quirks of the published code


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_padding_first_lets_silence_count_as_speech(models, family):
    waveform = make_waveform(0.4)
    encoder = load_encoder(models[family], Reading(front_end=FrontEnd(pad_first=True, max_seconds=1.0)))
    frames = [encoder.front(waveform), encoder.front(make_waveform(1.3))]
    assert frames[0].shape == frames[1].shape
    padded = plain_logits(models[family], np.concatenate([waveform, np.zeros(9600, np.float32)]))
    if family != "whisper":  # whose window is longer than a second here
        torch.testing.assert_close(voicefit_logits(encoder, frames[:1]), padded, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_trained_front_end_gets_gradients_and_says_what_a_frozen_one_says(models, family):
    waveforms = [make_waveform(0.6), make_waveform(0.3)]
    encoder = load_encoder(models[family], Reading(front_end=FrontEnd(train=True)))
    frames = [encoder.front(waveform) for waveform in waveforms]
    frozen = load_encoder(models[family])
    expected = frozen.pool([frozen.front(waveform) for waveform in waveforms])
    pooled = encoder(frames)
    torch.testing.assert_close(pooled.detach(), expected, atol=1e-5, rtol=1e-4)
    pooled.square().sum().backward()
    trained = {name for name, p in encoder.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert any("conv" in name for name in trained - set(frozen.trainable_state()))
    assert set(encoder.trainable_state()) > set(frozen.trainable_state())


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_front_end_trained_in_bfloat16_says_and_learns_what_it_does_in_float32(models, family, monkeypatch):
    monkeypatch.setattr(encoder_module, "_CLIPS_PER_STEM_BATCH", 2)
    encoder = load_encoder(models[family], Reading(front_end=FrontEnd(train=True)))
    frames = [encoder.front(make_waveform(seconds, seed)) for seed, seconds in enumerate((0.9, 0.025, 0.4))]
    stemmed, gradients = [], []
    for bfloat16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            clips = [clip.float() for clip in encoder._run_stem(frames)]
        sum((clip * torch.linspace(-1, 1, clip.numel()).view(clip.shape)).sum() for clip in clips).backward()
        gradients.append({name: p.grad for name, p in encoder.named_parameters() if p.grad is not None})
        encoder.zero_grad(set_to_none=True)
        stemmed.append(clips)
    for exact, rounded in zip(*stemmed, strict=True):
        assert rounded.shape == exact.shape and (rounded - exact).norm() < 0.03 * exact.norm()
    assert gradients[0].keys() == gradients[1].keys()
    for name, exact in gradients[0].items():
        if exact.norm() > 1e-3:
            assert nn.functional.cosine_similarity(exact.flatten(), gradients[1][name].flatten(), 0) > 0.99, name


def test_frozen_layers_above_a_trained_front_end_are_refused(models):
    with pytest.raises(VoicefitError, match="layers cannot be frozen above a front end that is trained"):
        load_encoder(models["hubert"], Reading(frozen_layers=1, front_end=FrontEnd(train=True)))


# What is trained


@pytest.mark.parametrize("frozen_layers", [0, 1, 2])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_gradients_reach_the_rest_and_never_the_front_end(models, family, frozen_layers):
    encoder = load_encoder(models[family], Reading(frozen_layers=frozen_layers))
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
    encoder = load_encoder(build_wavlm(tmp_path, hidden_dropout=0.5, feat_proj_dropout=0.5), Reading(frozen_layers=1))
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
    encoder = load_encoder(models[family], Reading(frozen_layers=1))
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
        load_encoder(folder, Reading(frozen_layers=1)).front_key(),
        load_encoder(folder, Reading(front_end=FrontEnd(max_seconds=3.0))).front_key(),
        load_encoder(folder, Reading(front_end=FrontEnd(resample=False))).front_key(),
        load_encoder(folder, Reading(front_end=FrontEnd(pad_first=True))).front_key(),
        load_encoder(folder, Reading(front_end=FrontEnd(train=True))).front_key(),
        load_encoder(models["hubert"]).front_key(),
        load_encoder(models["wav2vec2-group-norm"]).front_key(),
    ]
    other_heads = shutil.copytree(folder, tmp_path / "heads")
    edit_json(other_heads / "config.json", encoder_attention_heads=4)
    keys.append(load_encoder(other_heads, Reading(frozen_layers=1)).front_key())
    other_normalisation = shutil.copytree(models["hubert"], tmp_path / "normalise")
    edit_json(other_normalisation / "preprocessor_config.json", do_normalize=False)
    keys.append(load_encoder(other_normalisation).front_key())
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_front_key_is_the_same_at_every_depth_and_in_every_process(models, family):
    keys = {load_encoder(models[family], Reading(depth=depth, frozen_layers=1)).front_key() for depth in (1, 2, LAYERS)}
    assert len(keys) == 1


@pytest.mark.parametrize("depth", [1, 4])
def test_the_real_whisper_says_of_real_clips_what_transformers_says(shared_models, shared_data, depth):
    folder = shared_models / "whisper-tiny.en-encoder-5s"
    encoder = load_encoder(folder, Reading(depth=depth))
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


@pytest.mark.parametrize("front_end", [FrontEnd(), FrontEnd(train=True)], ids=["frozen stem", "trained stem"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_upper_layers_alone_say_what_all_layers_say(models, family, front_end):
    encoder = load_encoder(models[family], Reading(front_end=front_end))
    frames = [encoder.front(make_waveform(seconds)) for seconds in (0.9, 0.4, 0.6)]
    for layers in range(1, LAYERS + 1):
        upper = encoder.upper_layers(layers)
        between = [encoder.lower_layers(layers, clip) for clip in frames]
        torch.testing.assert_close(upper(between), encoder(frames), atol=1e-5, rtol=1e-5)
    assert encoder.frozen_layers == 0


@pytest.mark.parametrize("frozen", [0, 1])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_what_follows_the_hidden_units_alone_says_what_all_layers_say(models, family, frozen):
    encoder = load_encoder(models[family], Reading(frozen_layers=frozen))
    frames = [encoder.front(make_waveform(seconds)) for seconds in (0.9, 0.4, 0.6)]
    for layers in range(frozen, LAYERS):
        upper = encoder.upper_layers(layers, from_hidden_units=True)
        between = [encoder.lower_layers(layers, clip, to_hidden_units=True) for clip in frames]
        torch.testing.assert_close(upper(between), encoder(frames), atol=1e-5, rtol=1e-5)


def test_what_the_upper_layers_share_is_trained_and_restored_through_them(models):
    encoder = load_encoder(models["wav2vec2-group-norm"])
    upper, before = encoder.upper_layers(1), {name: p.detach().clone() for name, p in encoder.named_parameters()}
    frozen = load_encoder(models["wav2vec2-group-norm"], Reading(frozen_layers=1))
    assert upper.trainable_state().keys() == frozen.trainable_state().keys() < encoder.trainable_state().keys()
    with upper.restored():
        for p in upper.trainable():
            p.data.add_(1)
        changed = {name for name, p in encoder.named_parameters() if not torch.equal(p, before[name])}
    assert changed == upper.trainable_state().keys()
    assert all(torch.equal(p, before[name]) for name, p in encoder.named_parameters())


class ReadBack(TorchDispatchMode):
    """Counts numbers that a program takes out of tensors: on a GPU each waits for all that was begun before."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), settings=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **(settings or {}))


@pytest.mark.parametrize("train", [False, True], ids=["front end frozen", "front end trained"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_training_never_waits_for_a_number(models, family, train):
    encoder = load_encoder(models[family], Reading(front_end=FrontEnd(train=train)))
    frames = [encoder.front(make_waveform(seconds)) for seconds in (0.9, 0.4, 0.6)]
    encoder.train()
    with ReadBack() as back:
        encoder(frames).sum().backward()
    assert back.count == 0
    with ReadBack() as back:
        assert encoder(frames).sum() < 1e9  # as such a wait looks
    assert back.count == 1
