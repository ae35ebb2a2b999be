"""Questions that many operators ask of their inputs before they serve them."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.shapes import DType, TensorType
from .base import Refusal

INTEGERS = (DType.I64, DType.I32)
"""Element types that count things: token ids, class numbers, lengths."""


def need_float(op: str, *inputs: TensorType) -> None:
    """Raises: Refusal: D401: an input does not hold floating-point numbers."""
    for x in inputs:
        if not x.dtype.is_float:
            raise Refusal(
                Code.D401,
                f"`{op}` needs floating-point numbers, found {x}",
                label=f"elements of type {x.dtype}",
                help="turn them into floating-point numbers with `cast: float32` first"
                + (", or look up a vector for each id with `embedding`" * (x.dtype in INTEGERS)),
            )


def need_numbers(op: str, x: TensorType) -> None:
    """Raises: Refusal: D401: the input holds neither floating-point numbers, int64 nor int32."""
    if not x.dtype.is_float and x.dtype not in INTEGERS:
        raise Refusal(
            Code.D401,
            f"`{op}` needs floating-point numbers or integers (int64, int32), found {x}",
            label=f"elements of type {x.dtype}",
            help="turn them into floating-point numbers with `cast: float32` first",
        )


def need_integers(op: str, x: TensorType) -> None:
    """Raises: Refusal: D401: the input does not hold int64 or int32."""
    if x.dtype not in INTEGERS:
        raise Refusal(
            Code.D401,
            f"`{op}` needs integers, found {x}",
            label=f"elements of type {x.dtype}",
            help="add `dtype: int64` to the input of the network that holds them",
        )


def need_rank(op: str, x: TensorType, rank: int, layout: str) -> None:
    """Raises: Refusal: D401: the input has another number of axes than `layout` shows."""
    if x.rank != rank:
        raise Refusal(
            Code.D401, f"`{op}` needs an input {layout}, found {x}", label=_axes_text(x.rank)
        )


def need_batch(op: str, x: TensorType) -> None:
    """Raises: Refusal: D401: a single number has no batch axis."""
    if not x.rank:
        raise Refusal(Code.D401, f"`{op}` needs a batch axis, found {x}", label=_axes_text(0))


def need_axis(op: str, x: TensorType, axis: int, *, rank: int | None = None) -> int:
    """An axis counted from the start; a negative one is counted from the end.

    rank: how many axes to count over where it isn't the input's (`unsqueeze` makes one more).
    Raises: Refusal: D401: there is no such axis, or it is the batch.
    """
    rank = x.rank if rank is None else rank
    place = axis + rank if axis < 0 else axis
    if place == 0 and rank:
        raise Refusal(
            Code.D401,
            f"`{op}` cannot work along axis 0, the batch, found {x}",
            label=f"axis {axis} is the batch",
            help="axes are counted with the batch as 0",
        )
    if not 0 < place < rank:
        raise Refusal(
            Code.D401,
            f"`{op}` needs axis {axis}, found {x}",
            label=_axes_text(x.rank),
            help="axes are counted with the batch as 0",
        )
    return place


def number_for(op: str, x: TensorType, value: float) -> float | int:
    """The number as x's elements hold it: an int where they are integers.

    Raises: Refusal: D401: x holds integers and the number is none.
    """
    if x.dtype.is_float:
        return float(value)
    if float(value).is_integer():
        return int(value)
    raise Refusal(
        Code.D401,
        f"`{op}` needs a whole number for {x}, found {value:g}",
        label=f"elements of type {x.dtype}",
        help="turn them into floating-point numbers with `cast: float32` first",
    )


def need_elements(op: str, x: TensorType) -> None:
    """Raises: Refusal: D401: samples are single numbers."""
    if x.rank < 2:
        raise Refusal(
            Code.D401, f"`{op}` needs an axis besides the batch, found {x}", label="this has none"
        )


def need_alike(op: str, first: TensorType, *others: TensorType) -> None:
    """Raises: Refusal: D402: inputs have other shapes than the first."""
    for other in others:
        if other.shape != first.shape:
            raise Refusal(Code.D402, f"`{op}` needs equal shapes, found {first} and {other}")


def _axes_text(rank: int) -> str:
    return f"this has {rank} {'axis' if rank == 1 else 'axes'}"
