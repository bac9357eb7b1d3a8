"""Log-mel amplitudes by the convolutions of a wav2vec 2.0: where a front end that nobody has trained may begin.

Random convolutions lose most of what tells emotions apart, and hours of speech teach them little. These four are an
ordinary log-mel front end, written as the layers of `transformers` with ``feat_extract_norm="group"``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from voicefit.audio import SAMPLE_RATE

TAPS = 400
"""Samples in a filter of the bank: 25 ms, the usual frame of a log-mel front end."""

LAYERS = 4
"""Convolutions that the bank takes: filters, smoothing, and two for the logarithm."""

_LOUDEST = 2.048
"""Amplitude at the last knee of the logarithm, full scale being 1."""

_RATIO = 4.0
"""The logarithm runs straight between knees, each ``_RATIO`` times the one before, and beyond the last."""


def filter_bank_dims(bands: int, knees: int) -> tuple[int, ...]:
    """Widths of the four convolutions for a bank of so many mel bands.

    Args:
        bands: of the mel scale, from 60 to 7600 Hz.
        knees: of the logarithm; amplitudes below ``2.048 / 4 ** knees`` within a band count as silence.
    """
    return 4 * bands, bands, knees * bands, 2 * bands


@torch.no_grad()
def set_filter_bank(layers: Sequence[Any]) -> None:
    """Make four convolutions compute log amplitudes of mel bands, about 0, and their negatives.

    GELU follows each layer. For the large values of the first three it is a rectifier; after the last,
    GELU(x) - GELU(-x) = x, so that having both signs loses nothing.

    Args:
        layers: convolutions with a bias and of the widths of :func:`filter_bank_dims`, a group norm after the first.
            The first has :data:`TAPS` taps, the second smooths over as many as it has, the last two have one each.
    """
    filters, smoothing, excess, logarithm = layers
    bands, knees = smoothing.conv.out_channels, excess.conv.out_channels // smoothing.conv.out_channels
    silence = _LOUDEST / _RATIO**knees
    for layer in layers:
        layer.conv.bias.zero_()
    # Group norm would remove the level of each band. Filters so weak that its epsilon outweighs their variance keep
    # it: the norm then multiplies, and takes away a mean that is 0 unless a pure tone fits the stride of 5 ms.
    weakness = 1e-4
    _fill(filters.conv.weight, weakness * _mel_filters(bands)[:, None])
    filters.layer_norm.weight.fill_(filters.layer_norm.eps**0.5 / weakness / silence)
    # The four rectified phases of a band add up to its envelope, whatever the phase of the sound.
    window = np.hanning(smoothing.conv.kernel_size[0] + 2)[1:-1]
    _fill(smoothing.conv.weight, np.repeat(np.eye(bands), 4, axis=1)[:, :, None] * window / window.sum())
    # ln x over x > 1 as a straight line between knees: a sum of max(0, x / knee - 1) with these slopes.
    sharpness = 8.0  # times the argument of GELU, which makes it all but a rectifier
    points = _RATIO ** np.arange(knees)
    slopes = np.log(_RATIO) * np.array([1 / (_RATIO - 1)] + [-1.0] * (knees - 1))
    _fill(excess.conv.weight, sharpness * np.kron(1 / points[:, None], np.eye(bands))[:, :, None])
    excess.conv.bias.fill_(-sharpness)
    spread = 1.5  # nepers, about the standard deviation of speech
    both = np.array([[1.0], [-1.0]])
    _fill(logarithm.conv.weight, np.kron(both * slopes, np.eye(bands))[:, :, None] / sharpness / spread)
    middle = knees * np.log(_RATIO) / 2
    _fill(logarithm.conv.bias, np.repeat(-both, bands) * middle / spread)


def _mel_filters(bands: int) -> np.ndarray:
    """Gabor filters in four phases a quarter apart, band by band, ``(4 * bands, TAPS)``.

    Centres are evenly spaced in mel, 2595 lg(1 + f / 700), between 60 and 7600 Hz; a filter's bandwidth follows the
    distance of its neighbours. A sine of amplitude 1 at the centre comes out with amplitude 1 / 2.
    """
    lowest, highest = 2595 * np.log10(1 + np.array([60.0, 7600.0]) / 700)
    mel = np.linspace(lowest, highest, bands + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    time = (np.arange(TAPS) - (TAPS - 1) / 2) / SAMPLE_RATE
    centres, spacing = hertz[1:-1, None], (hertz[2:] - hertz[:-2])[:, None] / 2
    envelopes = np.exp(-((2 * np.pi * 0.6 * spacing * time) ** 2) / 2) * np.hanning(TAPS)
    phases = np.pi / 2 * np.arange(4)[:, None]
    waves = np.cos(2 * np.pi * centres[:, None] * time + phases)
    filters = waves * (envelopes / envelopes.sum(1, keepdims=True))[:, None]
    return filters.reshape(-1, TAPS)


def _fill(weight: torch.Tensor, values: np.ndarray) -> None:
    weight.copy_(torch.from_numpy(values))
