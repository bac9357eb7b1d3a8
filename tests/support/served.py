"""What tests of the server send, and a real server to send it to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from support.bad_audio import encode
from support.tiny_models import make_waveform
from voicefit.serving.kept_audio import KeptAudio
from voicefit.serving.limits import Limits
from voicefit.serving.server import create_site
from voicefit.serving.service import Service, open_served

BASE = "http://127.0.0.1"


def clip(seed: int, seconds: float = 0.3) -> bytes:
    """A real WAV file, different for every seed."""
    return encode(make_waveform(seconds, seed))


def shots(*labels: str) -> dict[str, Any]:
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
