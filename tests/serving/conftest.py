import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, sync_playwright

from support.bad_audio import encode
from support.chromium import CHROMIUM, FLAGS
from support.tiny_models import build_wav2vec2_group_norm, make_prior, make_waveform
from voicefit.checkpoints.checkpoint import save_prefinetuned
from voicefit.encoders import load_encoder
from voicefit.heads.linear import CorpusHeads
from voicefit.serving.app import create_app
from voicefit.serving.kept_audio import KeptAudio
from voicefit.serving.limits import Limits
from voicefit.serving.server import create_site
from voicefit.serving.service import Service, open_served

BASE = "http://127.0.0.1"

_MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="session")
def start(tmp_path_factory) -> Path:
    """A pre-finetuned checkpoint made without training, which knows anger, fear and neutral."""
    folder = tmp_path_factory.mktemp("start")
    encoder = load_encoder(build_wav2vec2_group_norm(folder / "encoder"))
    heads = CorpusHeads({"c": ["anger", "neutral"]}, encoder.projector.out_features)
    record = {"kind": "prefinetuned", "source": "encoder", "protocol": "clean", "seed": 0, "depth": encoder.depth}
    record |= {"frozen_layers": 0, "front_end": encoder.front_end.model_dump(), "corpora": [], "best": {"epoch": 1.0}}
    history = pd.DataFrame([{"epoch": 1, "train_loss": 1.0, "validation_mean_macro_f1": 0.5}])
    save_prefinetuned(encoder, heads, make_prior(encoder.hidden_size), folder / "checkpoint", record, history)
    return folder / "checkpoint"


@pytest.fixture
def service(start) -> Iterator[Service]:
    made = Service(open_served(str(start)), Limits())
    yield made
    made.close()


@pytest.fixture
def client(service) -> Iterator[TestClient]:
    with TestClient(create_app(service), BASE) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """Chromium, to whose microphone somebody speaks."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    speech = tmp_path_factory.mktemp("microphone") / "speech.wav"
    speech.write_bytes(clip(7, seconds=3))
    with sync_playwright() as driver:
        flags = [*FLAGS, *_MICROPHONE, f"--use-file-for-fake-audio-capture={speech}"]
        found = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


def clip(seed: int, seconds: float = 0.3) -> bytes:
    """A real WAV file, different for every seed."""
    return encode(make_waveform(seconds, seed))


def shots(*labels: str) -> dict:
    """The arguments of a POST of one clip per label."""
    files = [("files", (f"{index}.wav", clip(index))) for index in range(len(labels))]
    return {"files": files, "data": {"labels": list(labels)}}


@contextmanager
def running(
    source: Path, token: str = "", kept: KeptAudio | None = None, **limits: Any
) -> Iterator[tuple[str, Service]]:
    """A real server on a free port of the loopback: its address, and what does its work."""
    service = Service(open_served(str(source)), Limits(**limits), kept)
    server = uvicorn.Server(uvicorn.Config(create_site(service, token), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", service
        finally:
            server.should_exit = server.force_exit = True
            thread.join()
