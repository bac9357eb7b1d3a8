"""An encoder as one module from waveforms to pooled vectors, its feature extractor included."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.audio import SAMPLE_RATE
from voicefit.encoders import Encoder

_VARIANCE_EPSILON = 1e-7
"""The feature extractors of `transformers` add this to the variance."""


class EncoderGraph(nn.Module):
    """An encoder as a module from waveforms at 16 kHz, float32 ``(clips, samples)``, to ``(clips, hidden_size)``.

    All clips have one length. Like :meth:`voicefit.encoders.Encoder.embed`, it cuts them to ``max_seconds``. It
    consists of tensor operations only.
    """

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder
        self.samples = int(encoder.max_seconds * SAMPLE_RATE)
        extractor = encoder.feature_extractor
        if encoder.model.config.model_type == "whisper":
            self.features: nn.Module = LogMel(extractor)
        else:
            self.features = _Normalise() if extractor.do_normalize else nn.Identity()

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return pooled vectors."""
        # This minimum is symbolic: a slice would fix the length that the graph accepts.
        length = torch.sym_min(waveforms.shape[1], self.samples)
        inputs = self.features(waveforms.narrow(1, 0, length))
        return self.encoder.embed_batch(inputs.transpose(1, 2) if inputs.ndim == 3 else inputs[:, :, None])


class _Normalise(nn.Module):
    """Zero mean and unit variance of each clip, as `Wav2Vec2FeatureExtractor` does."""

    def forward(self, waveforms: Tensor) -> Tensor:
        centred = waveforms - waveforms.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + _VARIANCE_EPSILON).sqrt()


class LogMel(nn.Module):
    """Log-mel frames ``(clips, bins, frames)`` of waveforms ``(clips, samples)``, as Whisper's feature extractor's.

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

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return a frame every ``hop`` samples, without the last one, as in Whisper."""
        padded = nn.functional.pad(waveforms, (0, self.samples))[:, : self.samples]
        framed = nn.functional.pad(padded[:, None], (self.size // 2, self.size // 2), mode="reflect")
        spectrum = nn.functional.conv1d(framed, self.basis, stride=self.hop)[:, :, :-1]
        cosines, sines = spectrum.chunk(2, dim=1)
        log = (self.filters @ (cosines.square() + sines.square())).clamp(min=1e-10).log10()
        return (torch.maximum(log, log.amax((1, 2), keepdim=True) - 8) + 4) / 4


def _windowed_fourier_basis(size: int) -> Tensor:
    """Return cosines, then sines, of ``size // 2 + 1`` frequencies under a periodic Hann window, as filters."""
    time = np.arange(size)
    # k·n modulo the size keeps the angles small, and thus their cosines exact.
    angles = 2 * np.pi * (np.outer(np.arange(size // 2 + 1), time) % size) / size
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / size)
    return torch.from_numpy(np.concatenate([np.cos(angles), np.sin(angles)]) * window).float()[:, None]
