"""A `transformers` audio classifier, cut at a layer and split in a frozen front end and a trainable rest.

Four parts in the order of the data flow: *stem* (log-mel and convolutions), *entry* (projection and
positions), transformer *layers*, *exit* (the closing layer norm). The front end is the stem, or the stem, the
entry and the first ``frozen_layers`` layers; it runs once per clip, alone and unpadded. The rest runs on
padded batches with a mask.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification
from transformers.utils import logging as transformers_logging

from voicefit.audio import SAMPLE_RATE
from voicefit.errors import VoicefitError

MAX_SECONDS = 5.0
"""Longer clips are cut here, as in the publication (section 4.1)."""

_WHISPER_RATE = 50
"""Positions of a Whisper encoder in a second."""

# No SpecAugment and no layerdrop: on short clips they remove most of the input (62 % of the frames of 0.5 s).
_NO_MASKING = {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}

# What a fine-tuned classifier's config may say of its own head, and what `transformers` would apply to ours.
_PLAIN_HEAD = {"use_weighted_layer_sum": False, "problem_type": None}

# The settings of a config that change what the front end computes from the same weights.
_FRONT_SETTINGS = (
    "model_type",
    "conv_kernel",
    "conv_stride",
    "feat_extract_norm",
    "feat_extract_activation",
    "num_attention_heads",
    "hidden_act",
    "activation_function",
    "layer_norm_eps",
    "do_stable_layer_norm",
    "max_bucket_distance",
)


class Encoder(nn.Module):
    """The encoder of a `transformers` audio classifier. Build one with :func:`load_encoder`.

    Attributes:
        model: the whole `transformers` model, head included.
        feature_extractor: its feature extractor, applied to one clip at a time.
        frozen_layers: how many transformer layers belong to the front end.
        max_seconds: clips are cut to this length.
    """

    layerdrop_settings: ClassVar[dict[str, Any]] = {"layerdrop": 0.0}

    def __init__(self, model: Any, feature_extractor: Any, frozen_layers: int, max_seconds: float):
        super().__init__()
        self.model = model
        self.feature_extractor = feature_extractor
        self.frozen_layers = frozen_layers
        self.max_seconds = max_seconds
        self.requires_grad_(False)
        for part in self._rest_parts():
            part.requires_grad_(True)
        self._keep_frozen()
        self.eval()

    @property
    def hidden_size(self) -> int:
        """Width of a pooled vector."""
        return self.model.config.hidden_size

    @property
    def depth(self) -> int:
        """Number of transformer layers that are run."""
        return self.model.config.num_hidden_layers

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def projector(self) -> nn.Linear:
        """The model's own linear layer from ``hidden_size`` to the width that its classifier reads."""
        return self.model.projector

    def set_projector(self, projector: nn.Linear) -> None:
        """Replace the projector; the new one is trainable."""
        self.model.projector = projector.to(self.device).requires_grad_(True)
        self.model.config.classifier_proj_size = projector.out_features

    @torch.no_grad()
    def front(self, waveform: np.ndarray) -> Tensor:
        """The front end's output for one clip.

        Args:
            waveform: float array ``(samples,)`` at 16 kHz.

        Returns:
            float32 tensor ``(frames, width)``; ``width`` is that of the stem, or ``hidden_size`` when layers
            are frozen.
        """
        was_training = self.training
        self.eval()
        frames = self._stem(waveform[: int(self.max_seconds * SAMPLE_RATE)])
        if self.frozen_layers:
            frames = self._entry(frames, None)
            frames = self._run_layers(frames, None, 0, self.frozen_layers)
        self.train(was_training)
        return frames[0]

    def forward(self, frames: Sequence[Tensor]) -> Tensor:
        """Mean-pooled hidden frames of clips, each given as the front end's output for it.

        Args:
            frames: one ``(frames, width)`` tensor per clip; they are padded and masked here.

        Returns:
            tensor ``(clips, hidden_size)``; equal, within rounding, to what each clip gives alone.
        """
        lengths = torch.tensor([len(clip) for clip in frames], device=self.device)
        hidden = nn.utils.rnn.pad_sequence([clip.to(self.device) for clip in frames], batch_first=True).float()
        mask = None
        if bool((lengths < hidden.shape[1]).any()):
            mask = torch.arange(hidden.shape[1], device=self.device)[None] < lengths[:, None]
        if not self.frozen_layers:
            hidden = self._entry(hidden, mask)
        hidden = self._exit(self._run_layers(hidden, mask, self.frozen_layers, self.depth))
        if mask is None:
            return hidden.mean(1)
        return (hidden * mask[:, :, None]).sum(1) / lengths[:, None]

    @torch.no_grad()
    def pool(self, frames: Sequence[Tensor], batch_size: int = 32) -> Tensor:
        """:meth:`forward` on batches of similar length, without gradients; ``(clips, hidden_size)``."""
        was_training = self.training
        self.eval()
        order = sorted(range(len(frames)), key=lambda index: len(frames[index]))
        pooled = torch.empty(len(frames), self.hidden_size, device=self.device)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            pooled[batch] = self([torch.as_tensor(frames[index]) for index in batch])
        self.train(was_training)
        return pooled

    def trainable_state(self) -> dict[str, Tensor]:
        """A copy of every weight that training changes, by name."""
        return {name: p.detach().clone() for name, p in self.named_parameters() if p.requires_grad}

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Undo, in place, whatever training changed inside the block."""
        before = self.trainable_state()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self.named_parameters():
                    if name in before:
                        parameter.copy_(before[name])
                        parameter.grad = None

    def front_key(self) -> str:
        """32 hexadecimal digits that change when the front end's weights or settings do."""
        digest = hashlib.blake2b(digest_size=16)
        settings = {
            "frozen_layers": self.frozen_layers,
            "max_seconds": self.max_seconds,
            "feature_extractor": self.feature_extractor.to_dict(),
            "config": {name: getattr(self.model.config, name, None) for name in _FRONT_SETTINGS},
        }
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
        for part in self._front_parts():
            for name, tensor in sorted(part.state_dict().items()):
                digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _rest_parts(self) -> list[nn.Module]:
        entry = [] if self.frozen_layers else self._entry_parts()
        layers = list(self._layers()[self.frozen_layers : self.depth])
        return [*entry, *layers, *self._exit_parts(), self.model.projector]

    def _front_parts(self) -> list[nn.Module]:
        entry = self._entry_parts() if self.frozen_layers else []
        return [*self._stem_parts(), *entry, *self._layers()[: self.frozen_layers]]

    # What a family of encoders defines.
    def _stem(self, waveform: np.ndarray) -> Tensor:
        raise NotImplementedError

    def _entry(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        raise NotImplementedError

    def _layers(self) -> Any:
        raise NotImplementedError

    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        raise NotImplementedError

    def _exit(self, hidden: Tensor) -> Tensor:
        raise NotImplementedError

    def _stem_parts(self) -> list[nn.Module]:
        raise NotImplementedError

    def _entry_parts(self) -> list[nn.Module]:
        raise NotImplementedError

    def _exit_parts(self) -> list[nn.Module]:
        raise NotImplementedError

    def _keep_frozen(self) -> None:
        """Freeze again what a family never trains."""


class WaveformEncoder(Encoder):
    """wav2vec 2.0, HuBERT and WavLM: convolutions over the waveform, relative positions by a convolution."""

    @property
    def _base(self) -> Any:
        return self.model.base_model

    def _stem(self, waveform: np.ndarray) -> Tensor:
        inputs = self.feature_extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return self._base.feature_extractor(inputs.input_values.to(self.device)).transpose(1, 2)

    def _entry(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        hidden = _hidden_of(self._base.feature_projection(frames))
        if mask is not None:
            hidden = hidden * mask[:, :, None]
        encoder = self._base.encoder
        hidden = hidden + encoder.pos_conv_embed(hidden)
        if not self._pre_norm:
            hidden = encoder.layer_norm(hidden)
        return encoder.dropout(hidden)

    def _layers(self) -> Any:
        return self._base.encoder.layers

    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        attention_mask = None
        if mask is not None:  # additive, broadcast over heads and queries
            attention_mask = torch.zeros(mask.shape, device=hidden.device).masked_fill(
                ~mask, torch.finfo(hidden.dtype).min
            )[:, None, None, :]
        for layer in self._layers()[first:last]:
            hidden = _hidden_of(layer(hidden, attention_mask=attention_mask))
        return hidden

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

    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        batch, length, _ = hidden.shape
        attention = self._layers()[0].attention
        bias = attention.compute_bias(length, length).to(hidden)[None].expand(batch, -1, -1, -1)
        bias = bias.reshape(batch * attention.num_heads, length, length)
        for index in range(first, last):
            hidden, bias = self._layers()[index](hidden, attention_mask=mask, position_bias=bias, index=index)
        return hidden


class WhisperEncoder(Encoder):
    """Whisper: log-mel frames padded with silence to a fixed length, every frame attended to and averaged.

    Whisper has no attention mask: its silence is part of its input, and `WhisperForAudioClassification`
    averages over all frames. So does this class, so that a saved model says the same in `transformers`.
    """

    layerdrop_settings: ClassVar[dict[str, Any]] = {"encoder_layerdrop": 0.0}

    def _stem(self, waveform: np.ndarray) -> Tensor:
        inputs = self.feature_extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        encoder = self.model.encoder
        hidden = nn.functional.gelu(encoder.conv1(inputs.input_features.to(self.device)))
        return nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)

    def _entry(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        hidden = frames + self.model.encoder.embed_positions.weight
        return nn.functional.dropout(hidden, p=self.model.config.dropout, training=self.training)

    def _layers(self) -> Any:
        return self.model.encoder.layers

    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        for layer in self._layers()[first:last]:
            hidden = _hidden_of(layer(hidden, None))
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
"""The class that splits each `transformers` model type."""


def load_encoder(
    source: str | Path,
    *,
    depth: int | None = None,
    frozen_layers: int = 0,
    max_seconds: float = MAX_SECONDS,
) -> Encoder:
    """Load an encoder from a hub id or a directory, strictly.

    Args:
        source: a hub id such as ``facebook/wav2vec2-base``, or a directory that `transformers` wrote.
        depth: run this many transformer layers and drop the rest; ``None`` keeps all of them.
        frozen_layers: transformer layers that join the frozen, cached front end.
        max_seconds: clips are cut to this length.

    Returns:
        the encoder in evaluation mode, float32; the parameters of its trainable rest require gradients.

    Raises:
        VoicefitError: nothing loadable there, a family that is not supported, weights of the encoder missing,
            or a depth that the encoder does not have.
    """
    config = _load_config(source)
    family = FAMILIES[config.model_type]
    depth = config.num_hidden_layers if depth is None else depth
    if not 1 <= depth <= config.num_hidden_layers:
        layers = config.num_hidden_layers
        raise VoicefitError(f"{source}: has {layers} layers, so depth {depth} cannot be read")
    if not 0 <= frozen_layers <= depth:
        raise VoicefitError(f"{source}: cannot freeze {frozen_layers} of the {depth} layers that are run")
    overrides = {**_NO_MASKING, **_PLAIN_HEAD, **family.layerdrop_settings, "num_hidden_layers": depth}
    for name, value in overrides.items():
        setattr(config, name, value)
    feature_extractor = _load_feature_extractor(source)
    model = _load_model(source, config)
    if config.model_type == "whisper":
        feature_extractor = _cut_whisper(model, feature_extractor, max_seconds)
    return family(model, feature_extractor, frozen_layers, max_seconds)


def _load_config(source: str | Path) -> Any:
    try:
        config = AutoConfig.from_pretrained(str(source))
    except Exception as error:  # absent, unreachable or damaged: transformers has a different one for each
        raise VoicefitError(
            f"{source}: no encoder could be loaded from here. Give a directory with config.json and "
            f"model.safetensors, or a hub id while the hub can be reached ({_first_line(error)})"
        ) from error
    if config.model_type not in FAMILIES:
        supported = ", ".join(FAMILIES)
        raise VoicefitError(f"{source}: is a {config.model_type!r} model; supported are {supported}")
    return config


def _load_feature_extractor(source: str | Path) -> Any:
    try:
        return AutoFeatureExtractor.from_pretrained(str(source))
    except Exception as error:  # as above
        raise VoicefitError(f"{source}: preprocessor_config.json is missing or unreadable") from error


def _load_model(source: str | Path, config: Any) -> Any:
    try:
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            model, info = AutoModelForAudioClassification.from_pretrained(
                str(source),
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise VoicefitError(f"{source}: its weights cannot be loaded ({_first_line(error)})") from error
    missing = [key for key in info["missing_keys"] if not key.startswith(("projector.", "classifier."))]
    if missing:
        raise VoicefitError(
            f"{source}: {len(missing)} weights of the encoder are missing, the first is {missing[0]}; "
            "is this checkpoint of the architecture that its config.json names?"
        )
    for key, *_ in info["mismatched_keys"]:
        raise VoicefitError(f"{source}: weight {key} has not the shape that config.json describes")
    if "projector.weight" in info["missing_keys"]:
        _set_identity_projector(model)
    return model


def _set_identity_projector(model: Any) -> None:
    """Let a plain encoder's classifier read the pooled frames as they are."""
    size = model.config.hidden_size
    model.projector = nn.utils.skip_init(nn.Linear, size, size)
    model.config.classifier_proj_size = size
    with torch.no_grad():
        model.projector.weight.copy_(torch.eye(size))
        model.projector.bias.zero_()


def _cut_whisper(model: Any, feature_extractor: Any, max_seconds: float) -> Any:
    """Keep the positions of the first ``max_seconds``; returns a feature extractor that pads to as many.

    Whole seconds, rounded up where there are positions for it: the feature extractor knows no others.
    """
    table = model.encoder.embed_positions.weight.detach()
    seconds = max(1, min(len(table) // _WHISPER_RATE, math.ceil(max_seconds)))
    table = table[: seconds * _WHISPER_RATE].clone()
    model.encoder.embed_positions = nn.Embedding.from_pretrained(table, freeze=True)
    model.encoder.max_source_positions = model.config.max_source_positions = len(table)
    return type(feature_extractor)(**{**feature_extractor.to_dict(), "chunk_length": seconds})


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _hidden_of(output: Any) -> Tensor:
    """The hidden frames, which some modules and some versions of `transformers` return in a tuple."""
    return output[0] if isinstance(output, tuple) else output


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence `transformers`: its loading report, where a missing head is expected, and its bars."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
