"""An ONNX model with 8-bit weights as one in floats: another runtime may then use the processor's matrix units.

Products keep their integer weights (exact in bfloat16) and the scales that come after them; only activations are no
longer rounded. Needs the package onnx.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

onnx: Any = import_module("onnx")  # the project does not depend on it
Node = Any  # onnx.NodeProto

_PRODUCTS = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}


def unquantised(path: Path) -> Any:
    """Raises KeyError when activations are quantised by anything but DynamicQuantizeLinear."""
    model = onnx.load(str(path))
    graph = model.graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    arrays: dict[str, np.ndarray] = {}
    sources = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "DynamicQuantizeLinear"}
    nodes: list[Node] = []
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            arrays[node.output[1]] = np.array(1.0, np.float32)  # the scale of what is not quantised
        elif node.op_type in _PRODUCTS:
            nodes.append(_product(node, sources[node.input[0]], known, arrays))
        elif node.op_type == "DynamicQuantizeLSTM":
            nodes.append(_lstm(node, known, arrays))
        else:
            nodes.append(_float_bias(node))
    _replace(graph, nodes, arrays)
    return model


def with_polynomial_sines(model: Any, but: tuple[str, ...]) -> Any:
    """In place: a sine that is squared afterwards becomes a polynomial of the distance to the next multiple of pi.

    It is within 2e-4 but for its sign. Sines with one of `but` in their names stay.
    """
    r = np.linspace(-0.5, 0.5, 1001)
    fit = np.linalg.lstsq(np.stack([r, r**3, r**5], 1), np.sin(np.pi * r), rcond=None)[0]
    constants = {"turns": 1 / np.pi, "first": fit[0], "third": fit[1], "fifth": fit[2]}
    arrays = {f"sine/{name}": np.array(value, np.float32) for name, value in constants.items()}
    nodes: list[Node] = []
    for node in model.graph.node:
        exact = node.op_type != "Sin" or any(name in node.name for name in but)
        nodes += [node] if exact else _polynomial(node)
    _replace(model.graph, nodes, arrays)
    return model


def _product(node: Node, source: str, known: Mapping, arrays: dict[str, np.ndarray]) -> Node:
    weight, zero = node.input[1], node.input[3]
    arrays[f"{weight}/float"] = _array(known[weight]) - _array(known[zero])
    new = onnx.helper.make_node(_PRODUCTS[node.op_type], [source, f"{weight}/float"], list(node.output), name=node.name)
    new.attribute.extend(node.attribute)
    return new


def _lstm(node: Node, known: Mapping, arrays: dict[str, np.ndarray]) -> Node:
    """Weights [directions, in, 4 * hidden] with a scale and a zero for each direction, or for each column."""
    x, w, r, *rest = node.input[:7]
    for weight, scale, zero in ((w, *node.input[8:10]), (r, *node.input[10:12])):
        scaled, shift = (_array(known[name]).reshape(len(_array(known[weight])), 1, -1) for name in (scale, zero))
        arrays[f"{weight}/float"] = ((_array(known[weight]) - shift) * scaled).transpose(0, 2, 1).copy()
    new = onnx.helper.make_node("LSTM", [x, f"{w}/float", f"{r}/float", *rest], list(node.output), name=node.name)
    new.attribute.extend(node.attribute)
    return new


def _float_bias(node: Node) -> Node:
    """A bias is counted in whole steps of the activations' scale, which is 1 now."""
    if node.op_type == "Floor" and "bias_quant_rounded" in node.output[0]:
        node.op_type = "Identity"
    elif node.op_type == "Cast" and node.output[0].endswith("bias_quantized"):
        node.attribute[0].i = onnx.TensorProto.FLOAT
    return node


def _polynomial(node: Node) -> Iterator[Node]:
    given, out = node.input[0], node.output[0]
    steps = (
        ("Mul", given, "sine/turns", "turns"),
        ("Round", f"{out}/turns", None, "whole"),
        ("Sub", f"{out}/turns", f"{out}/whole", "rest"),
        ("Mul", f"{out}/rest", f"{out}/rest", "square"),
        ("Mul", f"{out}/square", "sine/fifth", "a"),
        ("Add", f"{out}/a", "sine/third", "b"),
        ("Mul", f"{out}/b", f"{out}/square", "c"),
        ("Add", f"{out}/c", "sine/first", "d"),
    )
    for kind, left, right, name in steps:
        yield onnx.helper.make_node(kind, [left, right] if right else [left], [f"{out}/{name}"], name=f"{out}/{name}")
    yield onnx.helper.make_node("Mul", [f"{out}/d", f"{out}/rest"], [out], name=node.name)


def _array(tensor: Any) -> np.ndarray:
    return onnx.numpy_helper.to_array(tensor).astype(np.float32)


def _replace(graph: Any, nodes: list[Node], arrays: Mapping[str, np.ndarray]) -> None:
    """The declared types of inner tensors are of the old nodes, so they go."""
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    kept += [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items() if name in used]
    for field, items in ((graph.node, nodes), (graph.initializer, kept), (graph.value_info, [])):
        _set(field, items)


def _set(field: Any, items: Iterable[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]  # some are of the field itself
    del field[:]
    field.extend(copies)
