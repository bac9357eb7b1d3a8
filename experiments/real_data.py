"""Where real corpora and encoders lie, for the experiments and for the tests that want them.

``VOICEFIT_DATA`` names the folder of the corpora and ``VOICEFIT_MODELS`` that of the encoders. Left out, they are
``shared/data`` and ``shared/models`` beside the checkout.
"""

import os
from pathlib import Path

FOLDERS = {"ravdess": "RAVDESS", "tess": "TESS", "emodb": "EmoDB", "emovo": "EMOVO", "nemo": "nEMO"}
"""Corpora and their folders in ``VOICEFIT_DATA``."""

WHISPER_TINY = "whisper-tiny.en-encoder-5s"
"""The encoder of most experiments, a folder in ``VOICEFIT_MODELS``."""

WHISPER_BASE = "whisper-base-encoder-5s"
"""Likewise, larger."""

_SHARED = Path(__file__).resolve().parents[2] / "shared"
_DEFAULTS = {"VOICEFIT_DATA": _SHARED / "data", "VOICEFIT_MODELS": _SHARED / "models"}


def place(variable: str) -> Path:
    """The folder that ``VOICEFIT_DATA`` or ``VOICEFIT_MODELS`` names, whether it exists or not."""
    return Path(os.environ.get(variable) or _DEFAULTS[variable])


def folder(variable: str) -> Path:
    """The folder that ``VOICEFIT_DATA`` or ``VOICEFIT_MODELS`` names; a script without it ends here."""
    if not place(variable).is_dir():
        raise SystemExit(
            f"{place(variable)}: no such folder; {variable} names the one that holds the real corpora or encoders"
        )
    return place(variable)
