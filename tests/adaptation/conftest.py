from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from support.tiny_models import build_wav2vec2_group_norm, make_prior, make_waveform
from voicefit.adaptation import Shots
from voicefit.encoders import Encoder, Reading, load_encoder


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wav2vec2_group_norm(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def encoder(folder: Path) -> Encoder:
    return load_encoder(folder, Reading(frozen_layers=1))


@pytest.fixture
def make_shots(encoder: Encoder) -> Callable[[int, int], Shots]:
    def make(k: int, classes: int = 2) -> Shots:
        frames = [encoder.front(make_waveform(0.2 + 0.01 * index, index)) for index in range(k)]
        return Shots(
            encoder.pool(frames).numpy(), frames, np.arange(k) % classes, classes, prior=make_prior(encoder.hidden_size)
        )

    return make
