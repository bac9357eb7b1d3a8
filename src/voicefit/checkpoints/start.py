"""The starting point of an adaptation: a pre-finetuned checkpoint or a plain encoder, opened once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from voicefit.checkpoints.checkpoint import PRIOR, RECORD, read_record
from voicefit.encoders import Encoder, FrontEnd, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior
from voicefit.system.hub import Located, locate


@dataclass(frozen=True)
class Start:
    """What an adaptation begins at.

    Attributes:
        source: the directory or hub id, as it was given.
        record: what Voicefit wrote about it; empty for a plain encoder.
        encoder: in evaluation mode.
        prior: what its corpora know of labels; ``None`` for a plain encoder.
    """

    source: str
    record: Mapping[str, Any]
    encoder: Encoder
    prior: Prior | None

    def to(self, device: str) -> Self:
        """Move the encoder to ``device``."""
        self.encoder.to(device)
        return self


def open_start(source: str | Path | Located, reading: Reading | None = None) -> Start:
    """Open a pre-finetuned checkpoint or a plain encoder; a hub id costs one look at the hub.

    Args:
        source: a directory, ``mini`` or a hub id.
        reading: of a plain encoder. A checkpoint has a front end and weighted layers of its own; depth and frozen
            layers are its own as well where ``reading`` is ``None``.

    Raises:
        VoicefitError: see :func:`voicefit.encoders.load_encoder`; or the checkpoint is an adapted model, its record
            lacks what it should bring along, or its prior is damaged or cannot be fetched.
    """
    located = locate(source)
    record = read_record(located)
    if record.get("kind") == "adapted":
        raise VoicefitError(f"{located.name}: has been adapted to a voice already; adapt from what it was made of")
    if record:
        reading = _recorded_reading(located.name, record, reading)
    encoder = load_encoder(located, reading)
    return Start(located.name, record, encoder, read_prior(located, record))


def _recorded_reading(name: str, record: Mapping[str, Any], reading: Reading | None) -> Reading:
    """The reading that a checkpoint brings along, with the depth and the frozen layers of ``reading`` if given."""
    try:
        frozen_layers = int(record["frozen_layers"])
        front_end = FrontEnd.model_validate(record["front_end"])
    except (KeyError, TypeError, ValueError) as error:
        raise VoicefitError(f"{Path(name) / RECORD}: frozen_layers or front_end is missing or wrong") from error
    return Reading(
        depth=reading.depth if reading else None,
        frozen_layers=reading.frozen_layers if reading else frozen_layers,
        weighted_layers=bool(record.get("weighted_layers", False)),
        front_end=front_end,
    )


def read_prior(located: Located, record: Mapping[str, Any]) -> Prior | None:
    """Return what the corpora of a checkpoint know of labels; ``None`` where it comes without.

    Raises:
        VoicefitError: the prior is damaged or cannot be fetched.
    """
    path = located.file(PRIOR)
    if path is None and located.on_hub and record.get("kind") == "prefinetuned":
        raise VoicefitError(f"{located.name}: {PRIOR} cannot be fetched from the hub; try again with a connection")
    return Prior.load(path) if path else None
