"""A student that starts from its teacher's convolutions and first layers, behind a filter bank.

DistilHuBERT also starts from its teacher's weights. A Whisper teacher reads log-mel frames, which a wav2vec 2.0 lacks.
The outputs of the filter bank (:mod:`voicefit.distillation.filter_bank`) are nearly the same, up to a linear map.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voicefit.audio import SAMPLE_RATE
from voicefit.distillation.filter_bank import LAYERS, TAPS, filter_bank_dims
from voicefit.distillation.student import make_student
from voicefit.encoders import Encoder
from voicefit.errors import VoicefitError

_BANDS = 80
"""The filter bank has as many bands as Whisper's log-mel frames."""

_KNEES = 7
"""The logarithm of the filter bank has so many knees."""

_KERNELS = [TAPS, 8, 1, 1, 3, 3]
"""The kernel sizes of the convolutions: four of the filter bank, then two of Whisper."""

_STRIDES = [80, 2, 1, 1, 1, 2]
"""The strides of the same convolutions."""

_HOP_SAMPLES = 160
"""The frames of the bank, and Whisper's log-mel frames, are so many samples apart."""

_FIRST_CENTRE_SAMPLES = (TAPS + 7 * 80) / 2
"""The first frame of the bank is centred at this sample."""


def make_inheriting_student(teacher: Encoder, seed: int) -> Encoder:
    """Make a pre-norm wav2vec 2.0 as wide and deep as a Whisper teacher, with random weights for :func:`inherit`.

    Raises:
        VoicefitError: the teacher is no Whisper encoder.
    """
    if not hasattr(getattr(teacher.model, "encoder", None), "conv1"):
        raise VoicefitError(
            "--student teacher: only a Whisper teacher has layers that a student can start from; take mini"
        )
    config, width = teacher.model.config, teacher.hidden_size
    dropouts = ("hidden", "attention", "activation", "feat_proj", "final")
    settings = {
        "filter_bank": True,
        "inherits": True,
        "do_normalize": False,
        "conv_dim": [*filter_bank_dims(_BANDS, _KNEES), width, width],
        "conv_kernel": _KERNELS,
        "conv_stride": _STRIDES,
        "conv_bias": True,
        "num_feat_extract_layers": LAYERS + 2,
        "feat_extract_norm": "group",
        "do_stable_layer_norm": True,
        "hidden_size": width,
        "num_hidden_layers": teacher.depth,
        "num_attention_heads": config.encoder_attention_heads,
        "intermediate_size": config.encoder_ffn_dim,
        "num_conv_pos_embeddings": 31,
        "num_conv_pos_embedding_groups": 16,
        "layerdrop": 0.0,
    }
    return make_student(settings | {f"{name}_dropout": 0.0 for name in dropouts}, seed)


@torch.no_grad()
def inherit(student: Encoder, teacher: Encoder, waveforms: Sequence[np.ndarray]) -> None:
    """Copy the weights of a Whisper teacher to its student.

    The student gets the teacher's two convolutions, after the filter bank, and the teacher's layers. The teacher's
    positions are left out: the convolution for positions starts at zero.

    Args:
        student: a student of :func:`make_inheriting_student`.
        teacher: the teacher that it was made for.
        waveforms: speech at 16 kHz, on which the filter bank is mapped to the teacher's log-mel frames.
    """
    target, source = student.model.base_model, teacher.model.encoder
    weight, bias = _log_mel_map(student, teacher, waveforms)
    first, second = (layer.conv for layer in target.feature_extractor.conv_layers[LAYERS:])
    band_weight = torch.einsum("omk,mb->obk", source.conv1.weight, weight)
    first.weight.copy_(torch.cat([band_weight, -band_weight], dim=1))  # the bank gives each band with both signs
    first.bias.copy_(source.conv1.bias + source.conv1.weight.sum(-1) @ bias)
    second.load_state_dict(source.conv2.state_dict())
    _set_projection(student, waveforms)
    for layer, example in zip(target.encoder.layers, source.layers, strict=True):
        _copy_layer(layer, example)
    target.encoder.layer_norm.load_state_dict(source.layer_norm.state_dict())


def _log_mel_map(student: Encoder, teacher: Encoder, waveforms: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the least-squares map from the bank's bands to the teacher's log-mel frames."""
    pairs = list(_aligned_frames(student, teacher, waveforms))
    bands, frames = (torch.cat(part).double() for part in zip(*pairs, strict=True))
    solution = torch.linalg.lstsq(torch.cat([bands, torch.ones(len(bands), 1)], dim=1), frames).solution.float()
    return solution[:-1].T, solution[-1]


def _aligned_frames(
    student: Encoder, teacher: Encoder, waveforms: Sequence[np.ndarray]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each waveform the bank's log amplitudes ``(frames, bands)`` and the teacher's ``(frames, 80)``."""
    bank = student.model.base_model.feature_extractor.conv_layers[:LAYERS]
    lag = round(_FIRST_CENTRE_SAMPLES / _HOP_SAMPLES)  # the teacher's first frame is centred at the start
    for waveform in waveforms:
        hidden = torch.from_numpy(waveform)[None, None].to(student.device)
        for layer in bank:
            hidden = layer(hidden)
        plus, minus = hidden[0].T.cpu().chunk(2, dim=1)
        features = teacher.feature_extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
        log_mel = features[0].T[lag : min(lag + len(plus), len(waveform) // _HOP_SAMPLES)]
        yield (plus - minus)[: len(log_mel)], log_mel


def _set_projection(student: Encoder, waveforms: Sequence[np.ndarray]) -> None:
    """Set the projection to pass on the convolutions' frames unchanged, except for the norm of each frame."""
    base = student.model.base_model
    frames = [base.feature_extractor(torch.from_numpy(waveform)[None].to(student.device)) for waveform in waveforms]
    projection, positions = base.feature_projection, base.encoder.pos_conv_embed.conv
    projection.layer_norm.weight.fill_(torch.cat([clip.std(1).flatten() for clip in frames]).mean())
    projection.projection.weight.copy_(torch.eye(*projection.projection.weight.shape))
    positions.parametrizations.weight.original0.zero_()
    for bias in (projection.layer_norm.bias, projection.projection.bias, positions.bias):
        bias.zero_()


def _copy_layer(layer: Any, example: Any) -> None:
    """Copy a pre-norm layer of Whisper to one of wav2vec 2.0; Whisper's keys have no bias."""
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        target, source = getattr(layer.attention, name), getattr(example.self_attn, name)
        target.weight.copy_(source.weight)
        target.bias.copy_(torch.zeros_like(target.bias) if source.bias is None else source.bias)
    for target, source in (
        (layer.layer_norm, example.self_attn_layer_norm),
        (layer.final_layer_norm, example.final_layer_norm),
        (layer.feed_forward.intermediate_dense, example.fc1),
        (layer.feed_forward.output_dense, example.fc2),
    ):
        target.load_state_dict(source.state_dict())
