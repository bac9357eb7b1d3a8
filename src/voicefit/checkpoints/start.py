"""The starting point of an adaptation: a pre-finetuned checkpoint or a plain encoder, opened once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from voicefit.checkpoints.record import CONFIG, RECORD, read_prior, read_record
from voicefit.encoders.front_end import FrontEnd, Reading
from voicefit.encoders.onnx_encoder import GRAPH, OnnxEncoder, open_graph
from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior
from voicefit.system.extras import require
from voicefit.system.hub import Located, locate, meant

if TYPE_CHECKING:
    from voicefit.encoders import Encoder


@dataclass(frozen=True)
class Start:
    """What an adaptation begins at.

    Attributes:
        located: the files.
        record: what Voicefit wrote about it; empty for a plain encoder.
        reading: how much of the encoder is run, and how clips reach it.
        prior: what its corpora know of labels; ``None`` for a plain encoder.
        has_graph: whether the encoder, so read, may lie beside its weights as an ONNX graph.
    """

    located: Located
    record: dict[str, Any]
    reading: Reading
    prior: Prior | None
    has_graph: bool

    @property
    def source(self) -> str:
        """The directory or hub id, as it was given."""
        return self.located.name

    @property
    def front_end(self) -> FrontEnd:
        """How clips reach the encoder."""
        return self.reading.front_end

    @cached_property
    def encoder(self) -> "Encoder":
        """The encoder in PyTorch, in evaluation mode.

        Raises:
            VoicefitError: see :func:`voicefit.encoders.load_encoder`; or PyTorch is not installed.
        """
        require("train", f"{self.source}: is opened in PyTorch")
        from voicefit.encoders.load import load_encoder

        return load_encoder(self.located, self.reading)

    @cached_property
    def graph(self) -> OnnxEncoder | None:
        """The encoder as an ONNX graph, for all that leaves it as it is; ``None`` where the start has none."""
        path = self.located.file(GRAPH) if self.has_graph else None
        if path and self.located.on_hub:
            self.located.weights()  # the projector is among them
        return open_graph(path) if path else None

    @property
    def fixed_encoder(self) -> "OnnxEncoder | Encoder":
        """The encoder for those who leave it as it is: the graph, or where there is none, in PyTorch.

        Raises:
            VoicefitError: as :attr:`encoder`.
        """
        if self.graph is None:
            require(
                "train",
                f"{self.source}: has no {GRAPH}, which `voicefit export --format encoder` writes, and is opened",
            )
        return self.graph or self.encoder

    def to(self, device: str) -> Self:
        """Move the encoder in PyTorch to ``device``."""
        self.encoder.to(device)
        return self


def open_start(source: str | Path | Located, reading: Reading | None = None) -> Start:
    """Open a pre-finetuned checkpoint or a plain encoder; a hub id costs one look at the hub.

    Args:
        source: a directory, ``mini`` or a hub id.
        reading: of a plain encoder. A checkpoint has a front end and weighted layers of its own; depth and frozen
            layers are its own as well where ``reading`` is ``None``.

    Raises:
        VoicefitError: there is no encoder; or the checkpoint is an adapted model, its record lacks what it should bring
            along, or its prior is damaged or cannot be fetched.
    """
    located = locate(source)
    record = read_record(located)
    if record.get("kind") == "adapted":
        raise VoicefitError(f"{located.name}: has been adapted to a voice already; adapt from what it was made of")
    if located.file(CONFIG) is None:
        raise VoicefitError(
            f"{located.name}: no encoder could be loaded from here{meant(located.name)}. Give a directory with "
            "config.json and model.safetensors, or a hub id while the hub can be reached"
        )
    used = _recorded_reading(located.name, record, reading) if record else reading or Reading()
    return Start(located, record, used, read_prior(located, record), has_graph=reading is None)


def _recorded_reading(name: str, record: dict[str, Any], reading: Reading | None) -> Reading:
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
