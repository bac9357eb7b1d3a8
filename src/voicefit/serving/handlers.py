"""What happens on the page: clips come, a model is adapted, a clip is tried, its label is corrected."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from voicefit.errors import VoicefitError
from voicefit.serving.limits import clean_label
from voicefit.serving.rendering import (
    nothing_yet,
    pretty,
    render_adapted,
    render_answer,
    render_clips,
    render_fault,
    render_recordings,
)
from voicefit.serving.service import Service
from voicefit.serving.sessions import Session


class Handlers:
    """The handlers of the page's events; each takes the key of the browser's session, empty before its first clip."""

    def __init__(self, service: Service):
        self._service = service

    async def add(self, key: str, label: str, sent: str | list[str] | None) -> tuple[Any, ...]:
        """Add one clip or several, all of ``label``."""
        paths = [Path(path) for path in ([sent] if isinstance(sent, str) else sent or [])]
        try:
            key, session = self._open(key)
            word = clean_label(label or "")
            most = self._service.limits.clips
            for path in paths:
                if len(session.clips) >= most:
                    raise VoicefitError(f"there are {most} clips already, the most that this page takes")
                session.clips.append((word, await self._read(path)))
        except VoicefitError as error:
            gr.Warning(html.escape(str(error)))
        finally:
            _remove(paths)
        return key, None, *self._clips(key)

    def undo(self, key: str) -> tuple[Any, ...]:
        """Remove the last clip."""
        session = self._session(key)
        if session and session.clips:
            session.clips.pop()
        return self._clips(key)

    def reset(self, key: str) -> tuple[Any, ...]:
        """Forget clips and model."""
        self._service.sessions.close(key)
        return "", *self._clips(""), "", nothing_yet(self._service), render_recordings([]), gr.update(visible=False)

    async def add_recordings(self, key: str, sent: list[str] | None) -> tuple[Any, ...]:
        """Add recordings without labels."""
        paths = [Path(path) for path in sent or []]
        most, session = self._service.limits.recordings, None
        try:
            key, session = self._open(key)
            for path in paths:
                if len(session.recordings) >= most:
                    raise VoicefitError(f"there are {most} recordings already, the most that this page takes")
                session.recordings.append(await self._read(path))
        except VoicefitError as error:
            gr.Warning(html.escape(str(error)))
        finally:
            _remove(paths)
        return key, None, render_recordings(session.recordings if session else [])

    async def adapt(self, key: str) -> tuple[str, str, Any]:
        """Fit a model to the clips, and classify the last tried clip again."""
        try:
            key, session = self._open(key)
            return key, *await self._adapted(key, session)
        except VoicefitError as error:
            return key, render_fault(error), gr.skip()

    async def correct(self, key: str, label: str) -> tuple[Any, ...]:
        """Take the clip that was tried for a clip of ``label``, and adapt again if there are enough labels."""
        status: Any = gr.skip()
        result: Any = gr.skip()
        try:
            key, session = self._open(key)
            word, trial = clean_label(label or ""), session.trial
            if trial is None:
                raise VoicefitError("try a clip first, and then say what it was")
            others = [clip for clip in session.clips if not np.array_equal(clip[1], trial)]
            if len(others) >= self._service.limits.clips:
                raise VoicefitError(f"there are {len(others)} clips already, the most that this page takes")
            session.clips[:] = [*others, (word, trial)]
            if self._is_enough(session):
                status, result = await self._adapted(key, session)
            else:
                kept = f"Kept as a clip of {html.escape(pretty(word))}"
                status = f"<p class='about'>{kept}. Give a clip of another label too, and adapt.</p>"
        except VoicefitError as error:
            status = render_fault(error)
        return key, *self._clips(key), status, result

    async def predict(self, key: str, sent: str | None) -> tuple[Any, ...]:
        """Classify a clip."""
        if not sent:
            return key, None, gr.skip(), gr.skip()
        try:
            key, session = self._open(key)
            answer = await self._answer(session, await self._read(Path(sent)))
            return key, None, answer, gr.update(visible=self._service.served.start is not None)
        except VoicefitError as error:
            return key, None, render_fault(error), gr.skip()
        finally:
            _remove([Path(sent)])

    async def _adapted(self, key: str, session: Session) -> tuple[str, str]:
        service = self._service
        with service.adapting.place():
            adapted = await service.adapting.run(
                lambda: service.adapt(
                    session, list(session.clips), list(session.recordings), grown=service.served.grown
                )
            )
        result = nothing_yet(service, adapted=True)
        if session.trial is not None:
            result = await self._answer(session, session.trial)
        return render_adapted(adapted, f"models/{key}.zip"), result

    async def _answer(self, session: Session, waveform: np.ndarray) -> str:
        service = self._service
        with service.predicting.place():
            probabilities = await service.predicting.run(lambda: service.predict(waveform, session))
        before, session.probabilities, session.trial = session.probabilities, probabilities, waveform
        guess = service.served.guesses and session.adapted is None
        return render_answer(probabilities, before, guess=guess)

    def _is_enough(self, session: Session) -> bool:
        """Whether a model can be adapted: to two labels, or to more clips of a model that has them."""
        labels = len({label for label, _ in session.clips})
        return labels > 1 or (labels > 0 and self._service.served.grown is not None)

    async def _read(self, path: Path) -> np.ndarray:
        service = self._service
        with service.predicting.place():
            return await service.predicting.run(lambda: service.read_clip(path.read_bytes(), path.name))

    def _open(self, key: str) -> tuple[str, Session]:
        """Return the browser's session, a new one if it has none or its session was idle for too long."""
        sessions = self._service.sessions
        if key and self._session(key) is None:
            gr.Info("Your clips and model were removed after a long time without use. Please start over.")
            key = ""
        key = key or sessions.open()
        return key, sessions.get(key)

    def _session(self, key: str) -> Session | None:
        try:
            return self._service.sessions.get(key) if key else None
        except VoicefitError:
            return None

    def _clips(self, key: str) -> tuple[str, dict[str, Any]]:
        session = self._session(key)
        clips = session.clips if session else []
        grows = self._service.served.grown is not None
        return render_clips(clips, grows=grows), gr.update(interactive=bool(session and self._is_enough(session)))


def _remove(paths: Sequence[Path]) -> None:
    """Remove uploaded files, which Gradio would keep."""
    for path in paths:
        path.unlink(missing_ok=True)
