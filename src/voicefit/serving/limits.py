"""What a server accepts, and how much it does and holds at once."""

import re
import unicodedata
from dataclasses import dataclass

from voicefit.corpora.corpus import to_vocabulary
from voicefit.errors import VoicefitError

_MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds on one request, on the work waiting, and on what is held in memory.

    Attributes:
        clip_bytes: size of one audio file.
        clip_seconds: length of one clip.
        clips: clips of one adaptation.
        request_bytes: size of one request, all files together.
        request_seconds: time that a request may take to arrive.
        predict_workers, predict_waiting: predictions that run, and that wait, at the same time.
        adapt_workers, adapt_waiting: the same for adaptations.
        sessions: voices whose clips and models are held at the same time.
        idle_seconds: a session that nobody has used for so long is forgotten.
    """

    clip_bytes: int = 12 * _MIB
    clip_seconds: float = 30.0
    clips: int = 64
    request_bytes: int = 64 * _MIB
    request_seconds: float = 60.0
    predict_workers: int = 2
    predict_waiting: int = 32
    adapt_workers: int = 1
    adapt_waiting: int = 8
    sessions: int = 32
    idle_seconds: float = 1800.0


_LABEL = re.compile(r"[^\W_]\w{0,39}")


def clean_label(text: str) -> str:
    """A label as models write it: the vocabulary's word where there is one (``Angry`` → ``anger``).

    Raises:
        VoicefitError: empty, over 40 characters, or with anything but letters, digits, spaces, ``-`` and ``_``.
    """
    label = to_vocabulary(unicodedata.normalize("NFC", text))
    if not _LABEL.fullmatch(label):
        raise VoicefitError(
            f"label {text[:40]!r}: write 1 to 40 letters, digits, spaces or hyphens, beginning with a letter or digit"
        )
    return label
