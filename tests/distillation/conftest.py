import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.tiny_models import build_whisper


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_whisper(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wav2vec 2.0 behind a filter bank, with dropout, so that a run depends on the random generator's state."""
    settings = {
        "model_type": "wav2vec2",
        "filter_bank": True,
        "do_normalize": False,
        "conv_dim": [32, 8, 56, 16, 16],
        "conv_kernel": [400, 8, 1, 1, 3],
        "conv_stride": [80, 2, 1, 1, 2],
        "conv_bias": True,
        "num_feat_extract_layers": 5,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
        "hidden_dropout": 0.1,
    }
    path = tmp_path_factory.mktemp("student") / "student.json"
    path.write_text(json.dumps(settings))
    return path


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen recordings of a gliding tone, one of them over 5 s, and a file that is no audio."""
    folder = tmp_path_factory.mktemp("audio")
    for index in range(16):
        seconds = 6.2 if index == 3 else 0.6 + 0.05 * index
        time = np.arange(int(seconds * 16_000)) / 16_000
        noise = np.random.default_rng(index).normal(size=len(time))
        tone = np.sin(2 * np.pi * (200 + 60 * index + 80 * np.sin(9 * time)) * time)
        soundfile.write(folder / f"{index:02d}.flac", 0.2 * tone + 0.01 * noise, 16_000)
    (folder / "broken.wav").write_text("no audio")
    return folder
