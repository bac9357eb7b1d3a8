"""Tiny encoders of every family, with random weights, as `transformers` directories."""

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    HubertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from voicefit.checkpoints.checkpoint import save_prefinetuned
from voicefit.corpora import Clip
from voicefit.encoders import Reading, load_encoder
from voicefit.heads.corpus_heads import CorpusHeads
from voicefit.heads.learn_prior import learn_prior
from voicefit.heads.prior import Prior

LABELS = ("anger", "fear", "neutral")
LAYERS = 3

_SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 12,
    "num_labels": len(LABELS),
}
_LAYER_NORM = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
_WHISPER = {
    "d_model": 16,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 24,
    "max_source_positions": 250,
    "classifier_proj_size": 12,
    "num_labels": len(LABELS),
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "max_target_positions": 8,
}


def build_wav2vec2_group_norm(folder: Path, **config: Any) -> Path:
    """The layout of wav2vec 2.0 Base: group norm, post-norm layers, no attention mask."""
    return _build_waveform(folder, Wav2Vec2Config(**{**_SMALL, **config}))


def build_wav2vec2_layer_norm(folder: Path, **config: Any) -> Path:
    """The layout of wav2vec 2.0 Large-LV60 and XLS-R: layer norm, pre-norm layers, attention mask."""
    return _build_waveform(folder, Wav2Vec2Config(**{**_SMALL, **_LAYER_NORM, **config}))


def build_hubert(folder: Path, **config: Any) -> Path:
    """The layout of HuBERT Base."""
    return _build_waveform(folder, HubertConfig(**{**_SMALL, **config}))


def build_wavlm(folder: Path, **config: Any) -> Path:
    """The layout of WavLM Base; few buckets, so that short clips reach the far ones too."""
    return _build_waveform(folder, WavLMConfig(**{**_SMALL, "num_buckets": 16, "max_bucket_distance": 20, **config}))


def build_wavlm_layer_norm(folder: Path, **config: Any) -> Path:
    """The layout of WavLM Large."""
    return build_wavlm(folder, **{**_LAYER_NORM, **config})


def build_whisper(folder: Path, **config: Any) -> Path:
    """Whisper's encoder with 5 s of positions, which are not sinusoids here."""
    settings = WhisperConfig(**{**_WHISPER, **config})
    extractor = WhisperFeatureExtractor(chunk_length=settings.max_source_positions // 50)
    return _save(AutoModelForAudioClassification.from_config, settings, extractor, folder)


def build_whisper_asr(folder: Path, **config: Any) -> Path:
    """Whisper as the hub has it: encoder and decoder, 30 s of positions."""
    settings = WhisperConfig(**{**_WHISPER, "max_source_positions": 1500, **config})
    return _save(WhisperForConditionalGeneration, settings, WhisperFeatureExtractor(), folder)


BUILDERS: dict[str, Callable[..., Path]] = {
    "wav2vec2-group-norm": build_wav2vec2_group_norm,
    "wav2vec2-layer-norm": build_wav2vec2_layer_norm,
    "hubert": build_hubert,
    "wavlm": build_wavlm,
    "wavlm-layer-norm": build_wavlm_layer_norm,
    "whisper": build_whisper,
}
"""Family → the function that writes a tiny model of it into a folder and returns the folder."""

_REAL_POSITIONS = {"hidden_size": 64, "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16}
_REAL_BUCKETS = {"num_buckets": 320, "max_bucket_distance": 800}

REAL_GRAPHS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-group-norm": ("wav2vec2-group-norm", _REAL_POSITIONS),
    "wav2vec2-layer-norm": ("wav2vec2-layer-norm", _REAL_POSITIONS),
    "hubert": ("hubert", _REAL_POSITIONS),
    "hubert-batch-norm": ("hubert", {**_REAL_POSITIONS, "conv_pos_batch_norm": True}),
    "wavlm": ("wavlm", {**_REAL_POSITIONS, **_REAL_BUCKETS}),
    "wavlm-layer-norm": ("wavlm-layer-norm", {**_REAL_POSITIONS, **_REAL_BUCKETS}),
    "whisper": ("whisper", {"max_source_positions": 1500}),
}
"""Name → family and settings of a model that takes the paths of a real encoder, and is small in all else.

The kernel of its positions has over 8,192 values, 16 groups and the 128 taps of every released encoder: the exporter
computes such a kernel in the graph and stores a smaller one as a constant. WavLM has all of its buckets, Whisper 30 s
of positions, which Voicefit cuts, and one HuBERT has a batch norm before its positions.
"""


def build_real_graph(folder: Path, name: str, **config: Any) -> Path:
    """A tiny model of :data:`REAL_GRAPHS`; norms and batch statistics are as if trained."""
    family, settings = REAL_GRAPHS[name]
    return BUILDERS[family](folder, **{**settings, **config})


def rewrite_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    """Replace the model's tensors by what ``change`` makes of them."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def make_waveform(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise over a tone: no frame is like another."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    noise = np.random.default_rng(seed).normal(size=len(time))
    return (0.3 * np.sin(2 * np.pi * (200 + 90 * seed) * time) + 0.1 * noise).astype(np.float32)


@functools.cache
def make_prior(size: int) -> Prior:
    """What a corpus of noise teaches of three labels."""
    pooled = torch.randn(12, size, generator=torch.Generator().manual_seed(5))
    clips = [Clip("", Path(), speaker=str(index % 2), label=LABELS[index % 3]) for index in range(12)]
    return learn_prior({"corpus": pooled}, {"corpus": clips})


def build_start(folder: Path, family: str = "wav2vec2-group-norm", reading: Reading | None = None) -> Path:
    """A pre-finetuned checkpoint made without training, which knows anger, fear and neutral.

    If its layers are weighed, no weight is like another.
    """
    reading = reading or Reading()
    encoder = load_encoder(BUILDERS[family](folder / "encoder"), reading)
    with torch.no_grad():
        for weights in encoder.layer_weights:
            weights.copy_(torch.linspace(-1, 1, len(weights)))
    heads = CorpusHeads({"c": ["anger", "neutral"]}, encoder.projector.out_features)
    record = {"kind": "prefinetuned", "source": "encoder", "protocol": "clean", "seed": 0, "depth": encoder.depth}
    record |= {"frozen_layers": encoder.frozen_layers, "front_end": encoder.front_end.model_dump(), "corpora": []}
    record |= {"weighted_layers": reading.weighted_layers, "best": {"epoch": 1.0}}
    history = pd.DataFrame([{"epoch": 1, "train_loss": 1.0, "validation_mean_macro_f1": 0.5}])
    save_prefinetuned(encoder, heads, make_prior(encoder.hidden_size), folder / "checkpoint", record, history)
    return folder / "checkpoint"


def _build_waveform(folder: Path, config: Any) -> Path:
    masked = config.feat_extract_norm == "layer"
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=masked, do_normalize=True)
    return _save(AutoModelForAudioClassification.from_config, config, extractor, folder)


_SAVED: dict[tuple[str, str, str], dict[str, bytes]] = {}
"""The files of every model that this process has built, by what it was built of: the next ones are copies."""


def _save(build: Callable[[Any], Any], config: Any, extractor: Any, folder: Path) -> Path:
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: index for index, label in enumerate(LABELS)}
    key = (build.__qualname__, config.to_json_string(), extractor.to_json_string())
    if key not in _SAVED:
        with tempfile.TemporaryDirectory() as built:
            _build(build, config).save_pretrained(built)
            extractor.save_pretrained(built)
            _SAVED[key] = {path.name: path.read_bytes() for path in Path(built).iterdir()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _SAVED[key].items():
        (folder / name).write_bytes(content)
    return folder


def _build(build: Callable[[Any], Any], config: Any) -> Any:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        model = build(config)
        for parameter in model.parameters():
            # Fresh biases are 0 and fresh norms 1, which would hide that one is left out.
            parameter.add_(0.2 * torch.randn(parameter.shape))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):  # likewise, fresh statistics are 0 and 1
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return model


def edit_json(path: Path, **changes: Any) -> None:
    """Change some entries of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def plain_logits(folder: Path, waveform: np.ndarray, **config: Any) -> torch.Tensor:
    """What `transformers` says of one clip without Voicefit."""
    model = AutoModelForAudioClassification.from_pretrained(folder, **config).eval()
    inputs = AutoFeatureExtractor.from_pretrained(folder)(waveform, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits


def voicefit_logits(encoder: Any, frames: list[torch.Tensor]) -> torch.Tensor:
    """What Voicefit says of clips that have been through the front end."""
    with torch.no_grad():
        return encoder.model.classifier(encoder.projector(encoder(frames)))
