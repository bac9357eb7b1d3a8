"""An adapted model as one ONNX file, from waveform to probabilities."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from voicefit.audio import SAMPLE_RATE, AudioError, find_audio, load_waveform
from voicefit.audio.find import printable
from voicefit.checkpoints.adapted import head_tensors
from voicefit.encoders.onnx_encoder import GRAPH, OnnxEncoder, new_session
from voicefit.encoders.onnx_encoder import INPUT as ENCODER_INPUT
from voicefit.encoders.onnx_encoder import OUTPUT as ENCODER_OUTPUT
from voicefit.errors import VoicefitError
from voicefit.export.half import widen
from voicefit.heads.head import Head
from voicefit.prediction.embedding import reason_of
from voicefit.prediction.model import Model, load_model
from voicefit.prediction.voice import first_reason
from voicefit.system.extras import has, require
from voicefit.system.files import new_file, require_absent

TOLERANCE = 1e-4
"""The probabilities of a model in float32 may differ from PyTorch's by at most this."""

_INPUT = "waveform"
"""The name of the graph's input."""

_OUTPUT = "probabilities"
"""The name of the graph's output."""

_TIMED_RUNS = 3
"""Each clip is classified so many times; the fastest run counts."""


@dataclass(frozen=True)
class Export:
    """An exported model and its comparison with the original on some clips.

    Attributes:
        file: the ONNX file.
        bytes: the size of the file.
        clips: the number of compared clips.
        difference: the largest difference of a probability.
        changed: the number of clips with another likeliest label.
        seconds: the time for a clip on one thread, from waveform to probabilities, median over the clips.
        torch_seconds: the same time with PyTorch, on all threads; ``None`` where it is not installed, and the
            model was compared with its own graph.
        metadata: the metadata of the file.
        left_out: clip → why it was not compared.
    """

    file: Path
    bytes: int
    clips: int
    difference: float
    changed: int
    seconds: float
    torch_seconds: float | None
    metadata: dict[str, str]
    left_out: dict[str, str]


def export(
    model: str | Path, out: str | Path, *, int8: bool = False, clips: Sequence[str | Path] | None = None
) -> Export:
    """Write an adapted model as one ONNX file and compare it with the model.

    Its input ``waveform`` is float32 ``(samples,)``, mono at 16 kHz, at least ``min_samples`` of them; longer clips
    are cut to ``max_seconds``. Its output ``probabilities`` is float32 ``(labels,)``. Its metadata hold ``labels``
    (JSON, in the order of the output), ``sample_rate``, ``min_samples``, ``max_seconds`` and ``voicefit``.

    Args:
        model: the directory or hub id of an adapted model.
        out: the file to write.
        int8: store the weights of the matrix products in 8 bits (dynamic quantisation): smaller, a little different.
        clips: audio files or folders to compare on; ``None`` takes noise of 0.5 to 8 s. Those that cannot be read are
            left out.

    Raises:
        VoicefitError: ``out`` exists, the model cannot be read, or none of the clips, or the exported model differs by
            more than ``TOLERANCE`` (not with ``int8``).
    """
    out = Path(out)
    require_absent(out)
    loaded = load_model(model)
    waveforms, left_out = (_noise(), {}) if clips is None else _heard(clips)
    proto = _with_head(_graph_of(model, loaded), loaded.head)
    if int8:
        proto = _quantised(proto)
    metadata = _describe(proto, loaded)
    content = proto.SerializeToString()
    original = load_model(model, graph=False) if has("train") else loaded
    expected, original_seconds = _measure(original.probabilities, waveforms)
    session = new_session(content)
    actual, seconds = _measure(lambda waveform: session.run([_OUTPUT], {_INPUT: waveform})[0], waveforms)
    difference = float(np.abs(actual - expected).max())
    if not int8 and not difference <= TOLERANCE:
        raise VoicefitError(
            f"{model}: its ONNX graph differs from it by {difference:.1e}, more than {TOLERANCE:g}; nothing was written"
        )
    with new_file(out) as file:
        file.write(content)
    return Export(
        file=out,
        bytes=len(content),
        clips=len(waveforms),
        difference=difference,
        changed=int((actual.argmax(1) != expected.argmax(1)).sum()),
        seconds=seconds,
        torch_seconds=original_seconds if original is not loaded else None,
        metadata=metadata,
        left_out=left_out,
    )


def _graph_of(model: str | Path, loaded: Model) -> Any:
    """Return the graph of a model's encoder as an ONNX `ModelProto`: the one beside it, or else a new one."""
    if isinstance(loaded.encoder, OnnxEncoder):
        return onnx.load(loaded.encoder.path)
    require("train", f"{model}: has no {GRAPH}, which is made in PyTorch")
    from voicefit.export.encoder import encoder_graph, load_for_graph

    return encoder_graph(load_for_graph(model))


def _with_head(encoder: Any, head: Head) -> Any:
    """Return the graph of an encoder, with the head after it: from one clip ``(samples,)`` to its probabilities."""
    graph = encoder.graph
    waveform = helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["samples"])
    answer = helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, [len(head.classifier_bias)])
    first = helper.make_tensor("first", TensorProto.INT64, [1], [0])
    heads = [numpy_helper.from_array(values, name) for name, values in head_tensors(head).items()]
    before = helper.make_node("Unsqueeze", [_INPUT, "first"], [ENCODER_INPUT], "one_clip")
    after = [
        helper.make_node("Gemm", [ENCODER_OUTPUT, "projector.weight", "projector.bias"], ["projected"], transB=1),
        helper.make_node("Gemm", ["projected", "classifier.weight", "classifier.bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["rows"], axis=-1),
        helper.make_node("Squeeze", ["rows", "first"], [_OUTPUT]),
    ]
    nodes = [before, *graph.node, *after]
    del graph.input[:], graph.output[:], graph.node[:]
    graph.input.append(waveform)
    graph.output.append(answer)
    graph.node.extend(nodes)
    graph.initializer.extend([first, *heads])
    return encoder


def _quantised(proto: Any) -> Any:
    """Return the graph with the weights of its matrix products in 8 bits, with a scale for each output channel.

    The projection of the front end's features is not quantised: in a distilled encoder it is near the identity, and
    beside the ones on its diagonal, the other weights are smaller than a step of 8 bits.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    widen(proto.graph)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            proto,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[node.name for node in proto.graph.node if _is_within(node, "feature_projection")],
            weight_type=QuantType.QUInt8,  # signed weights overflow on processors without VNNI
            per_channel=True,
        )
        return onnx.load(path)


def _is_within(node: Any, module: str) -> bool:
    """Return whether a node was traced in a module of that name; torch's exporter records the modules of every node."""
    return any(module in scopes.value for scopes in node.metadata_props if scopes.key.endswith("name_scopes"))


def _describe(proto: Any, model: Model) -> dict[str, str]:
    kept = {entry.key: entry.value for entry in proto.metadata_props}
    facts = {
        "labels": json.dumps(model.labels, ensure_ascii=False),
        "sample_rate": str(SAMPLE_RATE),
        "min_samples": kept["min_samples"],
        "max_seconds": f"{model.max_seconds:g}",
        "voicefit": version("voicefit"),
    }
    del proto.metadata_props[:]
    helper.set_model_props(proto, facts)
    return facts


def _measure(classify: Callable[[np.ndarray], Any], waveforms: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Return probabilities ``(clips, labels)``, and the median seconds for a clip."""
    answers, seconds = [], []
    classify(waveforms[0])  # the first call allocates memory
    for waveform in waveforms:
        runs = []
        for _ in range(_TIMED_RUNS):
            start = time.perf_counter()
            answer = classify(waveform)
            runs.append(time.perf_counter() - start)
        answers.append(np.array(list(answer), dtype=np.float64))
        seconds.append(min(runs))
    return np.array(answers), statistics.median(seconds)


def _heard(clips: Sequence[str | Path]) -> tuple[list[np.ndarray], dict[str, str]]:
    """Return the waveforms of files and folders, and file → why it cannot be read."""
    waveforms, left_out = [], {}
    for file in find_audio(map(Path, clips)):
        try:
            waveforms.append(load_waveform(file))
        except AudioError as error:
            left_out[printable(file)] = reason_of(error, file)
    if not waveforms:
        raise VoicefitError(f"{', '.join(map(str, clips))}: no clip can be read ({first_reason(left_out)})")
    return waveforms, left_out


def _noise() -> list[np.ndarray]:
    """Return noise of several lengths, shorter and longer than the clips that a model takes."""
    generator = np.random.default_rng(0)
    lengths = [round(seconds * SAMPLE_RATE) for seconds in (0.5, 1, 2, 3, 5, 8)]
    return [generator.normal(scale=0.1, size=length).astype(np.float32) for length in lengths]
