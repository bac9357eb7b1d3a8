"""The ONNX graph of an encoder, beside a checkpoint's other files: with it, adapting and predicting need no PyTorch."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import helper

from voicefit.audio import SAMPLE_RATE
from voicefit.checkpoints.record import CONFIG, read_record
from voicefit.checkpoints.start import open_start
from voicefit.encoders import Encoder, FrontEnd, Reading, load_encoder
from voicefit.encoders.families import shortest
from voicefit.encoders.onnx_encoder import GRAPH, INPUT, OUTPUT, new_session
from voicefit.errors import VoicefitError
from voicefit.export.graph import EncoderGraph
from voicefit.export.half import halve
from voicefit.system.files import new_file
from voicefit.system.hub import locate
from voicefit.system.progress import Notify

OPSET = 20
"""Exported graphs use this version of the ONNX operators."""

TOLERANCE = 1e-4
"""What a graph gives may differ from PyTorch by at most this, relative to the largest value but 1 at least."""


def add_graph(folder: str | Path) -> Path | None:
    """Write ``encoder.onnx`` into a checkpoint, a plain encoder or an adapted model.

    Its input ``waveforms`` is float32 ``(clips, samples)``, mono at 16 kHz, clips of one length; its output ``pooled``
    is float32 ``(clips, hidden_size)``. Its metadata hold ``hidden_size``, ``sample_rate``, ``min_samples``,
    ``max_seconds``, ``digest`` (of weights and settings) and ``voicefit``.

    Args:
        folder: its directory; a graph that is there already is replaced.

    Returns:
        the file; ``None`` where the encoder reads clips in a way that no saved model repeats (``pad_first``, or without
        ``resample``).

    Raises:
        VoicefitError: there is no encoder, its graph cannot be made, or differs from it by more than :data:`TOLERANCE`.
    """
    encoder = load_for_graph(folder).cpu()
    if encoder.front_end.pad_first or not encoder.front_end.resample:
        return None
    try:
        content = encoder_graph(encoder).SerializeToString()
    except Exception as error:  # the exporter has a class of its own for many faults; over 2 GB, protobuf has another
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise VoicefitError(f"{folder}: its ONNX graph cannot be made ({reason})") from error
    _compare(encoder, content, str(folder))
    with new_file(Path(folder) / GRAPH) as file:
        file.write(content)
    return Path(folder) / GRAPH


def complete_with_graph(folder: Path, notify: Notify) -> None:
    """Add the graph to what a long training has written; ``notify`` reports it where there can be none."""
    try:
        add_graph(folder)
    except VoicefitError as error:
        notify(f"{error}; {folder} is whole without it, and needs PyTorch")


def encoder_graph(encoder: Encoder) -> Any:
    """Return the graph of an encoder, an ONNX `ModelProto`; weights that are exact in half precision are stored so."""
    config = encoder.model.config
    dimensions = {0: torch.export.Dim("clips"), 1: torch.export.Dim("samples", min=shortest(config))}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            EncoderGraph(encoder).eval(),
            (torch.zeros(2, 2 * SAMPLE_RATE),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(dimensions,),
            verbose=False,
        )
    if program is None:  # not with these arguments
        raise VoicefitError("torch.onnx returned no program")
    proto = program.model_proto
    _forget_sources(proto)
    halve(proto.graph)
    facts = {
        "hidden_size": str(encoder.hidden_size),
        "sample_rate": str(SAMPLE_RATE),
        "min_samples": str(shortest(config)),
        "max_seconds": f"{encoder.max_seconds:g}",
        "digest": encoder.digest(),
        "voicefit": version("voicefit"),
    }
    helper.set_model_props(proto, facts)
    return proto


def _forget_sources(proto: Any) -> None:
    """Remove what the exporter notes of files and lines on this machine; the scope of each node stays."""
    del proto.metadata_props[:], proto.graph.metadata_props[:]
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        scopes = [entry for entry in part.metadata_props if entry.key.endswith("name_scopes")]
        part.doc_string = ""
        del part.metadata_props[:]
        part.metadata_props.extend(scopes)


def load_for_graph(folder: str | Path) -> Encoder:
    """Load what :func:`encoder_graph` takes: the encoder of a checkpoint, a plain one, or an adapted model's."""
    located = locate(folder)
    record = read_record(located)
    if record.get("kind") != "adapted":
        return open_start(located).encoder
    if located.file(CONFIG) is None:
        raise VoicefitError(f"{folder}: is a model without its encoder; give the start that it was made of")
    weighted = '"use_weighted_layer_sum": true' in (Path(located.weights()) / CONFIG).read_text(encoding="utf-8")
    front_end = FrontEnd.model_validate(record.get("front_end", {}))
    return load_encoder(located, Reading(weighted_layers=weighted, front_end=front_end))


def _compare(encoder: Encoder, content: bytes, name: str) -> None:
    session = new_session(content)
    generator = np.random.default_rng(0)
    for seconds in (0.5, 2, encoder.max_seconds + 1):
        clip = generator.normal(scale=0.1, size=int(seconds * SAMPLE_RATE)).astype(np.float32)
        clip = np.pad(clip, (0, max(0, shortest(encoder.model.config) - len(clip))))
        expected = encoder.embed(clip)
        actual = session.run([OUTPUT], {INPUT: clip[None]})[0][0]
        difference = float(np.abs(actual - expected).max()) / max(1.0, float(np.abs(expected).max()))
        if not difference <= TOLERANCE:
            raise VoicefitError(
                f"{name}: its ONNX graph differs from it by {difference:.1e}, more than {TOLERANCE:g}; nothing was "
                "written"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which warns of packages that are not installed and constants that are not folded."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
