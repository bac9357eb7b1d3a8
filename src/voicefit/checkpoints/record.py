"""The files of a checkpoint or an adapted model, and ``voicefit.json``: how it came about."""

import json
from pathlib import Path
from typing import Any

from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior
from voicefit.system.hub import Located, locate

RECORD = "voicefit.json"
PRIOR = "prior.safetensors"

HEAD = "head.safetensors"
"""The head of an adapted model that is kept without its encoder."""

ADAPTER = "adapter"
CONFIG = "config.json"
FEATURE_EXTRACTOR = "preprocessor_config.json"
WEIGHTS = "model.safetensors"


def read_record(source: str | Path | Located) -> dict[str, Any]:
    """Return what Voicefit wrote about a checkpoint or an adapted model; nothing for a plain encoder.

    Args:
        source: a directory, ``mini`` or a hub id.

    Raises:
        VoicefitError: ``voicefit.json`` is there but cannot be read.
    """
    path = locate(source).file(RECORD)
    if path is None:
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VoicefitError(f"{path}: is not readable as JSON ({error})") from error
    if not isinstance(record, dict):
        raise VoicefitError(f"{path}: should hold a JSON object")
    return record


def read_prior(located: Located, record: dict[str, Any]) -> Prior | None:
    """Return what the corpora of a checkpoint know of labels; ``None`` where it comes without.

    Raises:
        VoicefitError: the prior is damaged or cannot be fetched.
    """
    path = located.file(PRIOR)
    if path is None and located.on_hub and record.get("kind") == "prefinetuned":
        raise VoicefitError(f"{located.name}: {PRIOR} cannot be fetched from the hub; try again with a connection")
    return Prior.load(path) if path else None


def let_read(path: Path, beside: str = CONFIG) -> None:
    """Let a file be as readable as what is beside it; safetensors lets only the owner read what it writes."""
    path.chmod((path.parent / beside).stat().st_mode)
