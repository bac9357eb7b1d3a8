"""The page, built in a thread once the server answers, since its libraries take seconds to import."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI


class LatePage:
    """An ASGI app in place of one that is still being built; requests wait for it.

    Args:
        build: makes the page's app, in a thread.
    """

    def __init__(self, build: Callable[[], FastAPI]):
        self._build = build
        self._app: asyncio.Future[FastAPI] | None = None

    @contextlib.asynccontextmanager
    async def built(self) -> AsyncIterator[None]:
        """Build the page and keep it running, for the time of the block."""
        self._app = asyncio.get_running_loop().create_future()
        end = asyncio.Event()
        task = asyncio.create_task(self._run(self._app, end))
        try:
            yield
        finally:
            end.set()
            await task

    async def _run(self, ready: "asyncio.Future[FastAPI]", end: asyncio.Event) -> None:
        try:
            app = await asyncio.to_thread(self._build)
            gc.collect()
            gc.freeze()  # the page's many objects stay: looking through them again would hold up every answer
        except Exception as error:  # every request to the page meets it
            ready.set_exception(error)
            ready.exception()  # nobody may ask, which is no fault
            return
        async with app.router.lifespan_context(app):
            ready.set_result(app)
            await end.wait()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request as soon as the page is there."""
        if self._app is None:
            raise RuntimeError("the page is asked before the server has started")
        app = await asyncio.shield(self._app)
        await app(scope, receive, send)
