"""The order and the number of the axes."""

from __future__ import annotations

from collections.abc import Sequence

from ..diagnostics import Code
from ..ir.proofs import equal
from ..ir.shapes import TensorType
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Op,
    Refusal,
    Reject,
    Torch,
    Window,
    attribute,
    register,
)
from .checks import need_axis, need_batch
from .streamed import Axes
from .streaming import stays, without

PERMUTE = Helper(
    "Permute",
    '''class Permute(nn.Module):
    """Reorder the axes of a tensor, in a chain of modules."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)
''',
)


def moved_window(order: Sequence[int]) -> Window | None:
    """The window of axes in another order.

    Steps of a sequence [B, T, C] become places of [B, C, T], of which nothing is known then.
    """
    return None if list(order) == [0, 2, 1] else ()


@register
class Permute(Op):
    """Reorder the axes; the batch stays first.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type; its axis i is axis axes[i] of x
    Errors:  E202 `axes` is not an order of 0, 1, ..., or does not begin with 0. D401 x has another
             number of axes.
    Source:  torch.permute; ONNX Transpose.
    """

    axes: tuple[int, ...] = attribute(
        main=True,
        minimum=0,
        doc="The axes of x in their new order, the batch first as 0: [0, 2, 3, 1].",
    )

    examples = (
        Example("{axes: [0, 2, 3, 1]}", x="f32[B, 3, H, W]", y="f32[B, H, W, 3]"),
        Example("{axes: [0, 2, 1]}", x="f32[B, T, 4]", y="f32[B, 4, T]"),
    )
    rejects = (
        Reject("{axes: [1, 0]}", x="f32[B, 3]", code=Code.E202),
        Reject("{axes: [0, 1, 1]}", x="f32[B, 3, 4]", code=Code.E202),
        Reject("{axes: [0, 2, 1]}", x="f32[B, 3]", code=Code.D401),
    )

    def check(self) -> None:
        if sorted(self.axes) != list(range(len(self.axes))) or self.axes[:1] != (0,):
            raise Refusal(
                Code.E202,
                f"`permute` needs each axis once and the batch (0) first, found {list(self.axes)}",
                help="name every axis, such as [0, 2, 1] for an input with three",
            )

    def infer(self, x: TensorType) -> TensorType:
        if x.rank != len(self.axes):
            raise Refusal(
                Code.D401,
                f"`permute` with axes {list(self.axes)} needs {len(self.axes)} axes, found {x}",
                label=f"this has {x.rank} {'axis' if x.rank == 1 else 'axes'}",
            )
        return x.with_shape(x.shape[axis] for axis in self.axes)

    def window(self, x: TensorType) -> Window | None:
        return moved_window(self.axes)

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        return self.axes.index(stays(axes, what=""))

    def torch(self, x: TensorType) -> Torch:
        return Torch(
            module=Construct("Permute", self.axes),
            expression=f"{{x}}.permute({', '.join(map(str, self.axes))})",
            helper=PERMUTE,
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Transpose", x, perm=list(self.axes))


@register
class Transpose(Op):
    """Exchange two axes.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type
    Errors:  D401 x has no such axis, or it is the batch.
    Source:  torch.transpose; ONNX Transpose.
    """

    axes: tuple[int, ...] = attribute(
        main=True, spread=2, doc="The two axes, the batch counted as 0."
    )

    examples = (
        Example("{axes: [1, 2]}", x="f32[B, T, 4]", y="f32[B, 4, T]"),
        Example("{axes: [-1, -2]}", x="f32[B, 3, H, W]", y="f32[B, 3, W, H]"),
    )
    rejects = (
        Reject("{axes: [0, 1]}", x="f32[B, 3]", code=Code.D401),
        Reject("{axes: [1, 2]}", x="f32[B, 3]", code=Code.D401),
    )

    def _order(self, x: TensorType) -> list[int]:
        left, right = (need_axis(self.name, x, axis) for axis in self.axes)
        order = list(range(x.rank))
        order[left], order[right] = right, left
        return order

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(x.shape[axis] for axis in self._order(x))

    def window(self, x: TensorType) -> Window | None:
        return moved_window(self._order(x))

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        return self._order(x).index(stays(axes, what=""))

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression=f"{{x}}.transpose({self.axes[0]}, {self.axes[1]})")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        assert e.inputs[0] is not None
        return e.op("Transpose", x, perm=self._order(e.inputs[0]))


@register
class Squeeze(Op):
    """Remove an axis of size 1.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type with one axis less
    Errors:  D404 the size is not proved to be 1. D401 x has no such axis, or it is the batch.
    Source:  torch.squeeze; ONNX Squeeze.
    """

    axis: int = attribute(main=True, doc="The axis, the batch counted as 0.")

    examples = (
        Example("{axis: 1}", x="f32[B, 1, H, W]", y="f32[B, H, W]"),
        Example("{axis: -1}", x="f32[B, T, 1]", y="f32[B, T]"),
    )
    rejects = (
        Reject("{axis: 1}", x="f32[B, 3]", code=Code.D404),
        Reject("{axis: 1}", x="f32[B, T]", code=Code.D404),
        Reject("{axis: 0}", x="f32[B, 1]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        axis = need_axis(self.name, x, self.axis)
        if equal(x.shape[axis], 1) is not True:
            raise Refusal(
                Code.D404,
                f"`squeeze` needs size 1 along axis {axis}, found {x}",
                label=f"axis {axis} has size {x.shape[axis]}",
                help="`select` takes one index of an axis, `mean` averages over it",
            )
        return x.with_shape(x.shape[:axis] + x.shape[axis + 1 :])

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        return without(stays(axes, what=""), [need_axis(self.name, x, self.axis)])

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression=f"{{x}}.squeeze({self.axis})")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Squeeze", x, e.ints([self.axis]))


@register
class Unsqueeze(Op):
    """Insert an axis of size 1.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type with one axis more
    Errors:  D401 the axis is the batch, or behind the end. x has no batch axis.
    Source:  torch.unsqueeze; ONNX Unsqueeze.
    """

    axis: int = attribute(
        main=True, doc="The place of the new axis in the output, the batch counted as 0."
    )

    examples = (
        Example("{axis: 1}", x="f32[B, H, W]", y="f32[B, 1, H, W]"),
        Example("{axis: -1}", x="f32[B, T]", y="f32[B, T, 1]"),
        Example("{axis: 1}", x="f32[B]", y="f32[B, 1]"),
    )
    rejects = (
        Reject("{axis: 0}", x="f32[B, 3]", code=Code.D401),
        Reject("{axis: 3}", x="f32[B, 3]", code=Code.D401),
        Reject("{axis: -1}", x="f32[]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_batch(self.name, x)
        axis = need_axis(self.name, x, self.axis, rank=x.rank + 1)
        return x.with_shape((*x.shape[:axis], 1, *x.shape[axis:]))

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        axis = stays(axes, what="")
        return axis + (need_axis(self.name, x, self.axis, rank=x.rank + 1) <= axis)

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression=f"{{x}}.unsqueeze({self.axis})")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Unsqueeze", x, e.ints([self.axis]))
