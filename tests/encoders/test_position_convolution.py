import pytest
import torch
from torch import nn

from voicefit.encoders.position_convolution import convolve


@pytest.mark.parametrize("weight_norm", [True, False])
@pytest.mark.parametrize(("taps", "length"), [(128, 1), (128, 64), (128, 250), (16, 37), (7, 5), (1, 3)])
def test_transforms_give_what_the_convolution_gives(taps, length, weight_norm):
    """As `transformers` runs it: padded on both sides, the last frame of an even kernel dropped."""
    convolution = nn.Conv1d(12, 12, taps, padding=taps // 2, groups=3)
    if weight_norm:
        nn.utils.parametrizations.weight_norm(convolution, dim=2)
    frames = torch.randn(2, length, 12, requires_grad=True)
    weights = [frames, *convolution.parameters()]
    expected = convolution(frames.transpose(1, 2))[:, :, :length].transpose(1, 2)
    found = convolve(convolution, frames)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    towards = torch.randn_like(expected)
    gradients = [torch.autograd.grad((each * towards).sum(), weights) for each in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
