"""What the server holds for one person: clips, the model made of them; only who has the key can reach it."""

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voicefit.api import Adapted
from voicefit.errors import VoicefitError
from voicefit.serving.lane import BusyError

LabelledClip = tuple[str, np.ndarray]
"""A label, and a mono waveform at 16 kHz, ``float32 (samples,)``."""


class UnknownSessionError(VoicefitError):
    """No session has this key: it was never given out, or the session was idle for too long."""


@dataclass
class Session:
    """One person's clips and model.

    Attributes:
        folder: of this session alone; removed with it.
        clips: labelled clips that a page has collected.
        adapted: the last model made, or ``None``.
        model_folder: where that model lies.
        trial: the last clip that was tried on a page, to be heard again by the next model.
        probabilities: what was said of it.
        used: seconds of the store's clock at the last use.
        closed: it was forgotten, maybe while a model was being made for it.
    """

    folder: Path
    used: float
    clips: list[LabelledClip] = field(default_factory=list)
    adapted: Adapted | None = None
    model_folder: Path | None = None
    trial: np.ndarray | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    closed: bool = False


class Sessions:
    """Sessions by key, at most ``most`` of them, each forgotten after ``idle_seconds`` without use."""

    def __init__(self, root: Path, most: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic):
        self.idle_seconds = idle_seconds
        self._root, self._most, self._clock = root, most, clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    @property
    def held(self) -> int:
        """How many there are."""
        return len(self._sessions)

    def open(self) -> str:
        """Begin a session and return its key, 32 characters that cannot be guessed.

        Raises:
            BusyError: there are as many as the server may hold.
        """
        self.forget_idle()
        with self._lock:
            if len(self._sessions) >= self._most:
                raise BusyError(f"{self._most} voices are being fitted here already; try again in a while")
            key = secrets.token_urlsafe(24)
            folder = self._root / secrets.token_hex(8)  # the key stays out of paths, which end up in messages
            folder.mkdir(mode=0o700)
            self._sessions[key] = Session(folder, self._clock())
            return key

    def get(self, key: str) -> Session:
        """The session, which counts as used.

        Raises:
            UnknownSessionError: there is none with this key, or it was idle for too long.
        """
        self.forget_idle()
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                minutes = self.idle_seconds / 60
                raise UnknownSessionError(f"no such model here; models are removed after {minutes:.0f} minutes of rest")
            session.used = self._clock()
            return session

    def close(self, key: str) -> None:
        """Forget a session and remove what it has on disk; nothing happens where there is none."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session is not None:
            session.closed = True
            shutil.rmtree(session.folder, ignore_errors=True)

    def forget_idle(self) -> None:
        """Close every session that was idle for too long."""
        oldest = self._clock() - self.idle_seconds
        with self._lock:
            idle = [key for key, session in self._sessions.items() if session.used < oldest]
        for key in idle:
            self.close(key)
