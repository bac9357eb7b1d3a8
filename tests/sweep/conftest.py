import multiprocessing
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from layouts import write_noise
from tiny_models import build_wav2vec2_group_norm
from voicefit.corpora import Clip, Corpus, folder


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads of several processes on few cores wait for each other for longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def new_process() -> Any:
    """A context whose processes begin anew (hash seed, threads, state), yet with the imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["voicefit.sweep", "transformers.models.wav2vec2.modeling_wav2vec2"])
    return context


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wav2vec2_group_norm(tmp_path_factory.mktemp("encoder"), num_hidden_layers=2)


@pytest.fixture(scope="session")
def corpora_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in <corpus>/<speaker>/<label>/<take>.wav: alpha and beta, and voices to adapt to."""
    root = tmp_path_factory.mktemp("corpora")
    for corpus, takes in (("alpha", 2), ("beta", 2), ("voices", 5)):
        build_noise_corpus(root / corpus, takes=takes)
    return root


def build_noise_corpus(root: Path, takes: int) -> None:
    for speaker, label, take in product(("anna", "ben"), ("anger", "calm", "fear"), range(takes)):
        name = f"{speaker}/{label}/{take}.wav"
        write_noise(root / name, zlib.crc32(f"{root.name}/{name}".encode()), seconds=0.1 + 0.01 * take)


@pytest.fixture(scope="session")
def raw_plan(encoder_folder: Path, corpora_folder: Path) -> dict[str, Any]:
    """A small plan with pre-finetuning, as a TOML file would give it."""
    return {
        "encoders": {"tiny": {"source": str(encoder_folder), "frozen_layers": 1}},
        "corpora": {name: str(corpora_folder / name) for name in ("alpha", "beta")},
        "targets": {"voices": str(corpora_folder / "voices")},
        "prefinetune": {"max_epochs": 1, "batch_size": 4},
        "methods": {"full": {"steps": 2}},
        "grid": [{"starts": ["none", "all"], "methods": ["head", "prototype"], "k": [2, 4], "draws": 2}],
    }


@pytest.fixture
def make_corpus_of() -> Callable[..., Corpus]:
    """A corpus without files: speaker → label → number of clips."""

    def make(name: str, counts: dict[str, dict[str, int]]) -> Corpus:
        clips = [
            Clip(f"{speaker}/{label}/{take:02}.wav", Path("none"), speaker, label)
            for speaker, labels in counts.items()
            for label, count in labels.items()
            for take in range(count)
        ]
        return Corpus(name, Path("none"), folder.INFO, tuple(clips))

    return make
