"""Start a server: API and page on one port."""

import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from voicefit.errors import VoicefitError
from voicefit.serving.app import LOOPBACK, create_app
from voicefit.serving.kept_audio import KeptAudio
from voicefit.serving.late_page import LatePage
from voicefit.serving.limits import Limits
from voicefit.serving.service import Service, open_served
from voicefit.system.progress import Notify, silent

_MIN_TOKEN_CHARACTERS = 12
"""A shorter token could be guessed."""


def serve(
    source: str,
    host: str,
    port: int,
    token: str,
    opened: Callable[[str], None],
    *,
    keep_audio: Path | None = None,
    notify: Notify = silent,
) -> None:
    """Serve a starting point or a model until interrupted.

    Args:
        source: a pre-finetuned checkpoint, an encoder, or an adapted model.
        host: the address to listen on; any but the loopback needs a ``token``.
        port: the port to listen on; 0 chooses a free one.
        token: the secret that callers must send; empty for none.
        opened: called with the address of the page once it can be opened.
        keep_audio: the folder in which the clips of users are kept; ``None`` keeps none.
        notify: reports where clips are kept, or that they are no longer kept.

    Raises:
        VoicefitError: ``source`` cannot be served, the address is in use or not of this machine, a required token is
            missing, or ``keep_audio`` cannot be written to.
    """
    import uvicorn

    check_token(host, token)
    kept = KeptAudio(keep_audio, notify) if keep_audio else None
    listening = _listen(host, port)
    with listening:
        service = Service(open_served(source), Limits(), kept)
        app = create_site(service, token, host)
        settings = uvicorn.Config(
            app, log_level="warning", access_log=False, limit_concurrency=256, timeout_graceful_shutdown=3
        )
        shown = f"[{host}]" if ":" in host else host
        if kept:
            notify(f"clips that users send are kept in {kept.folder}; the page informs them")
        opened(f"http://{shown}:{listening.getsockname()[1]}")
        uvicorn.Server(settings).run(sockets=[listening])


def check_token(host: str, token: str) -> None:
    """Refuse to serve the network without a token.

    Raises:
        VoicefitError: there is no token and ``host`` is not the loopback, or the token is too short.
    """
    if host not in LOOPBACK and not token:
        raise VoicefitError(f"--host {host} lets other machines connect: also give a secret with --token")
    if token and len(token) < _MIN_TOKEN_CHARACTERS:
        raise VoicefitError(f"--token: give at least {_MIN_TOKEN_CHARACTERS} characters")


def create_site(service: Service, token: str = "", host: str = LOOPBACK[0]) -> FastAPI:
    """Return the API and the page; with a token, the page asks for it as the password of any user name."""
    app = create_app(service, token, LOOPBACK if host in LOOPBACK else ())
    page = LatePage(partial(_mount_page, service, token))
    app.mount("/", page)
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def with_page(app: FastAPI) -> AsyncIterator[Any]:
        async with lifespan(app) as state, page.built():
            yield state

    app.router.lifespan_context = with_page
    return app


def _mount_page(service: Service, token: str) -> FastAPI:
    os.environ["GRADIO_TEMP_DIR"] = str(service.uploads)  # uploads are removed with the service
    import gradio as gr

    from voicefit.serving.page import CSS, THEME, build_page

    return gr.mount_gradio_app(
        FastAPI(),
        build_page(service),
        path="/",
        auth=(lambda _, password: _same(password, token)) if token else None,
        auth_message="Any user name; the password is the server's token.",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=service.limits.clip_bytes,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=THEME,
        css=CSS,
    )


def _same(password: str, token: str) -> bool:
    return secrets.compare_digest(password.encode(), token.encode())


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        reason = error.strerror or error
        raise VoicefitError(f"cannot listen on {host} port {port} ({reason}); choose another --port") from error
