"""The demo's encoder: a small wav2vec 2.0 with random weights behind a fixed filter bank."""

from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from voicefit.distillation.filter_bank import TAPS, filter_bank_dims, set_filter_bank
from voicefit.encoders.load import quiet_transformers
from voicefit.system.files import new_directory

_BANDS, _KNEES = 40, 5


def write_small_encoder(path: Path) -> None:
    """Write a small wav2vec 2.0 as a plain `transformers` directory, the same every time; 50 frames a second.

    Its weights are random, from a fixed seed, except that the convolutions are a log-mel filter bank: no training
    is done on them, and random ones lose most of what tells emotions apart.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Wav2Vec2ForSequenceClassification(_small_config())
    set_filter_bank(model.wav2vec2.feature_extractor.conv_layers)
    # No normalisation: all clips are recorded alike, as it were, and loudness is a cue to emotion.
    feature_extractor = Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False)
    with new_directory(path) as folder, quiet_transformers():
        model.save_pretrained(folder)
        feature_extractor.save_pretrained(folder)


def _small_config() -> Wav2Vec2Config:
    return Wav2Vec2Config(
        conv_dim=filter_bank_dims(_BANDS, _KNEES),
        conv_kernel=(TAPS, 8, 1, 1),
        conv_stride=(80, 4, 1, 1),
        conv_bias=True,
        feat_extract_norm="group",
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=8,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        classifier_proj_size=96,
        num_labels=2,
    )
