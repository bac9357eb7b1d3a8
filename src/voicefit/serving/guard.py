"""Middleware that every request passes first: it limits the body, counts the request and sets headers."""

import asyncio
import time
from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicefit.serving.limits import Limits
from voicefit.serving.metrics import Metrics

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'"
)
"""The content security policy: pages load nothing from other sites.

Gradio's pages have styles and scripts in line, and play recordings as blobs.
"""

_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
"""Every answer has these headers."""


class Guard:
    """ASGI middleware: 413 for a body that is too large, 408 for one that does not arrive, metrics by path.

    Args:
        app: the guarded application.
        limits: gives ``request_bytes`` and ``request_seconds``.
        metrics: counts the requests.
        paths: the paths that are counted by name; all others are counted as ``page``.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, paths: Collection[str]):
        self._app, self._limits, self._metrics, self._paths = app, limits, metrics, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, within the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in _HEADERS}
                others = [header for header in message["headers"] if header[0].lower() not in names]
                message["headers"] = [*others, *_HEADERS]
            await send(message)

        try:
            if self._declared(scope) > self._limits.request_bytes:
                error = JSONResponse({"error": self._too_large()}, 413, {"connection": "close"})
                await error(scope, receive, answer)
            else:
                await self._app(scope, self._bounded(receive), answer)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "page"
            self._metrics.count(path, status, time.perf_counter() - start)

    def _bounded(self, receive: Receive) -> Receive:
        arrived, complete = 0, False
        deadline = asyncio.get_running_loop().time() + self._limits.request_seconds

        async def bounded() -> Message:
            nonlocal arrived, complete
            if complete:  # only the end of the connection follows, which may take long
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                seconds = self._limits.request_seconds
                raise HTTPException(408, f"the request did not arrive within {seconds:.0f} s") from None
            arrived += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if arrived > self._limits.request_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return bounded

    def _too_large(self) -> str:
        return f"the request is over {self._limits.request_bytes / 2**20:.0f} MB; send fewer or shorter clips"

    @staticmethod
    def _declared(scope: Scope) -> int:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0
