"""Constants of an ONNX graph in half precision, where that changes nothing."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_SMALLEST = 1024
"""Constants of fewer numbers stay in float32."""


def halve(graph: Any) -> None:
    """Store large constants in half precision where it holds them exactly; the runtime widens them when it loads."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < _SMALLEST or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def widen(graph: Any) -> None:
    """Undo what was done to constants when the graph was written: all are float32 again."""
    halves = {node.input[0]: node for node in graph.node if node.op_type == "Cast" and node.input[0].endswith(".half")}
    for tensor in graph.initializer:
        if tensor.name in halves:
            node = halves[tensor.name]
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), node.output[0]))
            graph.node.remove(node)
