"""Types of tensors, and how sizes and types are printed and read."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .dims import Dim, Poly, Symbol, substitute, symbols


class DType(StrEnum):
    """Element types, named as messages print them."""

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I64 = "i64"
    I32 = "i32"
    U8 = "u8"
    BOOL = "bool"

    @property
    def is_float(self) -> bool:
        return self in (DType.F64, DType.F32, DType.F16, DType.BF16)


SPEC_DTYPES = {
    "float64": DType.F64,
    "float32": DType.F32,
    "float16": DType.F16,
    "bfloat16": DType.BF16,
    "int64": DType.I64,
    "int32": DType.I32,
    "uint8": DType.U8,
    "bool": DType.BOOL,
}
"""The words of the spec language (numpy's and torch's names) for each element type."""


@dataclass(frozen=True)
class TensorType:
    """An element type and a shape: `f32[B, 64, 28, 28]`. Axis 0 is the batch where there is one."""

    dtype: DType
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def with_axis(self, axis: int, size: Dim) -> TensorType:
        """The same type with another size along one axis; a negative axis counts from the end."""
        shape = list(self.shape)
        shape[axis] = size
        return self.with_shape(shape)

    def symbols(self) -> set[Symbol]:
        return set().union(*map(symbols, self.shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def elements(shape: Iterable[Dim]) -> Dim:
    """The product of sizes: how many elements a tensor has."""
    count: Dim = 1
    for size in shape:
        count = count * size
    return count


def substitute_type(tensor: TensorType, values: Callable[[Symbol], Dim]) -> TensorType:
    return tensor.with_shape(substitute(size, values) for size in tensor.shape)


def parse_dim(text: str, known: Mapping[str, Symbol] | None = None) -> Dim:
    """Read a printed dim: `(H - 1) // 2 + 1`. Names not in `known` become unbounded symbols.

    Raises: ValueError: the text is not a dim.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"not a size: {text!r}") from error
    return _read(tree, known or {})


def _read(tree: ast.expr, known: Mapping[str, Symbol]) -> Dim:
    match tree:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return Poly.of(known.get(name) or Symbol(name))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_read(operand, known)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
            return _read(left, known) ** power
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _ARITHMETIC[type(op)](_read(left, known), _read(right, known))
    raise ValueError(f"not a size: {ast.unparse(tree)!r}")


_ARITHMETIC: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}


def parse_type(text: str, known: Mapping[str, Symbol] | None = None) -> TensorType:
    """Read a printed type: `f32[B, 3, H, W]`.

    Raises: ValueError: the text is not a type.
    """
    dtype, bracket, rest = text.strip().partition("[")
    if not bracket or not rest.endswith("]") or dtype not in set(DType):
        raise ValueError(f"not a tensor type: {text!r}")
    sizes = [part for part in rest[:-1].split(",") if part.strip()]
    return TensorType(DType(dtype), tuple(parse_dim(size, known) for size in sizes))


def shape_text(shape: Iterable[Dim]) -> str:
    return f"[{', '.join(map(str, shape))}]"
