"""An adapted model as one ONNX file, from waveform to probabilities."""

import contextlib
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import SAFE_WEIGHTS_NAME

from voicefit.audio import SAMPLE_RATE, find_audio, load_waveform
from voicefit.encoders.families import shortest
from voicefit.errors import VoicefitError
from voicefit.export.graph import WaveformClassifier
from voicefit.prediction.model import Model, load_model
from voicefit.system.files import new_file, require_absent
from voicefit.system.hub import locate

OPSET = 20
"""Exported graphs use this version of the ONNX operators."""

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
        torch_bytes: the size of the model's ``model.safetensors``.
        clips: the number of compared clips.
        difference: the largest difference of a probability.
        changed: the number of clips with another likeliest label.
        seconds: the time for a clip, from waveform to probabilities, median over the clips.
        torch_seconds: the same time with PyTorch.
        threads: the number of processor threads in both measurements.
        metadata: the metadata of the file.
    """

    file: Path
    bytes: int
    torch_bytes: int
    clips: int
    difference: float
    changed: int
    seconds: float
    torch_seconds: float
    threads: int
    metadata: dict[str, str]


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
        clips: audio files or folders to compare on; ``None`` takes noise of 0.5 to 8 s.

    Raises:
        VoicefitError: ``out`` exists, the extra ``onnx`` is not installed, the model or a clip cannot be read, or
            the exported model differs by more than ``TOLERANCE`` (not with ``int8``).
    """
    out = Path(out)
    require_absent(out)
    _require_onnx()
    loaded = load_model(model)
    waveforms = [load_waveform(file) for file in find_audio(map(Path, clips))] if clips is not None else _noise()
    proto = _trace(loaded)
    if int8:
        proto = _quantised(proto)
    metadata = _describe(proto, loaded)
    content = proto.SerializeToString()
    expected, torch_seconds = _measure(lambda waveform: loaded.predict(waveform).probabilities.values(), waveforms)
    session = _session(content)
    actual, seconds = _measure(lambda waveform: session.run([_OUTPUT], {_INPUT: waveform})[0], waveforms)
    difference = float(np.abs(actual - expected).max())
    if not int8 and not difference <= TOLERANCE:
        raise VoicefitError(
            f"{model}: its ONNX graph differs from it by {difference:.1e}, more than {TOLERANCE:g}; nothing was written"
        )
    with new_file(out) as file:
        file.write(content)
    weights = locate(model).file(SAFE_WEIGHTS_NAME)
    return Export(
        file=out,
        bytes=len(content),
        torch_bytes=weights.stat().st_size if weights else 0,
        clips=len(waveforms),
        difference=difference,
        changed=int((actual.argmax(1) != expected.argmax(1)).sum()),
        seconds=seconds,
        torch_seconds=torch_seconds,
        threads=torch.get_num_threads(),
        metadata=metadata,
    )


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise VoicefitError(f"{error.name} is not installed; run: pip install 'voicefit[onnx]'") from error


def _trace(model: Model) -> Any:
    """Return the model's graph as an ONNX `ModelProto`, in float32."""
    example = torch.zeros(2 * SAMPLE_RATE)
    samples = torch.export.Dim("samples", min=shortest(model.model.config))
    with _quiet(), _without_needless_masks(model.model):
        program = torch.onnx.export(
            WaveformClassifier(model).eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes=({0: samples},),
            verbose=False,
        )
    if program is None:  # not with these arguments
        raise VoicefitError("torch.onnx returned no program")
    return program.model_proto


@contextlib.contextmanager
def _without_needless_masks(network: Any) -> Iterator[None]:
    """Attend in the plain way, which of one whole clip needs no mask.

    The other ways give wav2vec 2.0 and HuBERT a mask that hides nothing, and with it an `IsNaN` in each layer, which
    some runtimes lack.
    """
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        yield
    finally:
        network.set_attn_implementation(before)


def _quantised(proto: Any) -> Any:
    """Return the graph with the weights of its matrix products in 8 bits, with a scale for each output channel.

    The projection of the front end's features is not quantised: in a distilled encoder it is near the identity, and
    beside the ones on its diagonal, the other weights are smaller than a step of 8 bits.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
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
    from onnx.helper import set_model_props

    facts = {
        "labels": json.dumps(model.labels, ensure_ascii=False),
        "sample_rate": str(SAMPLE_RATE),
        "min_samples": str(shortest(model.model.config)),
        "max_seconds": f"{model.max_seconds:g}",
        "voicefit": version("voicefit"),
    }
    set_model_props(proto, facts)
    return facts


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


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


def _noise() -> list[np.ndarray]:
    """Return noise of several lengths, shorter and longer than the clips that a model takes."""
    generator = np.random.default_rng(0)
    lengths = [round(seconds * SAMPLE_RATE) for seconds in (0.5, 1, 2, 3, 5, 8)]
    return [generator.normal(scale=0.1, size=length).astype(np.float32) for length in lengths]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters, which warn of packages that are not installed and constants that are not folded."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
