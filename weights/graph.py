"""Reaching into an ONNX model as bytes. Protobuf merges messages, so an appended piece joins the graph."""

from __future__ import annotations

_NAME, _TYPE, _INPUT, _OUTPUT, _GRAPH = b"\x0a", b"\x12", b"\x5a", b"\x62", b"\x3a"  # field tags
_FLOAT_TENSOR = b"\x0a\x02\x08\x01"  # TypeProto{tensor_type{elem_type: FLOAT}}, of any shape


def as_output(tensor: str) -> bytes:
    """To append to a model: one of its inner tensors is a further output."""
    return _field(_GRAPH, _field(_OUTPUT, _field(_NAME, tensor.encode())))


def as_input(model: bytes, tensor: str) -> bytes:
    """The model with one of its inner float tensors given from outside. Raises ValueError when no node makes it."""
    name = tensor.encode()
    made = b"\x12" + bytes([len(name)]) + name  # NodeProto.output
    if made not in model:
        raise ValueError(f"the model makes no tensor {tensor}")
    unused = made[:-1] + b"?"
    declared = _field(_NAME, name) + _field(_TYPE, _FLOAT_TENSOR)
    return model.replace(made, unused, 1) + _field(_GRAPH, _field(_INPUT, declared))


def _field(tag: bytes, content: bytes) -> bytes:
    """For contents below 128 bytes."""
    return tag + bytes([len(content)]) + content
