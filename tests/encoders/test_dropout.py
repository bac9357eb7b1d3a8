import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AutoModelForAudioClassification

from support.tiny_models import BUILDERS, build_wav2vec2_group_norm, build_wavlm, make_waveform
from voicefit.encoders import load_encoder
from voicefit.encoders.dropout import Dropout, attend, drop


def seeded(seed, values, share):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return drop(values, share)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_and_the_mean_that_is_kept(share):
    dropped = seeded(0, torch.ones(400_000), share)
    assert (dropped == 0).float().mean() == pytest.approx(share, abs=0.004)  # five standard deviations at most
    assert dropped[dropped > 0].unique().tolist() == pytest.approx([1 / (1 - share)], rel=2e-4)
    assert dropped.mean() == pytest.approx(1, abs=0.015)


def test_what_is_dropped_depends_on_no_neighbour():
    """Four elements share a random word: no pair of places within it may be dropped together more often."""
    zeros = (seeded(1, torch.ones(100_000, 4), 0.3) == 0).double()
    together = zeros.T @ zeros / len(zeros)
    assert (together - torch.full((4, 4), 0.09).fill_diagonal_(0.3).double()).abs().max() < 0.008


@given(st.lists(st.integers(0, 7), min_size=1, max_size=3), st.integers(0, 2**31))
def test_every_shape_is_dropped_as_its_seed_says(shape, seed):
    values = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
    dropped = seeded(seed, values, 0.5)
    assert torch.equal(dropped, seeded(seed, values, 0.5))
    assert torch.equal(dropped[dropped != 0], 2 * values[dropped != 0])
    assert dropped.shape == values.shape


def test_another_seed_drops_others():
    values = torch.ones(1000)
    assert not torch.equal(seeded(1, values, 0.5), seeded(2, values, 0.5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_and_everything(dtype):
    values = torch.ones(100, dtype=dtype)
    assert torch.equal(drop(values, 0.0), values)
    assert torch.equal(drop(values, 1.0), torch.zeros(100, dtype=dtype))
    assert drop(values, 0.5).dtype == dtype


def test_gradients_are_dropped_with_their_values():
    values = torch.ones(1000, requires_grad=True)
    dropped = drop(values, 0.25)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


def test_dropout_is_for_training():
    layer, values = Dropout(0.5), torch.ones(100)
    assert (layer(values) == 0).any()
    assert torch.equal(layer.eval()(values), values)


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
def test_attention_that_drops_is_attention_by_hand(masked):
    """With values of one, a clip's output is the sum of its kept weights; with none dropped it is PyTorch's own."""
    query, key, value = torch.randn(3, 2, 4, 9, 8, generator=torch.Generator().manual_seed(0)).unbind()
    mask = torch.zeros(2, 1, 1, 9)
    mask[0, :, :, 6:] = torch.finfo(torch.float32).min
    mask = mask if masked else None
    layer = nn.Module()
    layer.is_causal = False
    expected = nn.functional.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2)
    torch.testing.assert_close(attend(layer, query, key, value, mask)[0], expected)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mean = sum(attend(layer, query, key, value, mask, dropout=0.3)[0] for _ in range(2000)) / 2000
        torch.manual_seed(0)
        weights = query / 8**0.5 @ key.mT + (0 if mask is None else mask)
        by_hand = (drop(weights.softmax(-1), 0.3) @ value).transpose(1, 2)
        torch.manual_seed(0)
        torch.testing.assert_close(attend(layer, query, key, value, mask, dropout=0.3)[0], by_hand)
    torch.testing.assert_close(mean, expected, atol=0.08, rtol=0)
    assert not torch.allclose(by_hand, expected, atol=0.08)


def test_frames_that_a_mask_of_truths_leaves_out_are_not_heard():
    query, key, value = torch.randn(3, 2, 4, 9, 8, generator=torch.Generator().manual_seed(0)).unbind()
    heard = torch.ones(2, 1, 1, 9, dtype=torch.bool)
    heard[0, :, :, 6:] = False
    added = torch.zeros(heard.shape).masked_fill(~heard, torch.finfo(torch.float32).min)
    outputs = []
    for mask in (heard, added):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            outputs.append(attend(nn.Module(), query, key, value, mask, dropout=0.3)[0])
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("family", list(BUILDERS))
def test_every_dropout_of_an_encoder_is_this_one(models, family):
    modules = [type(module) for module in load_encoder(models[family]).model.modules()]
    assert nn.Dropout not in modules
    assert Dropout in modules or family == "whisper"


@pytest.mark.parametrize("what", ["attention_dropout", "hidden_dropout", "activation_dropout", "feat_proj_dropout"])
def test_each_dropout_of_the_config_is_drawn_in_training_alone(tmp_path, what):
    none = dict.fromkeys(("attention_dropout", "hidden_dropout", "activation_dropout", "feat_proj_dropout"), 0.0)
    encoder = load_encoder(build_wav2vec2_group_norm(tmp_path, **{**none, what: 0.4}))
    frames = [encoder.front(make_waveform(0.6))]
    still = encoder(frames)
    encoder.train()
    assert not torch.allclose(encoder(frames), still, atol=1e-4)
    encoder.eval()
    assert torch.equal(encoder(frames), still)


def test_encoders_are_saved_without_it_and_wavlm_says_nothing(models, tmp_path, capfd):
    encoder = load_encoder(models["hubert"])
    encoder.model.save_pretrained(tmp_path / "saved")
    assert "voicefit" not in (tmp_path / "saved/config.json").read_text()
    plain = AutoModelForAudioClassification.from_pretrained(tmp_path / "saved")
    assert plain.config._attn_implementation == "sdpa"
    assert any(type(module) is nn.Dropout for module in plain.modules())
    load_encoder(build_wavlm(tmp_path / "wavlm"))
    assert "attention" not in capfd.readouterr().err
