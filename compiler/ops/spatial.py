"""What operators over spatial axes share: `[B, C, *spatial]` inputs and sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ..diagnostics import Code
from ..ir.proofs import at_least, settling_minimum
from ..ir.shapes import TensorType
from .base import Attribute, Op, Refusal
from .checks import need_float

LETTERS = {0: "", 1: ", L", 2: ", H, W", 3: ", D, H, W"}


class Spatial(Op):
    """An operator over `axes` spatial axes; arguments that spread do so over all of them."""

    axes: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.axes:
            cls.attributes = {n: _spread(a, cls.axes) for n, a in cls.attributes.items()}


def _spread(declared: Attribute, axes: int) -> Attribute:
    if not declared.spread:
        return declared
    default = declared.default
    many = (default,) * axes if isinstance(default, int) else default
    return replace(declared, spread=axes, default=many)


def compact(values: Sequence[Any]) -> Any:
    """`(3, 3)` -> 3, as one writes it by hand; different values stay a tuple."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def require_rank(op: str, x: TensorType, *ranks: int) -> None:
    """Refuse inputs that are not `[B, C, *spatial]` of one of these ranks.

    Raises: Refusal: D401: another rank, or elements that are not floating-point numbers.
    """
    need_float(op, x)
    if x.rank in ranks:
        return
    layouts = [f"{x.dtype}[B, C{LETTERS[rank - 2]}]" for rank in ranks]
    wanted = " or ".join(filter(None, (", ".join(layouts[:-1]), layouts[-1])))
    raise Refusal(
        Code.D401,
        f"`{op}` needs {wanted}, found {x}",
        label=f"this has {x.rank} {'axis' if x.rank == 1 else 'axes'}",
        help="`reshape` gives an input other axes",
    )


def require_size(op: str, x: TensorType, axis: int, least: int, why: str) -> None:
    """Refuse an input whose axis would shrink to nothing.

    least: the smallest size of the axis that leaves one element.
    why: the arguments that ask for it, for the message: "with kernel 7".

    Raises: Refusal: D403: the axis is smaller, or not proved to be large enough.
    """
    size = x.shape[axis]
    proved = at_least(size, least)
    if proved:
        return
    settled = None if proved is False else settling_minimum(size - least, 0)
    elements = "1 element" if least == 1 else f"{least} elements"
    raise Refusal(
        Code.D403,
        f"`{op}` {why} needs at least {elements} along axis {axis}, found {size} in {x}",
        label=f"`{size}` may be less than {least}"
        if settled
        else f"nothing is left of axis {axis}",
        help=f"declare `dims: {{{settled[0]}: {{min: {settled[1]}}}}}`"
        if settled
        else "make the kernel or the stride smaller here or in the layers before, "
        "or the input larger",
    )


def onnx_pads(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """ONNX's order: what is added before each axis, then what is added after each."""
    return [*before, *after]
