"""Borders around images, sequences and volumes."""

from __future__ import annotations

from typing import Any

from ..diagnostics import Code
from ..ir.proofs import at_least
from ..ir.shapes import TensorType
from .base import Emitter, Example, Handle, Op, Refusal, Reject, Torch, Window, attribute, register
from .checks import need_axis, need_float
from .spatial import onnx_pads
from .streamed import Axes
from .streaming import stays


@register
class Pad(Op):
    """Add a border: `pad: 1` on every side of an image, `pad: {before: 2, after: 0}` on one side.

    `constant` fills it with `value`, `reflect` mirrors the inside without the edge, `replicate`
    repeats the edge.

    Inputs:  x: f32[B, C, *]
    Outputs: y: x with each of the axes longer by before + after
    Errors:  D401 x has no such axes, or `reflect` and `replicate` are asked for other than all
             axes behind the channels; D404 there is not one amount per axis, or `reflect` needs
             more elements than there are; E202 `value` without `mode: constant`.
    Source:  torch.nn.functional.pad; ONNX Pad.
    """

    before: tuple[int, ...] = attribute(
        main=True, minimum=0, doc="How many to add before each axis: one number, or one per axis."
    )
    after: tuple[int, ...] | None = attribute(
        default=None,
        minimum=0,
        doc="How many to add behind each axis; the same by default.",
    )
    axes: tuple[int, ...] | None = attribute(
        default=None,
        doc="The axes to pad; all behind the channels by default.",
    )
    mode: str = attribute(
        default="constant",
        choices=("constant", "reflect", "replicate"),
        doc="What the border holds.",
    )
    value: float = attribute(default=0.0, doc="What `constant` fills in.")

    examples = (
        Example("{before: 1}", x="f32[B, 3, H, W]", y="f32[B, 3, H + 2, W + 2]"),
        Example("{before: 2, after: 0, value: 1.5}", x="f32[B, 3, T]", y="f32[B, 3, T + 2]"),
        Example(
            "{before: [1, 2], after: [0, 1], mode: reflect}",
            x="f32[B, 2, 3, 5]",
            y="f32[B, 2, 4, 8]",
        ),
        Example("{before: 2, mode: replicate}", x="f32[B, 2, H, W]", y="f32[B, 2, H + 4, W + 4]"),
        Example("{before: 1, axes: [3]}", x="f32[B, 2, T, 3]", y="f32[B, 2, T, 5]"),
        Example("{before: 3, after: 1, axes: [1]}", x="f32[B, 4, 5, 5]", y="f32[B, 8, 5, 5]"),
        Example(
            "{before: 2, mode: reflect}",
            x="f32[B, 2, T]",
            y="f32[B, 2, T + 4]",
            bounds={"T": (3, None)},
        ),
    )
    rejects = (
        Reject("{before: 1}", x="f32[B, 3]", code=Code.D401),
        Reject("{before: 1, axes: [0]}", x="f32[B, 3, 4]", code=Code.D401),
        Reject("{before: 1, axes: [1], mode: reflect}", x="f32[B, 3, 4]", code=Code.D401),
        Reject("{before: [1, 2]}", x="f32[B, 3, 8]", code=Code.D404),
        Reject("{before: 2, mode: reflect}", x="f32[B, 3, T]", code=Code.D404),
        Reject("{before: 3, mode: reflect}", x="f32[B, 3, 3, 8]", code=Code.D404),
        Reject("{before: 1, mode: reflect, value: 1.0}", x="f32[B, 3, 8]", code=Code.E202),
    )

    def check(self) -> None:
        if self.value and self.mode != "constant":
            raise Refusal(
                Code.E202,
                f"`value: {self.value}` of `{self.name}` has no effect with `mode: {self.mode}`",
                help="remove `value`, or use `mode: constant`",
            )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        axes = self._axes(x)
        self._need_served(x, axes)
        shape = list(x.shape)
        for axis, (before, after) in self._amounts(x).items():
            self._need_inside(x, axis, max(before, after))
            shape[axis] = shape[axis] + (before + after)
        return x.with_shape(shape)

    def _axes(self, x: TensorType) -> tuple[int, ...]:
        if self.axes is None:
            return tuple(range(2, x.rank))
        return tuple(need_axis(self.name, x, axis) for axis in self.axes)

    def _need_served(self, x: TensorType, axes: tuple[int, ...]) -> None:
        behind = tuple(range(2, x.rank))
        if not axes:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs axes behind the channels, found {x}",
                label=f"this has {x.rank} {'axis' if x.rank == 1 else 'axes'}",
                help="name the axes to pad: `axes: [1]`",
            )
        if len(set(axes)) < len(axes):
            raise Refusal(Code.D401, f"`{self.name}` names an axis twice: {list(axes)}")
        if self.mode != "constant" and (sorted(axes) != list(behind) or x.rank > 5):
            raise Refusal(
                Code.D401,
                f"`{self.name}` with `mode: {self.mode}` pads all axes behind the channels of "
                f"f32[B, C, L] to f32[B, C, D, H, W], found axes {list(axes)} of {x}",
                help="leave `axes` out and pad some of them by 0",
            )

    def _amounts(self, x: TensorType) -> dict[int, tuple[int, int]]:
        """Axis -> what is added before and behind it."""
        axes = self._axes(x)
        before = self._per_axis(x, self.before, axes)
        after = before if self.after is None else self._per_axis(x, self.after, axes)
        return dict(zip(axes, zip(before, after, strict=True), strict=True))

    def _per_axis(
        self, x: TensorType, amounts: tuple[int, ...], axes: tuple[int, ...]
    ) -> tuple[int, ...]:
        if len(amounts) == 1:
            return amounts * len(axes)
        if len(amounts) != len(axes):
            raise Refusal(
                Code.D404,
                f"`{self.name}` needs one amount, or one per axis, found {len(amounts)} for {x}",
                label=f"pads the axes {list(axes)}",
            )
        return amounts

    def _need_inside(self, x: TensorType, axis: int, amount: int) -> None:
        if self.mode == "reflect" and not at_least(x.shape[axis], amount + 1):
            raise Refusal(
                Code.D404,
                f"`{self.name}` can reflect {amount} elements of at least {amount + 1}, "
                f"found {x.shape[axis]} along axis {axis} of {x}",
                label="the border would be larger than what it mirrors",
                help="pad less, or use `mode: replicate`",
            )

    def window(self, x: TensorType) -> Window:
        return ()

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        padded = [axis for axis, amounts in self._amounts(x).items() if any(amounts)]
        return stays(axes, *padded, what="adds a border to")

    def torch(self, x: TensorType) -> Torch:
        amounts = self._amounts(x)
        flat: list[int] = []
        for axis in range(x.rank - 1, min(amounts) - 1, -1):  # torch begins with the last axis
            flat += amounts.get(axis, (0, 0))
        numbers: dict[str, Any] = {"amounts": tuple(flat)}
        if self.mode != "constant":
            text = "F.pad({x}, {amounts}, mode={mode})"
            return Torch(expression=text, numbers={**numbers, "mode": self.mode})
        if not self.value:
            return Torch(expression="F.pad({x}, {amounts})", numbers=numbers)
        text = "F.pad({x}, {amounts}, value={value})"
        return Torch(expression=text, numbers={**numbers, "value": self.value})

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        given = e.inputs[0]
        assert given is not None
        amounts = self._amounts(given)
        sides = list(amounts.values())
        pads = e.ints(onnx_pads([b for b, _ in sides], [a for _, a in sides]))
        if self.mode != "constant":
            mode = {"reflect": "reflect", "replicate": "edge"}[self.mode]
            return e.op("Pad", x, pads, None, e.ints(list(amounts)), mode=mode)
        # ONNX Runtime folds a Pad with zeros into the MaxPool behind it, whose own padding is
        # minus infinity; it leaves a Pad alone that names its axes.
        value = e.scalar(self.value)
        return e.op("Pad", x, pads, value, e.ints(list(amounts)), mode="constant")
