"""What operators say of running one chunk of a sequence at a time: where time is, or why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..diagnostics import Code
from .base import Op, Refusal
from .checks import need_axis
from .streamed import Axes

if TYPE_CHECKING:
    from ..ir.shapes import TensorType


Rule = Callable[..., int | None]
"""What can stand as the method `stream_axis` of an operator."""

OF_WHOLE = "reads `lengths`, which are those of whole sequences"


def unstreamable(reason: str, help: str = "") -> Refusal:  # noqa: A002 - as in Refusal
    """Why a layer can't run one chunk at a time.

    reason: a phrase whose subject is the layer: "sees later steps".
    """
    return Refusal(Code.O503, reason, help=help)


def _same_axis(op: Op, axes: Axes, *inputs: TensorType | None) -> int | None:
    """The rule of an operator whose output has its first input's axes, each place by itself."""
    return axes[0]


def _all_steps(op: Op, axes: Axes, *inputs: TensorType | None) -> int | None:
    """The rule of an operator that has none: each output depends on every step."""
    raise unstreamable("needs all steps of the sequence at once")


def _several_steps(op: Op, axes: Axes, *inputs: TensorType | None) -> int | None:
    """The rule of an operator that has none: windows of steps are reduced to one each."""
    raise unstreamable("makes one step of several")


def stays(axes: Axes, *worked: int, what: str) -> int:
    """The axis of time in the first input, which an operator does not work along.

    worked: the axes that it works along. what: what it does to them.
    Raises: Refusal: O503: time is among them.
    """
    axis = axes[0]
    if axis is None:  # another input has the time
        raise unstreamable("looks at all steps of a sequence")
    if axis in worked:
        raise unstreamable(f"{what} all steps of the sequence")
    return axis


def _one_axis(op: Op, axes: Axes, x: TensorType) -> int | None:
    """The rule of an operator that has an argument `axis`, along which it works."""
    return stays(axes, need_axis(op.name, x, getattr(op, "axis")), what="works over")  # noqa: B009


same_axis: Rule = _same_axis
all_steps: Rule = _all_steps
several_steps: Rule = _several_steps
one_axis: Rule = _one_axis


def without(axis: int, removed: list[int]) -> int:
    """Where an axis is once others are removed."""
    return axis - sum(other < axis for other in removed)
