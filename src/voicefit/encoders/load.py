"""Loading of an encoder from a hub id or a directory, strictly: no weight is missing or silently random."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification
from transformers.utils import logging as transformers_logging

from voicefit.encoders.encoder import Encoder
from voicefit.encoders.families import FAMILIES
from voicefit.encoders.front_end import Reading
from voicefit.errors import VoicefitError
from voicefit.system.hub import Located, locate, meant

_WHISPER_POSITIONS_PER_SECOND = 50
"""A Whisper encoder has so many positions in a second."""

_NO_MASKING = {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}
"""SpecAugment is off: on short clips it removes most of the input (62 % of the frames of 0.5 s)."""

_PLAIN_HEAD = {"problem_type": None}
"""A fine-tuned classifier's config may describe the loss of its head, which `transformers` would apply to ours."""

HEAD_PREFIXES = ("projector.", "classifier.", "layer_weights")
"""The names of weights that a plain encoder lacks start with these."""


def load_encoder(source: str | Path | Located, reading: Reading | None = None) -> Encoder:
    """Load an encoder from a hub id or a directory, strictly.

    Args:
        source: a hub id such as ``facebook/wav2vec2-base``, a directory that `transformers` wrote, or ``mini``.
        reading: how much of it is run, and how clips reach it; ``None`` takes the defaults. Where layers are weighed
            and no weights were learnt, all count the same (:attr:`Encoder.layer_weights`).

    Returns:
        the encoder in evaluation mode, float32; the parameters of its trainable rest require gradients.

    Raises:
        VoicefitError: the source cannot be loaded, its family is not supported, weights of the encoder are missing, the
            encoder has fewer layers than ``depth``, or layers to be weighed are frozen.
    """
    located, reading = locate(source), reading or Reading()
    config = _load_config(located)
    family = FAMILIES[config.model_type]
    depth = config.num_hidden_layers if reading.depth is None else reading.depth
    _check_reading(located.name, reading, depth, config.num_hidden_layers)
    # With these, the last layer is read through the closing norm in all families and versions, as without weights.
    weighing = {"use_weighted_layer_sum": reading.weighted_layers, "tie_last_hidden_states": True}
    overrides = {**weighing, **_NO_MASKING, **_PLAIN_HEAD, **family.layerdrop_settings, "num_hidden_layers": depth}
    for name, value in overrides.items():
        setattr(config, name, value)
    feature_extractor = _load_feature_extractor(located)
    model = _load_model(located, config)
    if config.model_type == "whisper":
        feature_extractor = _cut_whisper(model, feature_extractor, reading.front_end.max_seconds)
    return family(model, feature_extractor, reading.frozen_layers, reading.front_end)


def _check_reading(name: str, reading: Reading, depth: int, layers: int) -> None:
    """Refuse what an encoder of so many ``layers``, of which ``depth`` are run, cannot do."""
    if not 1 <= depth <= layers:
        raise VoicefitError(f"{name}: has {layers} layers, so depth {depth} cannot be read")
    if reading.front_end.train and reading.frozen_layers:
        raise VoicefitError(f"{name}: layers cannot be frozen above a front end that is trained")
    if not 0 <= reading.frozen_layers <= depth:
        raise VoicefitError(f"{name}: cannot freeze {reading.frozen_layers} of the {depth} layers that are run")
    if reading.weighted_layers and reading.frozen_layers:
        raise VoicefitError(f"{name}: layers that are frozen cannot be weighed: they are not kept apart")


def _load_config(located: Located) -> Any:
    nothing = (
        f"{located.name}: no encoder could be loaded from here{meant(located.name)}. Give a directory with "
        "config.json and model.safetensors, or a hub id while the hub can be reached"
    )
    if located.file("config.json") is None:
        raise VoicefitError(nothing)
    try:
        config = AutoConfig.from_pretrained(str(located.folder))
    except Exception as error:  # damaged: transformers has a different one for each way
        raise VoicefitError(f"{nothing} ({_first_line(error)})") from error
    if config.model_type not in FAMILIES:
        supported = ", ".join(FAMILIES)
        raise VoicefitError(f"{located.name}: is a {config.model_type!r} model; supported are {supported}")
    return config


def _load_feature_extractor(located: Located) -> Any:
    try:
        return AutoFeatureExtractor.from_pretrained(str(located.folder))
    except Exception as error:  # as above
        raise VoicefitError(f"{located.name}: preprocessor_config.json is missing or unreadable") from error


def _load_model(located: Located, config: Any) -> Any:
    try:
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            model, info = AutoModelForAudioClassification.from_pretrained(
                located.weights(),
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise VoicefitError(f"{located.name}: its weights cannot be loaded ({_first_line(error)})") from error
    missing = [key for key in info["missing_keys"] if not key.startswith(HEAD_PREFIXES)]
    if missing:
        raise VoicefitError(
            f"{located.name}: {len(missing)} weights of the encoder are missing, the first is {missing[0]}; "
            "is this checkpoint of the architecture that its config.json names?"
        )
    for key, *_ in info["mismatched_keys"]:
        raise VoicefitError(f"{located.name}: weight {key} has not the shape that config.json describes")
    if "projector.weight" in info["missing_keys"]:
        _set_identity_projector(model)
    if "layer_weights" in info["missing_keys"]:
        nn.init.zeros_(model.layer_weights)
    return model


def _set_identity_projector(model: Any) -> None:
    """Set a plain encoder's projector to the identity: its classifier reads the pooled frames."""
    size = model.config.hidden_size
    model.projector = nn.utils.skip_init(nn.Linear, size, size)
    model.config.classifier_proj_size = size
    with torch.no_grad():
        model.projector.weight.copy_(torch.eye(size))
        model.projector.bias.zero_()


def _cut_whisper(model: Any, feature_extractor: Any, max_seconds: float) -> Any:
    """Keep the positions of the first ``max_seconds``, and return a feature extractor that pads to as many.

    Only whole seconds are possible in the feature extractor: they are rounded up, as far as the model has positions.
    """
    table = model.encoder.embed_positions.weight.detach()
    seconds = max(1, min(len(table) // _WHISPER_POSITIONS_PER_SECOND, math.ceil(max_seconds)))
    table = table[: seconds * _WHISPER_POSITIONS_PER_SECOND].clone()
    model.encoder.embed_positions = nn.Embedding.from_pretrained(table, freeze=True)
    model.encoder.max_source_positions = model.config.max_source_positions = len(table)
    return type(feature_extractor)(**{**feature_extractor.to_dict(), "chunk_length": seconds})


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence `transformers` in the block: its loading report, since a missing head is expected, and its bars."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
