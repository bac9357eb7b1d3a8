"""Small encoders, for distillation from a larger one: untrained wav2vec 2.0, or the first layers of the larger one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from voicefit.distillation.filter_bank import LAYERS, set_filter_bank
from voicefit.distillation.lessons import WINDOW_S
from voicefit.encoders import Reading
from voicefit.encoders.encoder import Encoder
from voicefit.encoders.families import WaveformEncoder
from voicefit.encoders.front_end import FrontEnd
from voicefit.encoders.load import load_encoder
from voicefit.errors import VoicefitError

_MINI = Path(__file__).with_name("mini.json")
"""The config of the student ``mini``."""


def build_student(source: str | Path, seed: int) -> Encoder:
    """Make a wav2vec 2.0 with random weights, or load a student to train further.

    Args:
        source: ``mini``, a student of 3 million parameters whose config comes with Voicefit; a JSON file with a
            `transformers` ``Wav2Vec2Config``; or the directory of a student to train further. Voicefit adds two keys
            to the config: with ``filter_bank``, the first four convolutions are a fixed log-mel filter bank
            (`filter_bank.py`); with ``do_normalize``, the feature extractor scales every clip to unit variance.
        seed: fixes the weights.

    Raises:
        VoicefitError: no such file, or it does not describe a wav2vec 2.0 of 50 frames a second.
    """
    if Path(source).is_dir():
        return _freeze_filter_bank(load_encoder(source, Reading(front_end=FrontEnd(max_seconds=WINDOW_S, train=True))))
    settings = _read(_MINI if str(source) == "mini" else Path(source))
    try:
        return make_student(settings, seed)
    except Exception as error:  # transformers and torch raise many classes for impossible settings
        raise VoicefitError(f"{source}: does not describe a wav2vec 2.0 that can be built ({error})") from error


def make_student(settings: Mapping[str, Any], seed: int) -> Encoder:
    """Make a wav2vec 2.0 with random weights.

    Args:
        settings: the settings of a `transformers` ``Wav2Vec2Config``, and the keys that :func:`build_student` adds.
        seed: fixes the weights.
    """
    config = dict(settings)
    normalise = config.pop("do_normalize", True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**config))
    if settings.get("filter_bank"):
        set_filter_bank(model.wav2vec2.feature_extractor.conv_layers[:LAYERS])
    feature_extractor = Wav2Vec2FeatureExtractor(do_normalize=normalise, return_attention_mask=normalise)
    return _freeze_filter_bank(WaveformEncoder(model, feature_extractor, 0, FrontEnd(train=True)))


def cut_student(teacher: str | Path, layers: int) -> Encoder:
    """Return the teacher's own first layers and all that leads to them, to be trained.

    Args:
        teacher: the hub id or directory of an encoder.
        layers: so many of its layers.
    """
    return load_encoder(teacher, Reading(depth=layers, front_end=FrontEnd(max_seconds=WINDOW_S, train=True)))


def _freeze_filter_bank(student: Encoder) -> Encoder:
    """Freeze the filter bank if there is one; all other weights are trained."""
    if getattr(student.model.config, "filter_bank", False):
        student.model.wav2vec2.feature_extractor.conv_layers[:LAYERS].requires_grad_(False)
    return student


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VoicefitError(f"{path}: is no student; give mini, or a JSON file with a Wav2Vec2Config") from error
    if not isinstance(settings, dict) or settings.pop("model_type", None) != "wav2vec2":
        raise VoicefitError(f'{path}: should hold a JSON object with "model_type": "wav2vec2"')
    step = 1
    for stride in settings.get("conv_stride", Wav2Vec2Config().conv_stride):
        step *= stride
    if step != 320:
        raise VoicefitError(f"{path}: conv_stride makes a frame every {step} samples; 50 frames a second need 320")
    return settings
