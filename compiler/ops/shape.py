"""The same numbers in another shape."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim, Poly
from ..ir.proofs import divisible, equal
from ..ir.shapes import TensorType, elements, shape_text
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Op,
    Port,
    Refusal,
    Reject,
    Size,
    Torch,
    attribute,
    register,
)
from .checks import need_axis, need_batch
from .sizes import reshaped
from .streamed import Axes, Streamed, Streamer, value_of
from .streaming import stays, unstreamable


@register
class Flatten(Op):
    """Merge the axes from `start` to `end` into one.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type, [B, N] where every axis besides the batch is merged
    Errors:  D401 x has no such axis, `end` is before `start`, or an axis is the batch.
    Source:  torch.nn.Flatten; ONNX Flatten or Reshape.
    """

    start: int = attribute(
        default=1, main=True, doc="The first axis to merge, the batch counted as 0."
    )
    end: int = attribute(default=-1, doc="The last axis to merge.")

    examples = (
        Example("{}", x="f32[B, 3, 4, 5]", y="f32[B, 60]"),
        Example("{}", x="f32[B, 4]", y="f32[B, 4]"),
        Example("{start: 2}", x="f32[B, 3, H, W]", y="f32[B, 3, H*W]"),
        Example("{start: 2}", x="f32[B, T, 4, 5]", y="f32[B, T, 20]"),
        Example("{start: 1, end: 2}", x="f32[B, T, 4, 5]", y="f32[B, 4*T, 5]"),
    )
    rejects = (
        Reject("{}", x="f32[B]", code=Code.D401),
        Reject("{start: 0}", x="f32[B, 3, 4]", code=Code.D401),
        Reject("{start: 2, end: 1}", x="f32[B, 3, 4]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        start, end = (need_axis(self.name, x, axis) for axis in (self.start, self.end))
        if end < start:
            raise Refusal(
                Code.D401, f"`flatten` needs start <= end, found axes {start} and {end} of {x}"
            )
        merged = elements(x.shape[start : end + 1])
        return x.with_shape((*x.shape[:start], merged, *x.shape[end + 1 :]))

    def window(self, x: TensorType) -> None:
        return None

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        start, end = (need_axis(self.name, x, axis) for axis in (self.start, self.end))
        merged = range(start, end + 1) if end > start else ()
        axis = stays(axes, *merged, what="merges")
        return axis - (end - start) if axis > end else axis

    def torch(self, x: TensorType) -> Torch:
        given = (self.start, self.end) if self.end != -1 else (self.start,)
        module = () if given == (1,) else given
        return Torch(
            module=Construct("nn.Flatten", module),
            expression=f"{{x}}.flatten({', '.join(map(str, given))})",
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        old, shape = e.inputs[0], e.outputs[0].shape
        assert old is not None
        return e.op("Flatten", x, axis=1) if len(shape) == 2 else reshaped(e, x, old, shape)


@register
class Reshape(Op):
    """Give each sample another shape with the same elements in the same order.

    Inputs:  x: any type[B, *]
    Outputs: y: x's type, [B, *to]
    Errors:  D404 the element counts are not proved equal, or -1 does not come out even. D401 x has
             no batch axis. E202 a size below 1, or -1 twice.
    Source:  torch.Tensor.reshape; ONNX Reshape.
    """

    reads_time = True
    to: tuple[Size, ...] = attribute(
        main=True, doc="The sizes of a sample, without the batch; one may be -1: what remains."
    )

    examples = (
        Example("{to: [3, 4, 5]}", x="f32[B, 60]", y="f32[B, 3, 4, 5]"),
        Example("{to: [-1, 4]}", x="f32[B, T, 8]", y="f32[B, 2*T, 4]"),
        Example("{to: [-1, 2, 4]}", x="f32[B, T, 8]", y="f32[B, T, 2, 4]"),
        Example("{to: [2, 3, -1]}", x="f32[B, 6, H, W]", y="f32[B, 2, 3, H*W]"),
        Example("{to: [12]}", x="i64[B, 3, 4]", ranges={"x": (0, 9)}, y="i64[B, 12]"),
    )
    rejects = (
        Reject("{to: [3, 5]}", x="f32[B, 16]", code=Code.D404),
        Reject("{to: [-1, 5]}", x="f32[B, 16]", code=Code.D404),
        Reject("{to: [-1, 2]}", x="f32[B, T, 3]", code=Code.D404),
        Reject("{to: [6]}", x="f32[B, T]", code=Code.D404),
        Reject("{to: [1]}", x="f32[]", code=Code.D401),
        Reject("{to: [-1, -1]}", x="f32[B, 16]", code=Code.E202),
        Reject("{to: [0, 4]}", x="f32[B, 16]", code=Code.E202),
    )

    def check(self) -> None:
        check_sizes(self.name, self.to)
        if self.to.count(-1) > 1:
            raise Refusal(
                Code.E202, f"`reshape` takes -1 once, found {shape_text(self.to)}", label="-1 twice"
            )

    def infer(self, x: TensorType) -> TensorType:
        need_batch(self.name, x)
        return x.with_shape((x.shape[0], *self._sizes(x)))

    def _sizes(self, x: TensorType) -> tuple[Dim, ...]:
        count, known = elements(x.shape[1:]), elements(size for size in self.to if size != -1)
        if -1 not in self.to:
            if equal(count, known) is not True:
                raise self._uneven(x, f"{shape_text(self.to)} has {known}")
            return self.to
        rest = _quotient(count, known)
        if rest is None:
            raise self._uneven(x, f"{known} does not divide {count}")
        return tuple(rest if size == -1 else size for size in self.to)

    def _uneven(self, x: TensorType, label: str) -> Refusal:
        count = elements(x.shape[1:])
        return Refusal(
            Code.D404,
            f"`reshape` needs {count} elements a sample, found {shape_text(self.to)} for {x}",
            label=label,
            help="the sizes of `to` leave out the batch; -1 stands for what remains",
        )

    def window(self, x: TensorType) -> None:
        return None

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        """Time stays an axis of its own, with as many elements before it as there were."""
        axis, shape = stays(axes, what=""), (x.shape[0], *self._sizes(x))
        before = elements(x.shape[1:axis])
        for place in range(1, len(shape)):
            same = equal(shape[place], x.shape[axis]) is True
            if same and equal(elements(shape[1:place]), before) is True:
                return place
        raise unstreamable("mixes the steps with other axes")

    def torch(self, x: TensorType) -> Torch:
        sizes = (x.shape[0], *self._sizes(x))
        remaining = self._remaining(sizes)
        numbers = {f"size{i}": size for i, size in enumerate(sizes) if i != remaining}
        shown = ["-1" if i == remaining else f"{{size{i}}}" for i in range(len(sizes))]
        static = x.rank == 2 and all(isinstance(size, int) for size in sizes[1:])
        return Torch(
            module=Construct("nn.Unflatten", (1, sizes[1:])) if static and self.to else None,
            expression=f"{{x}}.reshape({', '.join(shown)})",
            numbers=numbers,
        )

    def _remaining(self, sizes: tuple[Dim, ...]) -> int | None:
        """Which size is written as -1: the one given so, or the last symbolic one."""
        if -1 in self.to:
            return 1 + self.to.index(-1)
        symbolic = [place for place, size in enumerate(sizes) if isinstance(size, Poly)]
        return symbolic[-1] if symbolic else None

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        assert e.inputs[0] is not None
        return reshaped(e, x, e.inputs[0], e.outputs[0].shape)


def check_sizes(op: str, to: tuple[Dim, ...], least: int = -1) -> None:
    """Raises: Refusal: E202: a size is not positive, nor -1 where `least` allows it."""
    wrong = [size for size in to if isinstance(size, int) and (size < least or size == 0)]
    if wrong:
        raise Refusal(Code.E202, f"`{op}` needs sizes of at least 1, found {shape_text(to)}")


def _quotient(count: Dim, known: Dim) -> Dim | None:
    """count / known where that is a whole number for every value of the symbols."""
    if isinstance(known, int):
        return count // known if divisible(count, known) is True else None
    try:
        return count // known
    except ValueError:
        return None


@register
class Expand(Op):
    """Repeat axes of size 1, or, with `like`, a tensor without a batch for each sample.

    Inputs:  x: any type[B, *], or any type[*] where `like` is wired
             like: any type[B, *], optional: the tensor whose batch the output gets
    Outputs: y: x's type, [B, *to]; without `to` the sizes of x
    Errors:  D402 a size is neither 1 nor the one wanted. D401 more axes in x than in the result,
             x has no batch axis, or neither `to` nor `like` is given. E202 a size below 1.
    Source:  torch.Tensor.expand; ONNX Expand.
    """

    reads_time = True
    to: tuple[Size, ...] | None = attribute(
        default=None, main=True, doc="The sizes of a sample, without the batch."
    )

    ports = (Port("x"), Port("like", optional=True))
    examples = (
        Example("{to: [4, 5]}", x="f32[B, 4, 1]", y="f32[B, 4, 5]"),
        Example("{to: [3, 4]}", x="f32[B, 1, 4]", y="f32[B, 3, 4]"),
        Example("{}", x="f32[1, 6]", like="f32[B, T, 6]", y="f32[B, 1, 6]"),
        Example("{to: [3, 6]}", x="f32[6]", like="f32[B, 2]", y="f32[B, 3, 6]"),
    )
    rejects = (
        Reject("{to: [5]}", x="f32[B, 4]", code=Code.D402),
        Reject("{to: [5]}", x="f32[B, T]", code=Code.D402),
        Reject("{to: [5]}", x="f32[B, 1, 1]", code=Code.D401),
        Reject("{}", x="f32[B, 4]", code=Code.D401),
        Reject("{to: [0]}", x="f32[B, 1]", code=Code.E202),
    )

    def check(self) -> None:
        check_sizes(self.name, self.to or (), 1)

    def infer(self, x: TensorType, like: TensorType | None = None) -> TensorType:
        if like is None and self.to is None:
            raise Refusal(
                Code.D401,
                "`expand` needs sizes or a tensor to be like, found neither",
                help="give `expand: {to: [...]}` or wire the port `like`",
            )
        need_batch(self.name, x if like is None else like)
        return x.with_shape(self._shape(x, like))

    def _shape(self, x: TensorType, like: TensorType | None) -> tuple[Dim, ...]:
        batch, sample = (x.shape[0], x.shape[1:]) if like is None else (like.shape[0], x.shape)
        to = sample if self.to is None else self.to
        message = f"`expand` to {shape_text(to)} a sample cannot serve {x}"
        if len(sample) > len(to):
            raise Refusal(
                Code.D401, message, label=f"{len(sample)} axes a sample, {len(to)} wanted"
            )
        if like is None and len(sample) < len(to):
            raise Refusal(
                Code.D401,
                message,
                label=f"{len(sample)} axes a sample, {len(to)} wanted",
                help="`unsqueeze` inserts an axis of size 1",
            )
        pairs = list(zip(reversed(sample), reversed(to), strict=False))
        for axis, (size, wanted) in enumerate(pairs, 1):
            if size != 1 and equal(size, wanted) is not True:
                label = f"axis {len(to) + 1 - axis}: {size} and {wanted}"
                raise Refusal(Code.D402, message, label=label)
        return (batch, *to)

    def stream(
        self, s: Streamer, x: Streamed, like: Streamed | None = None
    ) -> tuple[Streamed, ...]:
        (y,) = s.apply(self, x.value, value_of(like))
        if x.axis is not None:
            return (Streamed(y, x.axis - x.value.type.rank + y.type.rank),)
        places = [axis for axis, size in enumerate(y.type.shape) if equal(size, s.time) is True]
        if places and not x.settled:
            raise unstreamable("needs the end of the sequence at every step")
        return (Streamed(y, places[0] if places else None, x.settled),)

    def torch(self, x: TensorType, like: TensorType | None = None) -> Torch:
        shape = self._shape(x, like)
        own = dict(enumerate(x.shape, len(shape) - x.rank))
        numbers = {f"size{i}": size for i, size in enumerate(shape) if size != own.get(i)}
        shown = (f"{{size{i}}}" if f"size{i}" in numbers else "-1" for i in range(len(shape)))
        return Torch(expression=f"{{x}}.expand({', '.join(shown)})", numbers=numbers)

    def onnx(self, e: Emitter, x: Handle, like: Handle | None = None) -> Handle:
        return e.op("Expand", x, e.sizes(e.outputs[0].shape))
