"""Sessions: the clips and the model of one user, which only the session's key gives access to."""

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
    """The error for a key without a session: it is unknown, or its session was idle for too long."""


@dataclass
class Session:
    """The clips and the model of one user.

    Attributes:
        folder: the session's own folder, removed with it.
        used: the time of the last use, in seconds of the clock of :class:`Sessions`.
        clips: the labelled clips that the page has collected.
        recordings: the recordings without labels that it has collected, mono at 16 kHz.
        adapted: the last adapted model, or ``None``.
        model_folder: the directory of that model.
        trial: the last clip that was tried on the page; the next model classifies it again.
        probabilities: the prediction for it.
        closed: whether the session was forgotten, possibly while a model was adapted for it.
    """

    folder: Path
    used: float
    clips: list[LabelledClip] = field(default_factory=list)
    recordings: list[np.ndarray] = field(default_factory=list)
    adapted: Adapted | None = None
    model_folder: Path | None = None
    trial: np.ndarray | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    closed: bool = False


class Sessions:
    """At most ``most`` sessions by key; each is forgotten after ``idle_seconds`` without use."""

    def __init__(self, root: Path, most: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic):
        self.idle_seconds = idle_seconds
        self._root, self._most, self._clock = root, most, clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    @property
    def held(self) -> int:
        """The number of sessions."""
        return len(self._sessions)

    def open(self) -> str:
        """Begin a session and return its key, 32 characters that cannot be guessed.

        Raises:
            BusyError: the server holds as many sessions as it may.
        """
        self.forget_idle()
        with self._lock:
            if len(self._sessions) >= self._most:
                raise BusyError(f"this server holds {self._most} sessions already; try again in a while")
            key = secrets.token_urlsafe(24)
            folder = self._root / secrets.token_hex(8)  # not the key: paths appear in messages
            folder.mkdir(mode=0o700)
            self._sessions[key] = Session(folder, self._clock())
            return key

    def get(self, key: str) -> Session:
        """Return the session of a key and renew its time of use.

        Raises:
            UnknownSessionError: no session has this key, or it was idle for too long.
        """
        self.forget_idle()
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                minutes = self.idle_seconds / 60
                raise UnknownSessionError(
                    f"no such model here; models are removed after {minutes:.0f} minutes without use"
                )
            session.used = self._clock()
            return session

    def close(self, key: str) -> None:
        """Forget a session and remove its files; an unknown key is no error."""
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
