"""Parts of a tensor along one axis."""

from __future__ import annotations

from keyword import iskeyword

from ..diagnostics import Code
from ..ir.dims import Dim, Poly
from ..ir.proofs import at_least, equal, settling_minimum
from ..ir.shapes import TensorType
from .agreement import listing
from .base import Emitter, Example, Handle, Op, Refusal, Reject, Size, Torch, attribute, register
from .checks import need_axis
from .streamed import Axes
from .streaming import stays, without

INT64_MAX = 2**63 - 1
"""What ONNX's Slice takes for "to the end"."""


@register
class Slice(Op):
    """Take the indices start, start + step, ... before stop along an axis.

    A negative start or stop is counted from the end. A slice must lie inside the axis.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type, (stop - start + step - 1) // step along the axis
    Errors:  D403 nothing is left, or not for every size. D404 start or stop is outside the axis,
             or may be. D401 x has no such axis, or it is the batch.
    Source:  Python slices; ONNX Slice.
    """

    axis: int = attribute(default=1, doc="The axis, the batch counted as 0.")
    start: Size = attribute(default=0, doc="The first index.")
    stop: Size | None = attribute(
        default=None, doc="The index behind the last one; the end unless given."
    )
    step: int = attribute(default=1, minimum=1, doc="The distance of two indices.")

    examples = (
        Example("{axis: 1, start: 1, stop: 3}", x="f32[B, 5, 4]", y="f32[B, 2, 4]"),
        Example(
            "{axis: 1, stop: -1}", bounds={"T": (2, None)}, x="f32[B, T, 4]", y="f32[B, T - 1, 4]"
        ),
        Example("{axis: 2, start: -3, step: 2}", x="f32[B, 2, 8]", y="f32[B, 2, 2]"),
        Example("{axis: -1, stop: 2}", x="f32[B, T, 4]", y="f32[B, T, 2]"),
        Example("{axis: -1, step: 2}", x="f32[B, 3, W]", y="f32[B, 3, (W + 1) // 2]"),
    )
    rejects = (
        Reject("{start: 3, stop: 3}", x="f32[B, 5]", code=Code.D403),
        Reject("{start: 1}", x="f32[B, T]", code=Code.D403),
        Reject("{stop: 6}", x="f32[B, 5]", code=Code.D404),
        Reject("{start: -6}", x="f32[B, 5]", code=Code.D404),
        Reject("{axis: 0, stop: 1}", x="f32[B, 5]", code=Code.D401),
        Reject("{axis: 2, stop: 1}", x="f32[B, 5]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        axis = need_axis(self.name, x, self.axis)
        start, stop = self._limits(x.shape[axis])
        self._check_left(x, axis, stop - start)
        for name, place in (("start", start), ("stop", stop)):
            found = f"{name} {getattr(self, name)}"
            need_inside(self.name, found, x, axis, place, x.shape[axis] - place)
        return x.with_axis(axis, (stop - start + self.step - 1) // self.step)

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        return stays(axes, need_axis(self.name, x, self.axis), what="takes a part of")

    def _limits(self, size: Dim) -> tuple[Dim, Dim]:
        """start and stop, counted from the start of an axis."""
        stop = size if self.stop is None else _from_start(self.stop, size)
        return _from_start(self.start, size), stop

    def _check_left(self, x: TensorType, axis: int, count: Dim) -> None:
        proved = at_least(count, 1)
        if proved:
            return
        settled = None if proved is False else settling_minimum(count, 1)
        raise Refusal(
            Code.D403,
            f"`slice` must leave at least one index of axis {axis}, found {x}",
            label=f"{count} are left",
            help=f"declare `dims: {{{settled[0]}: {{min: {settled[1]}}}}}`" if settled else "",
        )

    def torch(self, x: TensorType) -> Torch:
        axis = need_axis(self.name, x, self.axis)
        given = {"start": self.start or None, "stop": self.stop, "step": self.step}
        numbers = {name: size for name, size in given.items() if size is not None}
        step = numbers.pop("step") if self.step == 1 else None
        start, stop = (f"{{{name}}}" if name in numbers else "" for name in ("start", "stop"))
        part = f"{start}:{stop}" + ("" if step else ":{step}")
        return Torch(expression=f"{{x}}[{':, ' * axis}{part}]", numbers=numbers)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        stop = INT64_MAX if self.stop is None else self.stop
        starts, stops = e.sizes([self.start]), e.sizes([stop])
        return e.op("Slice", x, starts, stops, e.ints([self.axis]), e.ints([self.step]))


def _from_start(place: Dim, size: Dim) -> Dim:
    """An index counted from the start of an axis."""
    return size + place if isinstance(place, int) and place < 0 else place


def need_inside(op: str, what: str, x: TensorType, axis: int, *room: Dim) -> None:
    """Refuse an index that is outside an axis for some size.

    room: what must be at least 0, so that the index is inside.

    Raises: Refusal: D404.
    """
    missing = [dim for dim in room if at_least(dim, 0) is not True]
    if not missing:
        return
    settled = settling_minimum(missing[0], 0)
    raise Refusal(
        Code.D404,
        f"`{op}` needs an index inside axis {axis}, found {what} for {x}",
        label=f"axis {axis} has size {x.shape[axis]}",
        help=f"declare `dims: {{{settled[0]}: {{min: {settled[1]}}}}}`" if settled else "",
    )


@register
class Select(Op):
    """Take one index of an axis; the axis disappears.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type without the axis
    Errors:  D404 the index is outside the axis, or may be. D401 x has no such axis, or it is the
             batch.
    Source:  torch.select; ONNX Gather.
    """

    index: int = attribute(main=True, doc="The index; a negative one is counted from the end.")
    axis: int = attribute(default=1, doc="The axis, the batch counted as 0.")

    examples = (
        Example("{index: 0}", x="f32[B, T, 4]", y="f32[B, 4]"),
        Example("{index: -1, axis: 2}", x="f32[B, 3, W]", y="f32[B, 3]"),
    )
    rejects = (
        Reject("{index: 3}", x="f32[B, 3]", code=Code.D404),
        Reject("{index: -4}", x="f32[B, 3]", code=Code.D404),
        Reject("{index: 1}", x="f32[B, T]", code=Code.D404),
        Reject("{index: 0, axis: 0}", x="f32[B, 3]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        axis = need_axis(self.name, x, self.axis)
        size = x.shape[axis]
        place = _from_start(self.index, size)
        need_inside(self.name, f"{self.index}", x, axis, place, size - place - 1)
        return x.with_shape(x.shape[:axis] + x.shape[axis + 1 :])

    def stream_axis(self, axes: Axes, x: TensorType) -> int | None:
        place = need_axis(self.name, x, self.axis)
        if axes[0] == place and self.index == -1:
            return None  # the last step
        return without(stays(axes, place, what="counts"), [place])

    def torch(self, x: TensorType) -> Torch:
        axis = need_axis(self.name, x, self.axis)
        return Torch(expression=f"{{x}}[{':, ' * axis}{{index}}]", numbers={"index": self.index})

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        kept = e.op("Gather", x, e.ints([self.index]), axis=self.axis)
        return e.op("Squeeze", kept, e.ints([self.axis]))


@register
class Split(Op):
    """Cut a tensor into named parts along an axis.

    Inputs:  x: any type[B, *]
    Outputs: one port for each name of `into`: x's type with that size along the axis
    Errors:  D404 the sizes are not proved to add up. D403 a size may be below 1. E202 a name is no
             identifier, there are fewer than two, or a size is below 1. D401 x has no such axis,
             or it is the batch.
    Source:  torch.split; ONNX Split.
    """

    axis: int = attribute(default=1, doc="The axis to cut, the batch counted as 0.")
    into: dict[str, Size] = attribute(doc="Port name -> size along the axis, in order.")

    examples = (
        Example(
            "{into: {left: 3, right: 5}}",
            x="f32[B, 8, T]",
            left="f32[B, 3, T]",
            right="f32[B, 5, T]",
        ),
        Example(
            "{axis: -1, into: {a: 2, b: 2, c: 1}}",
            x="f32[B, T, 5]",
            a="f32[B, T, 2]",
            b="f32[B, T, 2]",
            c="f32[B, T, 1]",
        ),
    )
    rejects = (
        Reject("{into: {left: 3, right: 4}}", x="f32[B, 8]", code=Code.D404),
        Reject("{into: {left: 3, right: 4}}", x="f32[B, T]", code=Code.D404),
        Reject("{axis: 0, into: {left: 3, right: 5}}", x="f32[B, 8]", code=Code.D401),
        Reject("{into: {left: 8}}", x="f32[B, 8]", code=Code.E202),
        Reject("{into: {left: 8, right: 0}}", x="f32[B, 8]", code=Code.E202),
        Reject("{into: {left: 3, class: 5}}", x="f32[B, 8]", code=Code.E202),
    )

    def output_ports(self) -> tuple[str, ...]:
        return tuple(self.into)

    def check(self) -> None:
        if len(self.into) < 2:
            raise Refusal(Code.E202, f"`split` needs two parts or more, found {len(self.into)}")
        for name, size in self.into.items():
            if not name.isidentifier() or not name.isascii() or iskeyword(name):
                raise Refusal(
                    Code.E202, f"`split` needs identifiers as names of its parts, found `{name}`"
                )
            if isinstance(size, int) and size < 1:
                raise Refusal(Code.E202, f"`split` needs sizes of at least 1, found {name}: {size}")

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        axis = need_axis(self.name, x, self.axis)
        total: Dim = 0
        for size in self.into.values():
            total = total + size
        parts = listing(f"{name}: {size}" for name, size in self.into.items())
        if equal(total, x.shape[axis]) is not True:
            raise Refusal(
                Code.D404,
                f"`split` needs parts that add up to {x.shape[axis]}, found {parts}",
                label=f"these add up to {total}, axis {axis} of {x} has {x.shape[axis]}",
            )
        self._check_parts(x)
        return tuple(x.with_axis(axis, size) for size in self.into.values())

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        return stays(axes, need_axis(self.name, x, self.axis), what="cuts up")

    def _check_parts(self, x: TensorType) -> None:
        for name, size in self.into.items():
            if at_least(size, 1) is not True:
                settled = settling_minimum(size, 1)
                raise Refusal(
                    Code.D403,
                    f"`split` needs parts of at least 1, found {name}: {size} of {x}",
                    help=f"declare `dims: {{{settled[0]}: {{min: {settled[1]}}}}}`"
                    if settled
                    else "",
                )

    def torch(self, x: TensorType) -> Torch:
        numbers = {f"size{place}": size for place, size in enumerate(self.into.values())}
        shown = ", ".join(f"{{{name}}}" for name in numbers)
        return Torch(expression=f"{{x}}.split([{shown}], dim={self.axis})", numbers=numbers)

    def onnx(self, e: Emitter, x: Handle) -> tuple[Handle, ...]:
        sizes = tuple(self.into.values())
        constant = [size for size in sizes if isinstance(size, int)]
        symbolic = any(isinstance(size, Poly) for size in sizes)
        parts = e.sizes(sizes) if symbolic else e.ints(constant)
        return e.op_n("Split", len(sizes), x, parts, axis=self.axis)
