"""Whether tensors that meet have the same element type and fitting sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..diagnostics import Code
from ..ir.dims import Dim, Poly, Symbol, substitute, symbols
from ..ir.proofs import equal
from ..ir.shapes import TensorType
from .base import Refusal

LARGEST_MULTIPLE = 64
"""How far `settling_help` looks for a `multiple_of` that makes two sizes equal."""


@dataclass(frozen=True)
class Mismatch:
    """Two sizes along one axis that are not proved to be equal."""

    axis: int
    left: Dim
    right: Dim

    def __str__(self) -> str:
        return f"axis {self.axis}: {self.left} and {self.right}"


def need_one_dtype(op: str, inputs: Sequence[TensorType]) -> None:
    """Raises: Refusal: D401: the inputs have different element types."""
    found = list(dict.fromkeys(x.dtype for x in inputs))
    if len(found) > 1:
        raise Refusal(
            Code.D401,
            f"`{op}` needs inputs of one element type, found {listing(inputs)}",
            label=f"elements of type {listing(found)}",
            help="turn one into the other's type with `cast`",
        )


def mismatches(
    left: Sequence[Dim], right: Sequence[Dim], axes: Iterable[int] | None = None
) -> list[Mismatch]:
    """Where two shapes with the same number of axes are not proved to be equal."""
    axes = range(len(left)) if axes is None else axes
    return [
        Mismatch(axis, left[axis], right[axis])
        for axis in axes
        if equal(left[axis], right[axis]) is not True
    ]


def broadcast(left: Sequence[Dim], right: Sequence[Dim]) -> tuple[tuple[Dim, ...], list[Mismatch]]:
    """The shape that two shapes give by numpy's rule, and where they don't fit.

    Shapes are aligned at the end; a missing axis counts as 1, and a size 1 is repeated. A
    symbolic size that may be 1 is not 1.
    """
    rank = max(len(left), len(right))
    pairs = zip(_padded(left, rank), _padded(right, rank), strict=True)
    shape, wrong = [], []
    for axis, (a, b) in enumerate(pairs):
        shape.append(b if a == 1 else a)
        if a != 1 and b != 1 and equal(a, b) is not True:
            wrong.append(Mismatch(axis, a, b))
    return tuple(shape), wrong


def _padded(shape: Sequence[Dim], rank: int) -> tuple[Dim, ...]:
    return (1,) * (rank - len(shape)) + tuple(shape)


def disagreement(message: str, wrong: Sequence[Mismatch], fallback: str = "") -> Refusal:
    """The D402 of sizes that don't fit: the label lists them, the help says what settles it."""
    help_text = next(filter(None, map(settling_help, wrong)), fallback)
    return Refusal(Code.D402, message, label="; ".join(map(str, wrong)), help=help_text)


def settling_help(wrong: Mismatch) -> str:
    """The constraint that would make two sizes equal which may differ; "" where none would."""
    if equal(wrong.left, wrong.right) is False:
        return ""
    names = symbols(wrong.left) | symbols(wrong.right)
    if len(names) > 1:
        return f"give {listing(sorted(map(str, names)))} one size, or both the same name"
    symbol = names.pop()
    multiple = next((m for m in range(2, LARGEST_MULTIPLE + 1) if _settles(wrong, symbol, m)), 0)
    if multiple:
        return f"declare `dims: {{{symbol}: {{multiple_of: {multiple * symbol.multiple_of}}}}}`"
    return f"give `{symbol}` a fixed size for which they are equal"


def _settles(wrong: Mismatch, symbol: Symbol, multiple: int) -> bool:
    constrained = Poly.of(replace(symbol, multiple_of=multiple * symbol.multiple_of))
    left = substitute(wrong.left, lambda _: constrained)
    right = substitute(wrong.right, lambda _: constrained)
    return equal(left, right) is True


def listing(items: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}" if most else last
