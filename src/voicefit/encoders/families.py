"""The families of encoders in `transformers`, each split into stem, entry, layers and exit."""

import contextlib
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.audio import MIN_SAMPLES, SAMPLE_RATE
from voicefit.encoders import position_convolution
from voicefit.encoders.encoder import Encoder

_MIN_BFLOAT16_GROUP_CHANNELS = 16
"""A grouped convolution with fewer channels in a group runs in float32 on a processor.

On processors with AMX, oneDNN 3.12's bfloat16 products are wrong for these if the kernel's width is a multiple of 8.
Odd kernels and real encoders (48 or 64 channels) are not affected.
"""

_BFLOAT16_ROWS = 1_536
"""Matrix products in bfloat16 on a processor are padded to a multiple of so many rows.

oneDNN prepares each size anew, which takes some milliseconds, and keeps few. With 600 to 1,500 rows, two threads are
half as fast.
"""


def shortest(config: Any) -> int:
    """Return the samples of the shortest waveform that gives a frame: the receptive field of the convolutions.

    It is at least :data:`voicefit.audio.MIN_SAMPLES`, that of wav2vec 2.0; other convolutions may need more.
    """
    return MIN_SAMPLES if config.model_type == "whisper" else max(MIN_SAMPLES, _receptive_field(config))


def lengthen(waveform: np.ndarray, config: Any) -> np.ndarray:
    """Return ``waveform``, with silence after it if it is shorter than :func:`shortest`."""
    return np.pad(waveform, (0, max(0, shortest(config) - len(waveform))))


def _receptive_field(config: Any) -> int:
    field, stride = 1, 1
    for kernel, step in zip(config.conv_kernel, config.conv_stride, strict=True):
        field, stride = field + (kernel - 1) * stride, stride * step
    return field


class WaveformEncoder(Encoder):
    """wav2vec 2.0, HuBERT and WavLM: convolutions over the waveform, relative positions by a convolution."""

    @property
    def _base(self) -> Any:
        return self.model.base_model

    @property
    def first_centre(self) -> float:
        """Half of the receptive field of a frame."""
        return _receptive_field(self.model.config) / 2

    def _inputs(self, waveform: np.ndarray) -> Tensor:
        waveform = lengthen(waveform, self.model.config)
        inputs = self.feature_extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return inputs.input_values.to(self.device)[0, :, None]

    def _stem_shape(self, samples: int) -> tuple[int, int]:
        config = self.model.config
        length = max(samples, shortest(config))
        if self._trains_stem:
            return length, 1
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            length = (length - kernel) // stride + 1
        return length, config.conv_dim[-1]

    def _stem(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        convolutions = self._base.feature_extractor
        if not torch.is_autocast_enabled("cpu"):
            return [convolutions(clip.T)[0].T for clip in inputs]
        hidden = inputs
        for layer in convolutions.conv_layers:
            norm = getattr(layer, "layer_norm", None)
            hidden = [layer.activation(_normalise(norm, clip)) for clip in _convolve(layer.conv, hidden)]
        return hidden

    def _stem_batch(self, inputs: Tensor) -> Tensor:
        return self._base.feature_extractor(inputs[:, :, 0]).transpose(1, 2)

    def _entry(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        hidden = _hidden_of(self._base.feature_projection(frames))
        if mask is not None:
            hidden = hidden * mask[:, :, None]
        encoder = self._base.encoder
        hidden = hidden + self._positions(hidden, mask)
        if not self._pre_norm:
            hidden = encoder.layer_norm(hidden)
        return encoder.dropout(hidden)

    def _positions(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        embedding = self._base.encoder.pos_conv_embed
        norm = getattr(embedding, "batch_norm", None)
        if norm is not None:
            hidden = norm(hidden.transpose(1, 2)).transpose(1, 2)
            hidden = hidden if mask is None else hidden * mask[:, :, None]
        if hidden.device.type == "cuda":
            return embedding.activation(position_convolution.convolve(embedding.conv, hidden))
        group_channels = self.hidden_size // self.model.config.num_conv_pos_embedding_groups
        in_float32 = group_channels < _MIN_BFLOAT16_GROUP_CHANNELS and torch.is_autocast_enabled("cpu")
        with torch.autocast("cpu", enabled=False) if in_float32 else contextlib.nullcontext():
            convolved = embedding.conv((hidden.float() if in_float32 else hidden).transpose(1, 2))
        return embedding.activation(embedding.padding(convolved)).transpose(1, 2)

    def _layers(self) -> Any:
        return self._base.encoder.layers

    def feed_forward_outputs(self) -> list[nn.Linear]:
        """Return what :meth:`Encoder.feed_forward_outputs` describes."""
        return [layer.feed_forward.output_dense for layer in self.trained_layers()]

    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        attention_mask = None
        if mask is not None:  # additive, broadcast over heads and queries
            attention_mask = torch.zeros(mask.shape, device=hidden.device).masked_fill(
                ~mask, torch.finfo(hidden.dtype).min
            )[:, None, None, :]
        for layer in self._layers()[first:last]:
            hidden = _hidden_of(layer(hidden, attention_mask=attention_mask))
        return hidden

    def _after_feed_forward(self, layer: Any, hidden: Tensor) -> Tensor:
        if not self._pre_norm:
            return layer.final_layer_norm(hidden)
        adapter = getattr(layer, "adapter_layer", None)
        return hidden if adapter is None else hidden + adapter(hidden)

    def _exit(self, hidden: Tensor) -> Tensor:
        return self._base.encoder.layer_norm(hidden) if self._pre_norm else hidden

    @property
    def _pre_norm(self) -> bool:
        return self.model.config.do_stable_layer_norm

    def _stem_parts(self) -> list[nn.Module]:
        return [self._base.feature_extractor]

    def _entry_parts(self) -> list[nn.Module]:
        post_norm = [] if self._pre_norm else [self._base.encoder.layer_norm]
        return [self._base.feature_projection, self._base.encoder.pos_conv_embed, *post_norm]

    def _exit_parts(self) -> list[nn.Module]:
        return [self._base.encoder.layer_norm] if self._pre_norm else []


class WavLMEncoder(WaveformEncoder):
    """WavLM: every layer shares the gated relative position bias that the first layer holds."""

    recordable: ClassVar[bool] = False  # the indices of the bias come from the processor's memory

    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        batch, length, _ = hidden.shape
        attention = self._layers()[0].attention
        bias = attention.compute_bias(length, length).to(hidden)[None].expand(batch, -1, -1, -1)
        bias = bias.reshape(batch * attention.num_heads, length, length)
        for index in range(first, last):
            hidden, bias = self._layers()[index](hidden, attention_mask=mask, position_bias=bias)
        return hidden


class WhisperEncoder(Encoder):
    """Whisper: log-mel frames padded with silence to a fixed length, every frame attended to and averaged.

    Whisper has no attention mask: its silence is part of its input, and `WhisperForAudioClassification` averages over
    all frames. This class does the same: a saved model gives the same result in `transformers`.
    """

    layerdrop_settings: ClassVar[dict[str, Any]] = {"encoder_layerdrop": 0.0}
    pads: ClassVar[bool] = True
    recorded_multiple: ClassVar[int] = 1  # all clips have the same length

    @property
    def first_centre(self) -> float:
        """The centre of the first log-mel frame, whose window begins before the clip."""
        return 0.0

    def _inputs(self, waveform: np.ndarray) -> Tensor:
        inputs = self.feature_extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return inputs.input_features.to(self.device)[0].T

    def _stem_shape(self, samples: int) -> tuple[int, int]:
        mel_frames = self.feature_extractor.nb_max_frames
        if self._trains_stem:
            return mel_frames, self.feature_extractor.feature_size
        return (mel_frames + 1) // 2, self.hidden_size

    def _stem(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        return list(self._stem_batch(torch.stack(list(inputs))))

    def _stem_batch(self, inputs: Tensor) -> Tensor:
        encoder = self.model.encoder
        hidden = nn.functional.gelu(encoder.conv1(inputs.transpose(1, 2)))
        return nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)

    def _entry(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        hidden = frames + self.model.encoder.embed_positions.weight
        return nn.functional.dropout(hidden, p=self.model.config.dropout, training=self.training)

    def _layers(self) -> Any:
        return self.model.encoder.layers

    def feed_forward_outputs(self) -> list[nn.Linear]:
        """Return what :meth:`Encoder.feed_forward_outputs` describes."""
        return [layer.fc2 for layer in self.trained_layers()]

    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        for layer in self._layers()[first:last]:
            hidden = _hidden_of(layer(hidden, None))
        return hidden

    def _after_feed_forward(self, layer: Any, hidden: Tensor) -> Tensor:
        return hidden

    def _exit(self, hidden: Tensor) -> Tensor:
        return self.model.encoder.layer_norm(hidden)

    def _stem_parts(self) -> list[nn.Module]:
        return [self.model.encoder.conv1, self.model.encoder.conv2]

    def _entry_parts(self) -> list[nn.Module]:
        return [self.model.encoder.embed_positions]

    def _exit_parts(self) -> list[nn.Module]:
        return [self.model.encoder.layer_norm]

    def _keep_frozen(self) -> None:
        self.model.encoder.embed_positions.requires_grad_(False)  # sinusoids, frozen in Whisper itself


FAMILIES: dict[str, type[Encoder]] = {
    "wav2vec2": WaveformEncoder,
    "hubert": WaveformEncoder,
    "wavlm": WavLMEncoder,
    "whisper": WhisperEncoder,
}
"""Each `transformers` model type is split by this class."""


def _convolve(convolution: nn.Conv1d, clips: Sequence[Tensor]) -> Sequence[Tensor]:
    """Convolve clips, each ``(frames, channels)``, in one matrix product: oneDNN's bfloat16 convolutions are slow."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    windows = [
        torch.cat([clip[first : len(clip) - kernel + 1 + first : stride] for first in range(kernel)], 1)
        for clip in clips
    ]
    rows = torch.cat(windows)
    rows = nn.functional.pad(rows, (0, 0, 0, -len(rows) % _BFLOAT16_ROWS))
    convolved = nn.functional.linear(rows, convolution.weight.transpose(1, 2).flatten(1), convolution.bias)
    return [convolved[end - len(clip) : end] for clip, end in zip(windows, accumulate(map(len, windows)), strict=True)]


def _normalise(norm: nn.LayerNorm | nn.GroupNorm | None, frames: Tensor) -> Tensor:
    """Normalise every channel over the clip, every frame over its channels, or nothing, as ``norm`` does."""
    if isinstance(norm, nn.GroupNorm):
        return nn.functional.batch_norm(frames, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
    return frames if norm is None else norm(frames)


def _hidden_of(output: Any) -> Tensor:
    """Return the hidden frames; some modules, and some versions of `transformers`, return them in a tuple."""
    return output[0] if isinstance(output, tuple) else output
