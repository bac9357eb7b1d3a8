"""An adapted model as one module from waveform to probabilities, its feature extractor included."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.audio import SAMPLE_RATE
from voicefit.prediction.model import Model

_VARIANCE_EPSILON = 1e-7
"""The feature extractors of `transformers` add this to the variance."""


class WaveformClassifier(nn.Module):
    """A :class:`Model` as a module, from a mono waveform at 16 kHz, float32 ``(samples,)``, to ``(labels,)``.

    Like :meth:`Model.predict`, it cuts clips to ``max_seconds``. Unlike it, it consists of tensor operations only.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.model = model.model
        self.samples = int(model.max_seconds * SAMPLE_RATE)
        extractor = model.feature_extractor
        if model.model.config.model_type == "whisper":
            self.features: nn.Module = LogMel(extractor)
        else:
            self.features = _Normalise() if extractor.do_normalize else nn.Identity()

    def forward(self, waveform: Tensor) -> Tensor:
        """Return probabilities in the order of the model's labels."""
        # This minimum is symbolic: a slice would fix the length that the graph accepts.
        length = torch.sym_min(waveform.shape[0], self.samples)
        return self.model(self.features(waveform.narrow(0, 0, length))[None]).logits.softmax(-1)[0]


class _Normalise(nn.Module):
    """Zero mean and unit variance, as `Wav2Vec2FeatureExtractor` does."""

    def forward(self, waveform: Tensor) -> Tensor:
        centred = waveform - waveform.mean()
        return centred / (centred.square().mean() + _VARIANCE_EPSILON).sqrt()


class LogMel(nn.Module):
    """Log-mel frames ``(bins, frames)`` of a waveform ``(samples,)``, as `WhisperFeatureExtractor` makes them.

    The clip is padded with silence to the extractor's fixed window, or cut to it. The Fourier transform is a
    convolution with the windowed cosines and sines of each frequency, which every ONNX runtime knows.

    Args:
        extractor: a `WhisperFeatureExtractor`.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, extractor: Any):
        super().__init__()
        self.samples, self.hop, self.size = extractor.n_samples, extractor.hop_length, extractor.n_fft
        self.register_buffer("basis", _windowed_fourier_basis(self.size))
        self.register_buffer("filters", torch.from_numpy(extractor.mel_filters.T.copy()).float())

    def forward(self, waveform: Tensor) -> Tensor:
        """Return a frame every ``hop`` samples, without the last one, as in Whisper."""
        padded = nn.functional.pad(waveform, (0, self.samples))[: self.samples]
        framed = nn.functional.pad(padded[None, None], (self.size // 2, self.size // 2), mode="reflect")
        spectrum = nn.functional.conv1d(framed, self.basis, stride=self.hop)[0, :, :-1]
        cosines, sines = spectrum.chunk(2)
        log = (self.filters @ (cosines.square() + sines.square())).clamp(min=1e-10).log10()
        return (torch.maximum(log, log.max() - 8) + 4) / 4


def _windowed_fourier_basis(size: int) -> Tensor:
    """Return cosines, then sines, of ``size // 2 + 1`` frequencies under a periodic Hann window, as filters."""
    time = np.arange(size)
    # k·n modulo the size keeps the angles small, and thus their cosines exact.
    angles = 2 * np.pi * (np.outer(np.arange(size // 2 + 1), time) % size) / size
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / size)
    return torch.from_numpy(np.concatenate([np.cos(angles), np.sin(angles)]) * window).float()[:, None]
