"""The command that serves a page and an API: parses, calls, prints; decides nothing."""

from pathlib import Path
from typing import Annotated

import typer

from voicefit.cli.terminal import notify, out
from voicefit.system.extras import require


def serve(
    source: Annotated[str, typer.Argument(help="Pre-finetuned checkpoint to adapt, or an adapted model.")],
    host: Annotated[str, typer.Option(help="Address to listen on; other than this machine's own needs --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    token: Annotated[
        str, typer.Option(envvar="VOICEFIT_TOKEN", help="Secret that callers must send.", show_envvar=True)
    ] = "",
    keep_audio: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the clips that people send here; the page tells them so.")
    ] = None,
) -> None:
    """Serve a page to adapt and try a model in a browser, and the same as a JSON API.

    Example: `voicefit serve checkpoint`
    """
    require("serve", "serve opens a page and an API")
    from voicefit.serving.server import serve as run

    def opened(address: str) -> None:
        out.print(f"page: {address}   API: {address}/docs", soft_wrap=True)

    run(source, host, port, token, opened, keep_audio=keep_audio, notify=notify)
