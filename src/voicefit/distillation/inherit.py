"""Where a student may begin: at its teacher's own convolutions and first layers, heard through a filter bank.

DistilHuBERT too begins at its teacher's weights. A Whisper teacher hears log-mel frames, which a wav2vec 2.0 has not;
the filter bank (:mod:`voicefit.distillation.filter_bank`) has nearly the same, but for a linear map.
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

_BANDS, _KNEES = 80, 7
_KERNELS, _STRIDES = [TAPS, 8, 1, 1, 3, 3], [80, 2, 1, 1, 1, 2]

_STEP = 160
"""Samples from one frame of the bank to the next, and from one log-mel frame of Whisper's."""

_CENTRE = (TAPS + 7 * 80) / 2
"""Samples to the middle of the bank's first frame."""


def make_heir(teacher: Encoder, seed: int) -> Encoder:
    """A pre-norm wav2vec 2.0 as wide and deep as a Whisper teacher, of random weights: what :func:`inherit` fills.

    Raises:
        VoicefitError: the teacher is no Whisper encoder.
    """
    if not hasattr(getattr(teacher.model, "encoder", None), "conv1"):
        raise VoicefitError("--student teacher: a student inherits from a Whisper teacher alone; take mini")
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
    """Give a student the weights of its Whisper teacher as far as the two are alike.

    The convolutions after the filter bank become the teacher's two, and the layers its own. What the teacher adds by
    position is left out: the convolution that has its place begins at zero.

    Args:
        student: made by :func:`make_heir`.
        teacher: the same as there.
        waveforms: speech at 16 kHz, on which the filter bank is mapped to the teacher's log-mel frames.
    """
    mine, theirs = student.model.base_model, teacher.model.encoder
    weight, bias = _log_mel_map(student, teacher, waveforms)
    first, second = (layer.conv for layer in mine.feature_extractor.conv_layers[LAYERS:])
    heard = torch.einsum("omk,mb->obk", theirs.conv1.weight, weight)
    first.weight.copy_(torch.cat([heard, -heard], dim=1))  # the bank gives each band with both signs
    first.bias.copy_(theirs.conv1.bias + theirs.conv1.weight.sum(-1) @ bias)
    second.load_state_dict(theirs.conv2.state_dict())
    _pass_on(student, waveforms)
    for layer, example in zip(mine.encoder.layers, theirs.layers, strict=True):
        _copy_layer(layer, example)
    mine.encoder.layer_norm.load_state_dict(theirs.layer_norm.state_dict())


def _log_mel_map(student: Encoder, teacher: Encoder, waveforms: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """The linear map from the bank's bands to the teacher's log-mel frames that is least wrong: weight and bias."""
    pairs = list(_side_by_side(student, teacher, waveforms))
    bands, frames = (torch.cat(part).double() for part in zip(*pairs, strict=True))
    solution = torch.linalg.lstsq(torch.cat([bands, torch.ones(len(bands), 1)], dim=1), frames).solution.float()
    return solution[:-1].T, solution[-1]


def _side_by_side(
    student: Encoder, teacher: Encoder, waveforms: Sequence[np.ndarray]
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each waveform its log amplitudes by the bank ``(frames, bands)`` and by the teacher ``(frames, 80)``."""
    bank = student.model.base_model.feature_extractor.conv_layers[:LAYERS]
    lag = round(_CENTRE / _STEP)  # the teacher's first frame is centred at the beginning
    for waveform in waveforms:
        hidden = torch.from_numpy(waveform)[None, None].to(student.device)
        for layer in bank:
            hidden = layer(hidden)
        plus, minus = hidden[0].T.cpu().chunk(2, dim=1)
        features = teacher.feature_extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
        said = features[0].T[lag : min(lag + len(plus), len(waveform) // _STEP)]
        yield (plus - minus)[: len(said)], said


def _pass_on(student: Encoder, waveforms: Sequence[np.ndarray]) -> None:
    """Let the layers hear the convolutions' frames as these are, but for each frame's mean and spread."""
    mine = student.model.base_model
    frames = [mine.feature_extractor(torch.from_numpy(waveform)[None].to(student.device)) for waveform in waveforms]
    projection, positions = mine.feature_projection, mine.encoder.pos_conv_embed.conv
    projection.layer_norm.weight.fill_(torch.cat([clip.std(1).flatten() for clip in frames]).mean())
    projection.projection.weight.copy_(torch.eye(*projection.projection.weight.shape))
    positions.parametrizations.weight.original0.zero_()
    for bias in (projection.layer_norm.bias, projection.projection.bias, positions.bias):
        bias.zero_()


def _copy_layer(layer: Any, example: Any) -> None:
    """One pre-norm layer of Whisper as one of wav2vec 2.0; Whisper's keys have no bias."""
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        mine, theirs = getattr(layer.attention, name), getattr(example.self_attn, name)
        mine.weight.copy_(theirs.weight)
        mine.bias.copy_(torch.zeros_like(mine.bias) if theirs.bias is None else theirs.bias)
    for part, other in (
        (layer.layer_norm, example.self_attn_layer_norm),
        (layer.final_layer_norm, example.final_layer_norm),
        (layer.feed_forward.intermediate_dense, example.fc1),
        (layer.feed_forward.output_dense, example.fc2),
    ):
        part.load_state_dict(other.state_dict())
