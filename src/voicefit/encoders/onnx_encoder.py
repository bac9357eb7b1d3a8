"""An encoder as one ONNX graph, waveforms in and pooled vectors out: it runs on onnxruntime, without PyTorch."""

import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from voicefit.audio import SAMPLE_RATE
from voicefit.errors import VoicefitError
from voicefit.heads.head import Projection

GRAPH = "encoder.onnx"
"""The name of the graph beside a checkpoint's other files."""

INPUT, OUTPUT = "waveforms", "pooled"
"""The names of the graph's input ``(clips, samples)`` and output ``(clips, hidden_size)``, both float32."""


class OnnxEncoder:
    """The graph of an encoder, loaded.

    A clip runs on one thread, so that its vector does not depend on the machine's cores; several clips may run at once.

    Attributes:
        path: the file.
        hidden_size: the width of a pooled vector.
        max_seconds: longer clips are cut to this.
        digest: 32 hexadecimal digits of the encoder's weights and settings.
    """

    def __init__(self, path: Path):
        """Load a graph; :func:`open_graph` keeps those in use.

        Raises:
            VoicefitError: the file is damaged, or not what Voicefit writes.
        """
        self.path = path
        try:
            self._session = new_session(path)
            facts = self._session.get_modelmeta().custom_metadata_map
            self.hidden_size, self.max_seconds = int(facts["hidden_size"]), float(facts["max_seconds"])
            self.digest, self._min_samples = str(facts["digest"]), int(facts["min_samples"])
        except Exception as error:  # onnxruntime has a class of its own for each way to be damaged
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise VoicefitError(f"{path}: is damaged, or not an encoder that Voicefit wrote ({reason})") from error

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the pooled vector of one clip, float32 ``(hidden_size,)``.

        Args:
            waveform: mono at 16 kHz, ``(samples,)``; what is beyond ``max_seconds`` is cut.
        """
        cut = waveform[: int(self.max_seconds * SAMPLE_RATE)]
        padded = np.pad(cut, (0, max(0, self._min_samples - len(cut)))).astype(np.float32, copy=False)
        return np.asarray(self._session.run([OUTPUT], {INPUT: padded[None]})[0][0])

    @cached_property
    def projection(self) -> Projection:
        """The projector of the weights beside the graph; the identity where they have none."""
        weights = self.path.with_name("model.safetensors")
        with safe_open(weights, framework="numpy") as file:
            if "projector.weight" not in file.keys():  # noqa: SIM118 (not a mapping)
                return Projection(np.eye(self.hidden_size, dtype=np.float32), np.zeros(self.hidden_size, np.float32))
            parts = (file.get_tensor(f"projector.{part}").astype(np.float32) for part in ("weight", "bias"))
            return Projection(*parts)


def new_session(graph: Path | bytes) -> Any:
    """Return an onnxruntime session on one thread of the processor."""
    import onnxruntime  # takes a quarter of a second

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        graph if isinstance(graph, bytes) else os.fspath(graph), options, providers=["CPUExecutionProvider"]
    )


def open_graph(path: Path) -> OnnxEncoder:
    """Return the graph of a file, loaded once for all who use it."""
    stat = path.stat()
    # Not resolved: on the hub, names are links, and beside what they lead to lies no model.safetensors.
    return _open(path.absolute(), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _open(path: Path, changed: int, size: int) -> OnnxEncoder:
    return OnnxEncoder(path)
