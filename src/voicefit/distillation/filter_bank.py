"""Log-mel amplitudes by the convolutions of a wav2vec 2.0: the initial weights of an untrained front end.

Random convolutions lose most of the emotion in speech, and hours of training improve them little. These four are an
ordinary log-mel front end, written as the layers of `transformers` with ``feat_extract_norm="group"``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from voicefit.audio import SAMPLE_RATE

TAPS = 400
"""A filter of the bank has so many samples: 25 ms, the usual frame of a log-mel front end."""

LAYERS = 4
"""The bank takes so many convolutions: one for filters, one for smoothing, and two for the logarithm."""

_LAST_KNEE_AMPLITUDE = 2.048
"""The logarithm has its last knee at this amplitude; full scale is 1."""

_KNEE_RATIO = 4.0
"""The logarithm is linear between knees and beyond the last; each knee has so many times the amplitude before it."""


def filter_bank_dims(bands: int, knees: int) -> tuple[int, ...]:
    """Return the widths of the four convolutions for a bank of so many mel bands.

    Args:
        bands: the number of bands on the mel scale, from 60 to 7600 Hz.
        knees: the number of knees of the logarithm; amplitudes below ``2.048 / 4 ** knees`` in a band are silence.
    """
    return 4 * bands, bands, knees * bands, 2 * bands


@torch.no_grad()
def set_filter_bank(layers: Sequence[Any]) -> None:
    """Set four convolutions to compute log amplitudes of mel bands, centred at 0, and their negatives.

    GELU follows each layer. For the large values of the first three it is a rectifier. After the last,
    GELU(x) - GELU(-x) = x: the two signs together lose nothing.

    Args:
        layers: convolutions with a bias and the widths of :func:`filter_bank_dims`; a group norm follows the first.
            The first has :data:`TAPS` taps, the second any number for smoothing, the last two have one each.
    """
    filters, smoothing, excess, logarithm = layers
    bands, knees = smoothing.conv.out_channels, excess.conv.out_channels // smoothing.conv.out_channels
    silence = _LAST_KNEE_AMPLITUDE / _KNEE_RATIO**knees
    for layer in layers:
        layer.conv.bias.zero_()
    # Group norm would remove the level of each band. With filters so weak that its epsilon outweighs their variance,
    # it only multiplies, and subtracts a mean that is 0 unless a pure tone fits the stride of 5 ms.
    weakness = 1e-4
    _fill(filters.conv.weight, weakness * _mel_filters(bands)[:, None])
    filters.layer_norm.weight.fill_(filters.layer_norm.eps**0.5 / weakness / silence)
    # The four rectified phases of a band add up to its envelope, whatever the phase of the sound.
    window = np.hanning(smoothing.conv.kernel_size[0] + 2)[1:-1]
    _fill(smoothing.conv.weight, np.repeat(np.eye(bands), 4, axis=1)[:, :, None] * window / window.sum())
    # ln x over x > 1 as a straight line between knees: a sum of max(0, x / knee - 1) with these slopes.
    sharpness = 8.0  # this factor of GELU's argument makes it nearly a rectifier
    points = _KNEE_RATIO ** np.arange(knees)
    slopes = np.log(_KNEE_RATIO) * np.array([1 / (_KNEE_RATIO - 1)] + [-1.0] * (knees - 1))
    _fill(excess.conv.weight, sharpness * np.kron(1 / points[:, None], np.eye(bands))[:, :, None])
    excess.conv.bias.fill_(-sharpness)
    spread = 1.5  # nepers, about the standard deviation of speech
    signs = np.array([[1.0], [-1.0]])
    _fill(logarithm.conv.weight, np.kron(signs * slopes, np.eye(bands))[:, :, None] / sharpness / spread)
    middle = knees * np.log(_KNEE_RATIO) / 2
    _fill(logarithm.conv.bias, np.repeat(-signs, bands) * middle / spread)


def _mel_filters(bands: int) -> np.ndarray:
    """Return Gabor filters in four phases a quarter apart, band by band, ``(4 * bands, TAPS)``.

    Centres are evenly spaced in mel, 2595 lg(1 + f / 700), between 60 and 7600 Hz; a filter's bandwidth follows the
    distance of its neighbours. A sine of amplitude 1 at the centre gives amplitude 1 / 2.
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
