"""The constants of an ONNX model under construction: stored tensors and what is derived of them.

Arithmetic on constants is done here, so that a file holds `fc.weight.transposed` and not a weight
with a Transpose behind it. Only what some node reads enters the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from ..ir.graph import Graph, Parameter, TensorRef
from ..ir.shapes import DType, TensorType
from ..ir.verifier import InternalError
from ..passes.rewriting import every_node

if TYPE_CHECKING:
    from ..passes.rewriting import Array

DATA_TYPES = {
    DType.F64: ir.DataType.DOUBLE,
    DType.F32: ir.DataType.FLOAT,
    DType.F16: ir.DataType.FLOAT16,
    DType.BF16: ir.DataType.BFLOAT16,
    DType.I64: ir.DataType.INT64,
    DType.I32: ir.DataType.INT32,
    DType.U8: ir.DataType.UINT8,
    DType.BOOL: ir.DataType.BOOL,
}

LONGEST_NAME = 4
"""Up to how many numbers a constant is named by its values."""


class Names:
    """Hands out names, each one once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wanted: str) -> str:
        """The wanted name, or with a number behind it where it is taken."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


class Tensors:
    """Every constant of one model."""

    def __init__(self, graph: Graph, weights: Mapping[str, Array], names: Names) -> None:
        self._weights, self._names = weights, names
        self._made: dict[object, ir.Value] = {}
        self._several = _used_differently(graph)

    def weight(self, ref: TensorRef, parameter: Parameter) -> ir.Value:
        """The stored tensor as a layer reads it.

        Raises: InternalError: the tensor is absent or has another shape.
        """
        stored = self._stored(ref.stored, parameter.dtype)
        value = self.transposed(stored, (1, 0)) if ref.transpose else stored
        found = _array(value).shape
        if found != parameter.shape:
            raise InternalError(f"`{ref.stored}` has the shape {found}, not {parameter.shape}")
        return value

    def _stored(self, name: str, dtype: DType) -> ir.Value:
        if name not in self._weights:
            raise InternalError(f"no values are given for the tensor `{name}`")
        key = (name, dtype)
        if key not in self._made:
            array = np.asarray(self._weights[name]).astype(_numpy(dtype), copy=False)
            self._made[key] = self._constant(array, name)
        return self._made[key]

    def transposed(self, value: ir.Value, order: Sequence[int]) -> ir.Value:
        """A constant with its axes in another order, made once."""
        key = ("Transpose", value.name, tuple(order))
        if key not in self._made:
            inverse = tuple(int(axis) for axis in np.argsort(order))
            suffix = "transposed" if tuple(order) == (1, 0) else "permuted"
            made = self._constant(_array(value).transpose(order), f"{value.name}.{suffix}")
            self._made[key] = made
            self._made["Transpose", made.name, inverse] = value
        return self._made[key]

    def derived(
        self, letter: str, given: Sequence[ir.Value], make: Callable[..., Array]
    ) -> ir.Value:
        """What `make` computes of constants, made once; it is named after the first of them."""
        key = ("derived", letter, *(value.name for value in given))
        if key not in self._made:
            values = make(*(_array(value) for value in given))
            self._made[key] = self._constant(values, f"{given[0].name}.{letter}")
        return self._made[key]

    def array(self, values: Array, name: str) -> ir.Value:
        """A constant; equal short ones are made once and named by their values."""
        if values.size > LONGEST_NAME:
            made = self._constant(values, name)
            return self._made.setdefault(made.name, made)
        key = (str(values.dtype), values.shape, values.tobytes())
        if key not in self._made:
            self._made[key] = self._constant(values, _name_by_values(values))
        return self._made[key]

    def scalar(self, value: float, dtype: DType) -> ir.Value:
        return self.array(np.array(value, _numpy(dtype)), "scalar")

    def _constant(self, values: Array, name: str) -> ir.Value:
        tensor = ir.Tensor(values, name=self._names.take(name))
        kind, shape = ir.TensorType(tensor.dtype), ir.Shape(values.shape)
        return ir.Value(name=tensor.name, type=kind, shape=shape, const_value=tensor)

    def fold(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any],
        at: str,
    ) -> ir.Value | None:
        """What a node would compute from constants; None if it is to become a node.

        at: the name of the result where it does not follow from one tensor alone.
        """
        given = [value for value in inputs if value is not None]
        if not given or any(value.const_value is None for value in given):
            return None
        if op_type == "Transpose":
            order = attributes.get("perm") or range(_array(given[0]).ndim)[::-1]
            return None if given[0].name in self._several else self.transposed(given[0], order)
        if op_type not in FOLDED or (op_type == "Div" and given[0].dtype not in FLOATS):
            return None
        key = (op_type, *(value.name for value in given), repr(sorted(attributes.items())))
        if key not in self._made:
            result = _result(op_type, attributes, [_array(value) for value in given])
            if result is None:
                return None
            self._made[key] = self.array(result, self._derived_name(op_type, given, at))
        return self._made[key]

    def _derived_name(self, op_type: str, given: Sequence[ir.Value], at: str) -> str:
        word = RESHAPING.get(op_type)
        return f"{given[0].name}.{word}" if word else at

    def used(self) -> list[ir.Value]:
        """The constants that some node reads, in the order they were made."""
        unique = {id(value): value for value in self._made.values()}
        return [value for value in unique.values() if value.uses()]


def _used_differently(graph: Graph) -> set[str]:
    """Tensors that several kinds of layers read, such as a tied table; folding would copy them."""
    uses: dict[str, set[object]] = {}
    for node in every_node(graph):
        for ref in node.weights.values():
            uses.setdefault(ref.stored, set()).add((type(node.op), ref.transpose))
    return {name for name, kinds in uses.items() if len(kinds) > 1}


def _array(value: ir.Value) -> Array:
    assert value.const_value is not None
    return value.const_value.numpy()


def _result(op_type: str, attributes: Mapping[str, Any], arrays: Sequence[Array]) -> Array | None:
    """None where broadcasting makes it large: cheaper to compute than to store."""
    with np.errstate(all="ignore"):  # what the numbers are is the model's business, as at run time
        result = np.asarray(FOLDED[op_type](attributes, *arrays))
    return result if result.nbytes <= 2 * sum(array.nbytes for array in arrays) else None


def _numpy(dtype: DType) -> np.dtype[Any]:
    return DATA_TYPES[dtype].numpy()


def _name_by_values(values: Array) -> str:
    """`f32:0.1` for a scalar, `i64:[2,-1]` otherwise."""
    kind = ir.DataType.from_numpy(values.dtype)
    dtype = next(ours for ours, theirs in DATA_TYPES.items() if theirs == kind)
    numbers = ",".join(str(number) for number in values.flat)
    return f"{dtype}:[{numbers}]" if values.ndim else f"{dtype}:{numbers}"


FLOATS = {DATA_TYPES[dtype] for dtype in DType if dtype.is_float}

RESHAPING = {"Reshape": "reshaped", "Squeeze": "squeezed", "Unsqueeze": "unsqueezed"}
"""Operators that keep a tensor's elements, with the word that their result's name gets."""


def _reshape(attributes: Mapping[str, Any], x: Array, shape: Array) -> Array:
    if attributes.get("allowzero"):
        return x.reshape(shape)
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)])


def _squeeze(_: Mapping[str, Any], x: Array, axes: Array | None = None) -> Array:
    return x.squeeze() if axes is None else x.squeeze(tuple(axes.tolist()))


FOLDED: Mapping[str, Callable[..., Any]] = {
    "Add": lambda _, a, b: a + b,
    "Concat": lambda attributes, *arrays: np.concatenate(arrays, attributes["axis"]),
    "Div": lambda _, a, b: a / b,
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, a: -a,
    "Reciprocal": lambda _, a: 1 / a,
    "Reshape": _reshape,
    "Sqrt": lambda _, a: np.sqrt(a),
    "Squeeze": _squeeze,
    "Sub": lambda _, a, b: a - b,
    "Unsqueeze": lambda _, a, axes: np.expand_dims(a, tuple(axes.tolist())),
}
"""What is computed here where every input is a constant, besides Transpose."""


def onnx_type(tensor: TensorType) -> tuple[ir.TensorType, ir.Shape]:
    """The element type and the shape as ONNX has them; symbolic sizes keep their text."""
    sizes = [size if isinstance(size, int) else str(size) for size in tensor.shape]
    return ir.TensorType(DATA_TYPES[tensor.dtype]), ir.Shape(sizes)
