"""Middleware that every request passes first: it limits the body, counts the request and sets headers."""

import asyncio
import json
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


_PAGES_OWN = ("/gradio_api", "/config", "/queue", "/run")
"""What the page itself asks for: it reads faults in the form of Gradio."""


def _host(scope: Scope) -> str:
    """The name by which the server was called, without a port."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _faults_as_json(send: Send) -> Send:
    """Send on, and turn a fault in another form into ``{"error": …}``."""
    held: list[Message] = []

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            held.append(message)
        elif not held:
            await send(message)
        else:
            held.append(message)
            if not message.get("more_body", False):
                await _send_fault(held, send)
                held.clear()

    return sent


async def _send_fault(held: list[Message], send: Send) -> None:
    start, body = held[0], b"".join(message.get("body", b"") for message in held[1:])
    try:
        found = json.loads(body)
    except ValueError:
        found = body.decode("utf-8", "replace")
    if not isinstance(found, dict) or "error" not in found:
        words = found.get("detail", found) if isinstance(found, dict) else found
        body = json.dumps({"error": " ".join(str(words).split()) or "this cannot be done"}).encode()
        others = [pair for pair in start["headers"] if pair[0].lower() not in (b"content-type", b"content-length")]
        length = str(len(body)).encode()
        start["headers"] = [*others, (b"content-type", b"application/json"), (b"content-length", length)]
    await send(start)
    await send({"type": "http.response.body", "body": body})


class Guard:
    """ASGI middleware: 413 for a body that is too large, 408 for one that does not arrive, metrics by path.

    Every fault is JSON with one line, ``{"error": …}``, also one of the page mounted beside the API.

    Args:
        app: the guarded application.
        limits: gives ``request_bytes`` and ``request_seconds``.
        metrics: counts the requests.
        paths: the paths that are counted by name; all others are counted as ``page``.
        hosts: the names by which this server may be called; empty for any.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, metrics: Metrics, paths: Collection[str], hosts: Collection[str] = ()
    ):
        self._app, self._limits, self._metrics, self._paths = app, limits, metrics, frozenset(paths)
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, within the limits."""
        host = _host(scope) if scope["type"] in ("http", "websocket") else ""
        is_stranger = bool(self._hosts) and scope["type"] != "lifespan" and host not in self._hosts
        if scope["type"] == "websocket" and is_stranger:
            await send({"type": "websocket.close", "code": 1008})
            return
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
            if is_stranger:
                await JSONResponse({"error": self._strange(host)}, 400)(scope, receive, answer)
            elif self._declared(scope) > self._limits.request_bytes:
                error = JSONResponse({"error": self._too_large()}, 413, {"connection": "close"})
                await error(scope, receive, answer)
            else:
                in_one_form = answer if scope["path"].startswith(_PAGES_OWN) else _faults_as_json(answer)
                await self._app(scope, self._bounded(receive), in_one_form)
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

    def _strange(self, host: str) -> str:
        return (
            f"this server is not called {host[:100]!r}, but {', '.join(sorted(self._hosts))}; a proxy before it has to "
            "send one of these as Host, or start it with --host and a token"
        )

    def _too_large(self) -> str:
        return f"the request is over {self._limits.request_bytes / 2**20:.0f} MB; send fewer or shorter clips"

    @staticmethod
    def _declared(scope: Scope) -> int:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0
