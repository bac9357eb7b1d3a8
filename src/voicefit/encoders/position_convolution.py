"""The convolution that encodes positions in wav2vec 2.0 and its relatives, by Fourier transforms.

It has a wide kernel and few channels in a group, for which a GPU's libraries have no fast kernels: in bfloat16 it took
four fifths of a pass on an H200.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_TRANSFORM_SIZE_MULTIPLE = 64
"""Transforms have a multiple of so many points: sizes whose prime factors are small are fast."""


def convolve(convolution: nn.Conv1d, frames: Tensor) -> Tensor:
    """Convolve ``frames`` in float32, by the convolution theorem: a sum over the kernel is a product in frequency.

    Args:
        convolution: of stride 1, padded by half its kernel; weight normalisation, if any, is per kernel position.
        frames: ``(clips, frames, width)``.

    Returns:
        ``(clips, frames, width)``, as many frames.
    """
    length, width = frames.shape[1:]
    weight, groups = _weight(convolution).float(), convolution.groups
    taps, within = weight.shape[-1], width // groups
    size = math.ceil((length + taps) / _TRANSFORM_SIZE_MULTIPLE) * _TRANSFORM_SIZE_MULTIPLE  # the end must not wrap
    spectra = torch.fft.rfft(frames.float(), size, dim=1).unflatten(2, (groups, within))
    kernels = torch.fft.rfft(weight, size).unflatten(0, (groups, within)).conj()
    products = torch.einsum("cfgi,goif->cfgo", spectra, kernels).flatten(2)
    convolved = torch.fft.irfft(products, size, dim=1).roll(taps // 2, 1)[:, :length]
    return convolved if convolution.bias is None else convolved + convolution.bias


def _weight(convolution: Any) -> Tensor:
    """Return the weight, normalised here: PyTorch's own kernels took 0.7 ms of a training step on an H200."""
    if not is_parametrized(convolution, "weight"):
        return convolution.weight
    norm = convolution.parametrizations.weight
    return norm.original1 * (norm.original0 / norm.original1.norm(dim=(0, 1), keepdim=True))
