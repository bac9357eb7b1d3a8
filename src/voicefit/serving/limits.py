"""The limits of a server: the requests it accepts, and how much it runs and holds at once."""

import re
import unicodedata
from dataclasses import dataclass

from voicefit.corpora.corpus import to_vocabulary
from voicefit.errors import VoicefitError

_MIB = 2**20
"""A mebibyte has so many bytes."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one request, on the work waiting, and on what is held in memory.

    Attributes:
        clip_bytes: the size of an audio file.
        clip_seconds: the length of a clip.
        clips: the number of clips of an adaptation.
        recordings: the number of recordings without labels beside them.
        request_bytes: the size of a request, all files together.
        request_seconds: the time that a request may take to arrive.
        predict_workers: the number of predictions that run at the same time.
        predict_waiting: the number of predictions that wait.
        adapt_workers: the number of adaptations that run at the same time.
        adapt_waiting: the number of adaptations that wait.
        sessions: the number of voices whose clips and models are held.
        idle_seconds: a session is forgotten after so many seconds without use.
    """

    clip_bytes: int = 12 * _MIB
    clip_seconds: float = 30.0
    clips: int = 64
    recordings: int = 100
    request_bytes: int = 64 * _MIB
    request_seconds: float = 60.0
    predict_workers: int = 2
    predict_waiting: int = 32
    adapt_workers: int = 1
    adapt_waiting: int = 8
    sessions: int = 32
    idle_seconds: float = 1800.0


_LABEL = re.compile(r"[^\W_]\w{0,39}")
"""A label has up to 40 letters, digits and ``_``, and starts with a letter or digit."""


def clean_label(text: str) -> str:
    """Return a label as models write it: the vocabulary's word if there is one (``Angry`` → ``anger``).

    Raises:
        VoicefitError: empty, over 40 characters, or with anything but letters, digits, spaces, ``-`` and ``_``.
    """
    label = to_vocabulary(unicodedata.normalize("NFC", text))
    if not _LABEL.fullmatch(label):
        raise VoicefitError(
            f"label {text[:40]!r}: write 1 to 40 letters, digits, spaces or hyphens, beginning with a letter or digit"
        )
    return label
