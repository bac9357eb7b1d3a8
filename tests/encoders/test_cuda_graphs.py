"""Recorded passes beside plain ones: on a GPU, and on a tape of operations that stands for a GPU's graphs."""

import contextlib

import pytest
import torch
from torch import nn

from support import taped_graphs
from support.tiny_models import BUILDERS, make_waveform
from voicefit.encoders import Encoder, FrontEnd, Reading, load_encoder
from voicefit.errors import VoicefitError

WHERE = [
    "cpu",
    "tape",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]
SECONDS = ((0.6, 0.9), (1.3, 0.7), (0.6, 0.8), (1.2, 0.5), (0.9, 0.9))
"""Pairs of clips; some come to the same shape."""

QUIET = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0, "activation_dropout": 0.0}


@pytest.fixture(params=WHERE)
def device(request, monkeypatch):
    """Where the encoder is: a processor, where nothing is recorded, the same with the tape, or a GPU."""
    if request.param == "tape":
        taped_graphs.install(monkeypatch)
        monkeypatch.setattr(Encoder, "_can_record", property(lambda encoder: encoder.recordable))
        return "cpu"
    return request.param


def load(name, folder, device, front_end=None, **config):
    encoder = load_encoder(BUILDERS[name](folder / name, **config), Reading(front_end=front_end or FrontEnd())).to(
        device
    )
    encoder.train()
    return encoder


def step(encoder, frames, recorded):
    """Pooled vectors, and the gradient of every weight, after which none is kept."""
    pooled = encoder(frames, recorded=recorded)
    nn.functional.normalize(encoder.projector(pooled)).pow(3).sum().backward()
    gradients = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad(set_to_none=True)
    return pooled.detach(), gradients


def descend(encoder, frames, recorded, steps=4):
    """The weights after a few steps of SGD."""
    optimizer = torch.optim.SGD(encoder.trainable(), lr=0.1)
    for index in range(steps):
        nn.functional.normalize(encoder.projector(encoder(frames[index % len(frames)], recorded=recorded))).pow(
            3
        ).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return encoder.trainable_state()


def make_frames(encoder):
    return [[encoder.front(make_waveform(length, seed=index)) for length in pair] for index, pair in enumerate(SECONDS)]


@pytest.mark.parametrize("front_end", [FrontEnd(), FrontEnd(train=True)], ids=["cached", "trained"])
@pytest.mark.parametrize("name", BUILDERS)
def test_recorded_passes_give_what_plain_ones_give(tmp_path, device, name, front_end):
    quiet = {"dropout": 0.0} if name == "whisper" else QUIET
    encoder = load(name, tmp_path, device, front_end, **quiet)
    for frames in make_frames(encoder):
        pooled, gradients = step(encoder, frames, recorded=True)
        expected_pooled, expected = step(encoder, frames, recorded=False)
        assert gradients.keys() == expected.keys() and len(expected) > 20
        torch.testing.assert_close(pooled, expected_pooled, atol=1e-5, rtol=1e-4)
        for parameter, gradient in expected.items():
            torch.testing.assert_close(gradients[parameter], gradient, atol=1e-5, rtol=1e-3, msg=parameter)


@pytest.mark.parametrize("name", ["wav2vec2-group-norm", "whisper"])
def test_training_goes_where_it_goes_unrecorded(tmp_path, device, name):
    quiet = {"dropout": 0.0} if name == "whisper" else QUIET
    plain, recorded = (load(name, tmp_path / str(index), device, **quiet) for index in range(2))
    frames = make_frames(plain)
    before = plain.trainable_state()
    expected, found = descend(plain, frames, recorded=False), descend(recorded, frames, recorded=True)
    assert any((expected[weight] - before[weight]).abs().max() > 0.01 for weight in before)
    for weight, values in expected.items():
        torch.testing.assert_close(found[weight], values, atol=1e-4, rtol=1e-3, msg=weight)


def test_dropout_follows_the_seed_whether_a_shape_is_new_or_not(tmp_path, device):
    encoder = load("wav2vec2-group-norm", tmp_path, device)
    frames = make_frames(encoder)

    def pooled(seed):
        torch.manual_seed(seed)
        return torch.cat([step(encoder, pair, recorded=True)[0] for pair in frames])

    first, again, other = pooled(0), pooled(0), pooled(1)
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.01
    assert (step(encoder, frames[0], recorded=True)[0] - step(encoder, frames[0], recorded=True)[0]).abs().max() > 0.01


def test_weights_put_back_in_place_are_heard(tmp_path, device):
    encoder = load("wav2vec2-group-norm", tmp_path, device, **QUIET)
    frames = make_frames(encoder)[0]
    expected, _ = step(encoder, frames, recorded=True)
    with encoder.restored():
        descend(encoder, [frames], recorded=True)
        assert (step(encoder, frames, recorded=True)[0] - expected).abs().max() > 1e-3
    torch.testing.assert_close(step(encoder, frames, recorded=True)[0], expected)


def test_few_shapes_are_recorded(tmp_path, device):
    encoder = load("wav2vec2-group-norm", tmp_path, device)
    for frames in make_frames(encoder):
        step(encoder, frames, recorded=True)
    lengths = {-(-max(len(clip) for clip in frames) // 32) for frames in make_frames(encoder)}
    recordings = sum(len(recorded._recordings) for recorded in encoder._recorded.passes.values())
    assert recordings == (len(lengths) if encoder._can_record else 0)


def test_a_new_shape_is_recorded_while_the_last_loss_is_still_there(tmp_path, device):
    encoder = load("wav2vec2-group-norm", tmp_path, device, **QUIET)
    frames, losses = make_frames(encoder), []
    for pair in frames:
        losses.append(encoder(pair, recorded=True).pow(2).mean())
        losses[-1].backward()
        encoder.zero_grad(set_to_none=True)
    expected = [encoder(pair).pow(2).mean().item() for pair in frames]
    assert [loss.item() for loss in losses] == pytest.approx(expected, rel=1e-4)


def test_weights_that_were_moved_are_recorded_anew(tmp_path, device):
    """As some methods leave them: with the same values in another place."""
    encoder = load("wav2vec2-group-norm", tmp_path, device, **QUIET)
    frames = make_frames(encoder)[0]
    with encoder.restored():
        step(encoder, frames, recorded=True)
    kept = encoder._recorded.passes
    with encoder.restored():
        assert encoder._recorded.passes is kept
    for parameter in encoder.trainable():
        parameter.data = parameter.data.clone()
    with encoder.restored(), torch.no_grad():
        assert encoder._recorded.passes is not kept  # on a tape, unlike on a GPU, the old ones would do
        encoder.trainable()[0].mul_(-1)
        with torch.enable_grad():
            pooled, gradients = step(encoder, frames, recorded=True)
            expected_pooled, expected = step(encoder, frames, recorded=False)
    torch.testing.assert_close(pooled, expected_pooled, atol=1e-5, rtol=1e-4)
    assert gradients.keys() == expected.keys()


def test_a_pass_cannot_go_back_when_the_next_has_gone_ahead(tmp_path, device):
    encoder = load("wav2vec2-group-norm", tmp_path, device)
    frames = make_frames(encoder)
    first, second = (encoder(pair, recorded=True).sum() for pair in frames[:2])
    second.backward()
    if encoder._can_record:
        with pytest.raises(RuntimeError, match="only the last"):
            first.backward()
    else:
        first.backward()


def test_a_pass_that_cannot_be_recorded_says_how_to_go_without_and_leaves_random_numbers_alone(tmp_path, monkeypatch):
    taped_graphs.install(monkeypatch)
    monkeypatch.setattr(Encoder, "_can_record", True)
    encoder = load("wav2vec2-group-norm", tmp_path, "cpu")
    frames = make_frames(encoder)[0]

    @contextlib.contextmanager
    def refuse(*_):
        """As PyTorch does, whose last word does not say what was wrong."""
        try:
            raise RuntimeError("operation not permitted when stream is capturing")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")
        yield

    with monkeypatch.context() as broken:
        broken.setattr(torch.cuda, "graph", refuse)
        torch.manual_seed(0)
        before = torch.get_rng_state()
        with pytest.raises(VoicefitError, match=r"through \(2, 64, 8\).*not permitted.*cuda_graphs = false"):
            encoder(frames, recorded=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(step(encoder, frames, recorded=True)[1]) > 20


def test_an_encoder_with_nothing_to_train_above_the_front_end_is_not_recorded(tmp_path, device):
    folder = BUILDERS["wav2vec2-group-norm"](tmp_path / "model", **QUIET)
    encoder = load_encoder(folder, Reading(frozen_layers=3)).to(device)
    assert encoder.depth == encoder.frozen_layers
    frames = [encoder.front(make_waveform(0.6, seed)) for seed in range(2)]
    gradients = step(encoder.train(), frames, recorded=True)[1]
    assert gradients.keys() == {"model.projector.weight", "model.projector.bias"}
