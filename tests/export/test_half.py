"""Constants in half precision: smaller where nothing is lost, and back again."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from voicefit.export.half import halve, widen


def build(weight, bias):
    """A graph of one product and one sum, ``(1, 64)`` to ``(1, 32)``."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 32])]
    nodes = [helper.make_node("MatMul", ["x", "weight"], ["z"]), helper.make_node("Add", ["z", "bias"], ["y"])]
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def answer(model):
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.linspace(-1, 1, 64, dtype=np.float32)[None]})[0]


@pytest.fixture
def weight():
    """Numbers that half precision holds exactly, its largest and smallest among them."""
    values = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float16)
    values[0, :3] = (65504, 2.0**-24, 0)
    return values.astype(np.float32)


@pytest.fixture
def bias():
    return np.ones(32, np.float32)


def kinds(model):
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def test_large_exact_constants_are_halved_and_the_answer_stays(weight, bias):
    model = build(weight, bias)
    before, size = answer(model), len(model.SerializeToString())
    halve(model.graph)
    assert kinds(model) == {"weight.half": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}
    assert len(model.SerializeToString()) < 0.6 * size
    assert np.array_equal(answer(model), before)


def test_widening_gives_the_graph_back(weight, bias):
    model, plain = build(weight, bias), build(weight, bias)
    halve(model.graph)
    widen(model.graph)
    assert model == plain
    widen(model.graph)
    assert model == plain


@pytest.mark.parametrize("number", [0.1, 65_536.0, 1e30, 2.0**-25, float("nan")])
def test_a_constant_with_one_number_that_half_precision_does_not_hold_stays(weight, bias, number):
    weight[5, 5] = number
    model = build(weight, bias)
    halve(model.graph)
    assert kinds(model) == {"weight": TensorProto.FLOAT, "bias": TensorProto.FLOAT}
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Add"]
