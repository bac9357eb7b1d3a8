"""The server: a JSON API, and the page mounted beside it."""

import asyncio
import contextlib
import html
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from voicefit.errors import VoicefitError
from voicefit.serving.guard import Guard
from voicefit.serving.lane import BusyError
from voicefit.serving.limits import Limits
from voicefit.serving.metrics import Metrics
from voicefit.serving.service import Service
from voicefit.serving.sessions import Session, UnknownSessionError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The names by which a machine reaches itself."""

_RETRY_AFTER_S = 2
"""A busy server asks callers to try again after so many seconds."""

_IDLE_CHECK_INTERVAL_S = 30.0
"""Idle sessions are looked for every so many seconds."""

_COUNTED_PATHS = ("/predict", "/adapt", "/health", "/metrics")
"""Requests to these paths are counted by path."""


class Health(BaseModel):
    """The state of the server, and the requests that it takes."""

    status: str = "ok"
    voicefit: str
    model: str = Field(description="name of the served model or starting point")
    predicts: bool = Field(description="POST /predict needs no Voicefit-Model")
    adapts: bool = Field(description="POST /adapt can be used")
    keeps_audio: bool = Field(description="clips that are sent stay on the server as files")


class Answer(BaseModel):
    """The prediction for a clip."""

    label: str = Field(description="the likeliest label")
    probabilities: dict[str, float] = Field(description="they add up to 1")
    remark: str = Field(default="", description="what was not read, as the rest of a long recording")


class NewModel(BaseModel):
    """A model that was adapted to a voice."""

    model: str = Field(description="secret: send it as the header Voicefit-Model to POST /predict")
    labels: list[str]
    shots: dict[str, int] = Field(description="clips used, by label")
    method: str
    remarks: list[str] = Field(description="what else is not as one would expect, as that a clip was corrected")
    idle_seconds: float = Field(description="the model is removed after so many seconds without use")
    download: str = Field(description="GET this for a zip of the transformers directory")


class Fault(BaseModel):
    """An error, in one line."""

    error: str


def _multipart(properties: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
"""The OpenAPI schema of an uploaded file."""

_FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": Fault, "description": about}
    for status, about in {
        400: "The request is not of this form.",
        401: "The token is missing or wrong.",
        404: "No such model, or it was removed.",
        413: "Too many bytes.",
        422: "A clip or label cannot be used, or there is no model to ask.",
        429: "Too much is waiting already; try again after Retry-After seconds.",
    }.items()
}
"""The OpenAPI descriptions of error statuses."""


def create_app(service: Service, token: str = "", hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """Return the API without the page.

    Args:
        service: does the work; it is closed with the app.
        token: callers send it as ``Authorization: Bearer …``; empty for none.
        hosts: the names by which browsers may call this server, which stops other sites from posing as it; empty for
            any.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_forget_idle(service))
        yield
        sweeper.cancel()
        service.close()

    metrics = Metrics()
    app = FastAPI(
        title="Voicefit",
        version=version("voicefit"),
        description="Fit a speech emotion classifier to a voice from a few labelled clips. How a voice sounds is not "
        "what a person feels: do not use it to judge, rank, monitor or diagnose people.",
        docs_url=None,  # FastAPI's own pages load scripts from another site
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(Guard, limits=service.limits, metrics=metrics, paths=_COUNTED_PATHS, hosts=hosts)
    _add_fault_handlers(app)
    _add_routes(app, service, metrics, _token_check(token))
    return app


def _predict(service: Service, content: bytes, name: str, session: Session | None) -> tuple[dict[str, float], str]:
    waveform, remark = service.hear(content, name)
    if service.served.guesses and not (session and session.adapted):
        remark = "; ".join(filter(None, (_GUESS, remark)))
    return service.predict(waveform, session), remark


_GUESS = "a first guess: the model has heard no clip of this voice"


async def _forget_idle(service: Service) -> None:
    while True:
        await asyncio.sleep(_IDLE_CHECK_INTERVAL_S)
        await asyncio.to_thread(service.sessions.forget_idle)


def _token_check(token: str) -> Callable[..., Awaitable[None]]:
    bearer = HTTPBearer(auto_error=False, description="The token that the server was started with, if any.")

    async def check(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:  # no thread for it
        sent_token = sent.credentials if sent else ""
        if token and not secrets.compare_digest(sent_token.encode(), token.encode()):
            text = "send the server's token as `Authorization: Bearer TOKEN`"
            raise HTTPException(401, text, {"WWW-Authenticate": "Bearer"})

    return check


def _add_fault_handlers(app: FastAPI) -> None:
    def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    def fault(status: int, headers: dict[str, str], _: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status, headers)

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(BusyError, partial(fault, 429, {"Retry-After": str(_RETRY_AFTER_S)}))
    app.add_exception_handler(UnknownSessionError, partial(fault, 404, {}))
    app.add_exception_handler(VoicefitError, partial(fault, 422, {}))


def _add_routes(app: FastAPI, service: Service, metrics: Metrics, check: Callable[..., Awaitable[None]]) -> None:
    guarded: dict[str, Any] = {"dependencies": [Depends(check)], "responses": _FAULTS}
    one_too_many = service.limits.clip_bytes + 1  # so many bytes are enough for read_clip to refuse a file

    @app.get("/health")
    async def health() -> Health:
        """Report whether the server works; needs no token."""
        served = service.served
        return Health(
            voicefit=version("voicefit"),
            model=served.name,
            predicts=served.model is not None,
            adapts=served.start is not None,
            keeps_audio=service.kept is not None,
        )

    @app.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(check)])
    async def read_metrics() -> Response:
        """Return counts and times of requests, for Prometheus."""
        gauges = {
            "predictions_in_flight": ("Predictions that run or wait.", service.predicting.inside),
            "adaptations_in_flight": ("Adaptations that run or wait.", service.adapting.inside),
            "sessions": ("Voices whose clips or models are held.", service.sessions.held),
        }
        return Response(metrics.text(gauges), media_type="text/plain; version=0.0.4")

    @app.post("/predict", openapi_extra=_multipart({"file": _FILE}, ("file",)), **guarded)
    async def predict(request: Request, voicefit_model: Annotated[str, Header()] = "") -> Answer:
        """Classify one clip, with the model that `Voicefit-Model` names, or the served one.

        A start that knows labels makes a first guess.
        """
        session = service.sessions.get(voicefit_model) if voicefit_model else None
        with service.predicting.place():
            content, name = await _read_form(request, _ONE_FILE, partial(_one_file, most=one_too_many))
            probabilities, remark = await service.predicting.run(partial(_predict, service, content, name, session))
        label = max(probabilities, key=lambda label: probabilities[label])
        return Answer(label=label, probabilities=probabilities, remark=remark)

    properties = {name: {"type": "array", "items": item} for name, item in _ADAPT_FIELDS.items()}

    @app.post("/adapt", openapi_extra=_multipart(properties, ("files", "labels")), **guarded)
    async def adapt(request: Request, voicefit_model: Annotated[str, Header()] = "") -> NewModel:
        """Fit a model to a voice: `files`, and as many `labels` in the same order; at least two labels.

        `recordings` are more clips of the voice, without labels. With `Voicefit-Model`, that model grows: what it was
        adapted on is kept, a clip that it has under another label is corrected, and labels in `drop` are forgotten.
        `files` may then be left out.
        """
        if voicefit_model:
            service.sessions.get(voicefit_model)  # one that is not there is refused before anything is read
        with service.adapting.place():
            sent = await _read_form(request, service.limits, partial(_labelled_files, most=one_too_many))
            return await service.adapting.run(partial(_adapt, service, sent, voicefit_model))

    @app.get("/models/{key}.zip", response_class=FileResponse, responses={404: {"model": Fault}})
    async def download(key: str) -> FileResponse:
        """Return the model as a zip of its `transformers` directory. The address is secret and needs no token."""
        session = service.sessions.get(key)
        path = await asyncio.to_thread(service.zip_model, session)
        return FileResponse(path, filename="voicefit-model.zip", headers={"cache-control": "no-store"})

    @app.delete("/models/{key}", status_code=204)
    async def forget(key: str) -> None:
        """Remove a model at once; only its key is needed, and an unknown key is no error."""
        service.sessions.close(key)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs() -> str:
        return _docs_page(app.openapi())


_ADAPT_FIELDS: dict[str, Any] = {
    "files": _FILE,
    "labels": {"type": "string"},
    "recordings": _FILE,
    "drop": {"type": "string"},
}
"""The OpenAPI schemas of the form of ``POST /adapt``."""


@dataclass(frozen=True)
class _Sent:
    """What came with ``POST /adapt``: each file as its content and its name."""

    labels: list[str]
    files: list[tuple[bytes, str]]
    recordings: list[tuple[bytes, str]]
    drop: list[str]


def _adapt(service: Service, sent: _Sent, key: str) -> NewModel:
    """Make a model, or let that of ``key`` grow."""
    read = [service.read_clip(*file) for file in sent.files]
    recordings = [service.read_clip(*file) for file in sent.recordings]
    grows, key = bool(key), key or service.sessions.open()
    try:
        session = service.sessions.get(key)
        clips = list(zip(sent.labels, read, strict=True))
        adapted = service.adapt(session, clips, recordings, grown=session.model_folder, drop=sent.drop)
    except BaseException:
        if not grows:
            service.sessions.close(key)
        raise
    return NewModel(
        model=key,
        labels=list(adapted.model.labels),
        shots=adapted.shots,
        method=adapted.method,
        remarks=list(adapted.remarks),
        idle_seconds=service.limits.idle_seconds,
        download=f"/models/{key}.zip",
    )


async def _read_form(request: Request, limits: Limits, read: Callable[[FormData], Awaitable[Any]]) -> Any:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(400, "send multipart/form-data; /docs has examples")
    files = limits.clips + limits.recordings
    async with request.form(max_files=files, max_fields=limits.clips, max_part_size=1024) as form:
        return await read(form)


async def _one_file(form: FormData, most: int) -> tuple[bytes, str]:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise HTTPException(400, "send one audio file, in the field `file`")
    return await file.read(most), file.filename or ""


async def _labelled_files(form: FormData, most: int) -> _Sent:
    files, labels, more, drop = (form.getlist(name) for name in ("files", "labels", "recordings", "drop"))
    if not (files or more or drop) or len(files) != len(labels) or not _are_files([*files, *more]):
        raise HTTPException(400, "send audio files in fields `files`, and as many labels in fields `labels`")
    if any(isinstance(word, UploadFile) for word in (*labels, *drop)):
        raise HTTPException(400, "send `labels` and `drop` as text")
    sent = [(await file.read(most), file.filename or "") for file in (*files, *more) if isinstance(file, UploadFile)]
    return _Sent(list(map(str, labels)), sent[: len(files)], sent[len(files) :], list(map(str, drop)))


def _are_files(parts: list[Any]) -> bool:
    return all(isinstance(part, UploadFile) for part in parts)


_DOCS_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#8881;padding:.75rem;overflow:auto}code{font-size:.9em}:root{color-scheme:light dark}"
)
"""The style of the page ``/docs``."""

_ONE_FILE = Limits(clips=1, recordings=0)

_EXAMPLES = {
    "/predict": "curl -F file=@clip.wav {base}/predict\ncurl -F file=@clip.wav -H 'Voicefit-Model: …' {base}/predict",
    "/adapt": "curl -F files=@a.wav -F labels=calm -F files=@b.wav -F labels=upset {base}/adapt\n"
    "curl -F files=@c.wav -F labels=upset -H 'Voicefit-Model: …' {base}/adapt",
    "/models/{key}.zip": "curl -o model.zip {base}/models/….zip",
    "/models/{key}": "curl -X DELETE {base}/models/…",
}
"""The commands that the page ``/docs`` shows for each path."""


def _docs_page(schema: dict[str, Any]) -> str:
    """Return the OpenAPI description for people, without scripts."""
    parts = []
    for path, operations in schema["paths"].items():
        for verb, operation in operations.items():
            example = _EXAMPLES.get(path, f"curl {{base}}{path}").replace("{base}", "http://localhost:8000")
            statuses = "".join(
                f"<li><code>{status}</code> {html.escape(reply['description'])}</li>"
                for status, reply in operation["responses"].items()
            )
            about = html.escape(operation.get("description", ""))
            parts.append(
                f"<h2><code>{verb.upper()} {html.escape(path)}</code></h2><p>{about}</p>"
                f"<pre>{html.escape(example)}</pre><ul>{statuses}</ul>"
            )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Voicefit API</title><style>{_DOCS_STYLE}</style><h1>Voicefit API</h1>"
        f"<p>{html.escape(schema['info']['description'])}</p><p>For programs: <a href=openapi.json>openapi.json</a>. A "
        "server that was started with a token needs <code>Authorization: Bearer TOKEN</code> with every request."
        f"</p>{''.join(parts)}"
    )
