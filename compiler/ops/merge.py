"""Several tensors into one: arithmetic, concatenation and matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import ClassVar

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import DType, TensorType, elements
from .agreement import broadcast, disagreement, listing, mismatches, need_one_dtype
from .base import Emitter, Example, Handle, Op, Port, Refusal, Reject, Torch, attribute, register
from .checks import need_axis, need_float, number_for
from .streamed import Axes
from .streaming import stays, unstreamable

ARITHMETIC_EXAMPLES = (
    Example("{}", inputs=["f32[B, 8]", "f32[B, 8]"], y="f32[B, 8]"),
    Example("{}", inputs=["f32[B, 3, H, W]", "f32[B, 3, H, W]"], y="f32[B, 3, H, W]"),
    Example(
        "{broadcast: true}", inputs=["f32[B, 3, H, W]", "f32[B, 3, 1, 1]"], y="f32[B, 3, H, W]"
    ),
    Example("{broadcast: true}", inputs=["f32[6]", "f32[B, T, 6]"], y="f32[B, T, 6]"),
    Example("{broadcast: true}", inputs=["f32[B, 1, 4]", "f32[B, 5, 1]"], y="f32[B, 5, 4]"),
    Example("{value: 0.5}", inputs=["f32[B, T, 6]"], y="f32[B, T, 6]"),
)
ARITHMETIC_REJECTS = (
    Reject("{}", inputs=["f32[B, 16, 8]", "f32[B, 32, 8]"], code=Code.D402),
    Reject("{}", inputs=["f32[B, 3, H, W]", "f32[B, 3, 1, 1]"], code=Code.D402),
    Reject("{}", inputs=["f32[B, H]", "f32[B, W]"], code=Code.D402),
    Reject("{}", inputs=["f32[B, 3]", "f32[B, 3, 1]"], code=Code.D402),
    Reject("{broadcast: true}", inputs=["f32[B, 3]", "f32[B, T]"], code=Code.D402),
    Reject("{}", inputs=["f32[B, 3]", "i64[B, 3]"], code=Code.D401),
    Reject("{}", inputs=["f32[B, 3]"], code=Code.D401),
    Reject("{value: 2}", inputs=["f32[B, 3]", "f32[B, 3]"], code=Code.D401),
    Reject("{value: 2, broadcast: true}", inputs=["f32[B, 3]"], code=Code.E202),
)


class Arithmetic(Op):
    """An operation on elements that stand at the same place."""

    value: float | None = attribute(
        default=None, main=True, doc="A number that takes the place of the second input."
    )
    broadcast: bool = attribute(
        default=False,
        doc="Repeat axes of size 1, and missing axes at the front, as numpy does; without it the "
        "inputs must have equal shapes.",
    )

    ports = (Port("inputs", variadic=True, least=1),)
    examples: ClassVar[Sequence[Example]] = ARITHMETIC_EXAMPLES
    rejects: ClassVar[Sequence[Reject]] = ARITHMETIC_REJECTS
    sign: ClassVar[str]
    dtypes: ClassVar[tuple[DType, ...]] = (
        *filter(lambda d: d.is_float, DType),
        DType.I64,
        DType.I32,
    )
    most: ClassVar[int | None] = None

    def check(self) -> None:
        if self.value is not None and self.broadcast:
            raise Refusal(
                Code.E202,
                f"`{self.name}` takes a number or `broadcast`, found both",
                help="leave out `broadcast`; a number fits any shape",
            )

    def infer(self, *inputs: TensorType) -> TensorType:
        self._check_inputs(inputs)
        result = inputs[0]
        for x in inputs[1:]:
            result = result.with_shape(self._joined(result, x, inputs))
        return result

    def _check_inputs(self, inputs: tuple[TensorType, ...]) -> None:
        self._check_count(len(inputs))
        need_one_dtype(self.name, inputs)
        if inputs[0].dtype not in self.dtypes:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs elements of type {listing(self.dtypes)}, found {inputs[0]}",
                label=f"elements of type {inputs[0].dtype}",
                help="turn them into floating-point numbers with `cast: float32` first",
            )
        if self.value is not None:
            number_for(self.name, inputs[0], self.value)

    def _check_count(self, count: int) -> None:
        if self.value is not None and count > 1:
            raise Refusal(Code.D401, f"`{self.name}` with a number takes one input, found {count}")
        if self.value is None and count < 2:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs two inputs or a number, found one input",
                help=f"name the inputs, `from: [main, skip]`, or give a number, `{self.name}: 2`",
            )
        if self.most is not None and count > self.most:
            raise Refusal(Code.D401, f"`{self.name}` takes {self.most} inputs, found {count}")

    def _joined(
        self, left: TensorType, right: TensorType, inputs: tuple[TensorType, ...]
    ) -> tuple[Dim, ...]:
        if self.broadcast:
            shape, wrong = broadcast(left.shape, right.shape)
            if not wrong:
                return shape
            raise disagreement(
                f"`{self.name}` needs shapes that broadcast, found {listing(inputs)}", wrong
            )
        message = f"`{self.name}` needs equal shapes, found {listing(inputs)}"
        fits = not broadcast(left.shape, right.shape)[1]
        hint = f"`{self.name}: {{broadcast: true}}` repeats the axes of size 1" if fits else ""
        if left.rank != right.rank:
            raise Refusal(Code.D402, message, label=f"{left.rank} and {right.rank} axes", help=hint)
        if wrong := mismatches(left.shape, right.shape):
            raise disagreement(message, wrong, hint)
        return left.shape

    def flops(self, *inputs: TensorType) -> Dim:
        return elements(self.infer(*inputs).shape) * max(len(inputs) - 1, 1)

    def stream_axis(self, axes: Axes, *inputs: TensorType) -> int:
        pairs = zip(axes, inputs, strict=True)
        from_end = {axis - x.rank for axis, x in pairs if axis is not None}
        if len(from_end) > 1:
            raise unstreamable("compares each step with others")
        return self.infer(*inputs).rank + from_end.pop()

    def torch(self, *inputs: TensorType) -> Torch:
        if self.value is None:
            places = (f"{{{place}}}" for place in range(len(inputs)))
            return Torch(expression=f" {self.sign} ".join(places))
        value = number_for(self.name, inputs[0], self.value)
        return Torch(expression=f"{{0}} {self.sign} {{value}}", numbers={"value": value})

    def onnx(self, e: Emitter, *inputs: Handle) -> Handle:
        result, *others = inputs if self.value is None else (inputs[0], e.scalar(self.value))
        for x in others:
            result = e.op(type(self).__name__, result, x)
        return result


@register
class Add(Arithmetic):
    """Add tensors of equal shapes, or a number to each element.

    Inputs:  inputs: f32[*], two or more; one where `value` is given
    Outputs: y: f32[*]
    Errors:  D402 shapes are not proved equal (or to broadcast). D401 the element types differ or
             are not numbers, or the count of inputs is wrong. E202 `value` with `broadcast`.
    Source:  torch.add, numpy's broadcasting; ONNX Add.
    """

    sign = "+"
    examples = (
        *ARITHMETIC_EXAMPLES,
        Example("{}", inputs=["f32[B, 8]", "f32[B, 8]", "f32[B, 8]"], y="f32[B, 8]"),
        Example("{value: 1}", inputs=["i64[B, T]"], ranges={"inputs": (0, 9)}, y="i64[B, T]"),
    )
    rejects = (
        *ARITHMETIC_REJECTS,
        Reject("{value: 0.5}", inputs=["i64[B, T]"], code=Code.D401),
        Reject("{value: 1}", inputs=["u8[B, 3]"], code=Code.D401),
    )


@register
class Sub(Arithmetic):
    """Subtract the second tensor from the first, or a number from each element.

    Inputs:  inputs: f32[*], two; one where `value` is given
    Outputs: y: f32[*]
    Errors:  D402 shapes are not proved equal (or to broadcast). D401 the element types differ or
             are not numbers, or the count of inputs is wrong. E202 `value` with `broadcast`.
    Source:  torch.sub, numpy's broadcasting; ONNX Sub.
    """

    sign, most = "-", 2


@register
class Mul(Arithmetic):
    """Multiply tensors of equal shapes element by element, or each element by a number.

    Inputs:  inputs: f32[*], two or more; one where `value` is given
    Outputs: y: f32[*]
    Errors:  D402 shapes are not proved equal (or to broadcast). D401 the element types differ or
             are not numbers, or the count of inputs is wrong. E202 `value` with `broadcast`.
    Source:  torch.mul, numpy's broadcasting; ONNX Mul.
    """

    sign = "*"


@register
class Div(Arithmetic):
    """Divide the first tensor by the second, or each element by a number.

    Inputs:  inputs: f32[*], two; one where `value` is given
    Outputs: y: f32[*]
    Errors:  D402 shapes are not proved equal (or to broadcast). D401 the element types differ or
             are not floating-point, or the count of inputs is wrong. E202 `value` is 0 or
             stands with `broadcast`.
    Source:  torch.div, numpy's broadcasting; ONNX Div.
    """

    sign, most = "/", 2
    dtypes = tuple(d for d in DType if d.is_float)
    rejects = (
        *ARITHMETIC_REJECTS,
        Reject("{value: 0}", inputs=["f32[B, 3]"], code=Code.E202),
        Reject("{value: 2}", inputs=["i64[B, 3]"], code=Code.D401),
    )

    def check(self) -> None:
        super().check()
        if self.value == 0:
            raise Refusal(Code.E202, "`div` needs a number other than 0, found 0")


@register
class Concat(Op):
    """Join tensors end to end along an axis.

    Inputs:  inputs: f32[B, *], two or more; any element type
    Outputs: y: f32[B, *], the sizes along the axis added up
    Errors:  D402 the sizes along another axis are not proved equal. D401 the element types or
             the counts of axes differ, there is no such axis, or it is the batch.
    Source:  torch.cat; ONNX Concat.
    """

    axis: int = attribute(
        default=1, main=True, doc="The axis to join along, the batch counted as 0."
    )

    ports = (Port("inputs", variadic=True, least=2),)
    examples = (
        Example("{}", inputs=["f32[B, 3, H, W]", "f32[B, 5, H, W]"], y="f32[B, 8, H, W]"),
        Example("{axis: -1}", inputs=["f32[B, T, 3]", "f32[B, T, 4]"], y="f32[B, T, 7]"),
        Example(
            "{axis: 1}",
            inputs=["f32[B, 1, 6]", "f32[B, T, 6]", "f32[B, T, 6]"],
            y="f32[B, 2*T + 1, 6]",
        ),
    )
    rejects = (
        Reject("{}", inputs=["f32[B, 3, 8, 8]", "f32[B, 3, 4, 4]"], code=Code.D402),
        Reject("{axis: 0}", inputs=["f32[B, 3]", "f32[B, 3]"], code=Code.D401),
        Reject("{axis: 2}", inputs=["f32[B, 3]", "f32[B, 3]"], code=Code.D401),
        Reject("{}", inputs=["f32[B, 3]", "f32[B, 3, 1]"], code=Code.D401),
        Reject("{}", inputs=["f32[B, 3]", "i64[B, 3]"], code=Code.D401),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        need_one_dtype(self.name, inputs)
        axis = need_axis(self.name, inputs[0], self.axis)
        for x in inputs[1:]:
            self._check_pair(inputs[0], x, axis)
        total: Dim = 0
        for x in inputs:
            total = total + x.shape[axis]
        return inputs[0].with_axis(axis, total)

    def _check_pair(self, first: TensorType, x: TensorType, axis: int) -> None:
        if first.rank != x.rank:
            raise Refusal(
                Code.D401,
                f"`concat` needs inputs with the same number of axes, found {first} and {x}",
                label=f"{first.rank} and {x.rank} axes",
            )
        others = [other for other in range(first.rank) if other != axis]
        if wrong := mismatches(first.shape, x.shape, others):
            raise disagreement(
                f"`concat` along axis {axis} needs the other sizes equal, found {first} and {x}",
                wrong,
            )

    def stream_axis(self, axes: Axes, *inputs: TensorType) -> int:
        return stays(axes, need_axis(self.name, inputs[0], self.axis), what="joins")

    def torch(self, *inputs: TensorType) -> Torch:
        return Torch(expression="torch.cat([{inputs}], dim={axis})", numbers={"axis": self.axis})

    def onnx(self, e: Emitter, *inputs: Handle) -> Handle:
        return e.op("Concat", *inputs, axis=self.axis)


def _product_axis(left: int | None, right: int | None) -> int | None:
    """The axis of time in a product, all counted from the end."""
    summed = left == -1 or right == -2
    if summed or (left is not None and right is not None and (left != right or left == -2)):
        raise unstreamable("multiplies steps with steps")
    return right if left is None else left


@register
class Matmul(Op):
    """Multiply matrices, which are the last two axes; axes before them broadcast as in numpy.

    Inputs:  inputs: f32[*, M, K] and f32[*, K, N], or more, multiplied from left to right
    Outputs: y: f32[*, M, N]
    Errors:  D402 the inner sizes, or the sizes of the axes before, are not proved to fit. D401 an
             input has fewer than two axes or does not hold floating-point numbers, or the element
             types differ.
    Source:  torch.matmul; ONNX MatMul.
    """

    ports = (Port("inputs", variadic=True, least=2),)
    examples = (
        Example("{}", inputs=["f32[B, 3, 4]", "f32[B, 4, 5]"], y="f32[B, 3, 5]"),
        Example("{}", inputs=["f32[B, 2, T, 4]", "f32[B, 2, 4, T]"], y="f32[B, 2, T, T]"),
        Example("{}", inputs=["f32[B, T, 4]", "f32[4, 6]"], y="f32[B, T, 6]"),
        Example("{}", inputs=["f32[B, 2, 3]", "f32[3, 4]", "f32[B, 4, T]"], y="f32[B, 2, T]"),
    )
    rejects = (
        Reject("{}", inputs=["f32[B, 3, 4]", "f32[B, 5, 4]"], code=Code.D402),
        Reject("{}", inputs=["f32[B, 2, 3, 4]", "f32[B, 3, 4, 5]"], code=Code.D402),
        Reject("{}", inputs=["f32[B]", "f32[B, 4]"], code=Code.D401),
        Reject("{}", inputs=["f32[B, 3]", "f32[3, 4]", "f32[3, 5]"], code=Code.D402),
        Reject("{}", inputs=["i64[B, 3]", "i64[3, 4]"], code=Code.D401),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        need_float(self.name, *inputs)
        need_one_dtype(self.name, inputs)
        return reduce(self._product, inputs)

    def _product(self, left: TensorType, right: TensorType) -> TensorType:
        if left.rank < 2 or right.rank < 2:
            raise Refusal(
                Code.D401, f"`matmul` needs inputs with two axes or more, found {left} and {right}"
            )
        if inner := mismatches((left.shape[-1],), (right.shape[-2],)):
            raise Refusal(
                Code.D402,
                f"`matmul` needs equal inner sizes, found {left} and {right}",
                label=f"{inner[0].left} columns and {inner[0].right} rows",
                help="`transpose` exchanges two axes of an input",
            )
        shape, wrong = broadcast(left.shape[:-2], right.shape[:-2])
        if wrong:
            raise disagreement(
                f"`matmul` needs axes before the last two that fit, found {left} and {right}", wrong
            )
        return left.with_shape((*shape, left.shape[-2], right.shape[-1]))

    def flops(self, *inputs: TensorType) -> Dim:
        total: Dim = 0
        left = inputs[0]
        for right in inputs[1:]:
            inner, left = left.shape[-1], self._product(left, right)
            total = total + 2 * elements(left.shape) * inner
        return total

    def window(self, *inputs: TensorType) -> None:
        return None

    def stream_axis(self, axes: Axes, *inputs: TensorType) -> int:
        """Rows of the first matrix, columns of the last one, or a batch of matrices."""
        pairs = zip(axes, inputs, strict=True)
        places = [None if axis is None else axis - x.rank for axis, x in pairs]
        joined = reduce(_product_axis, places)
        assert joined is not None, "a layer without time needs no rule"
        return self.infer(*inputs).rank + joined

    def torch(self, *inputs: TensorType) -> Torch:
        return Torch(expression=" @ ".join(f"{{{place}}}" for place in range(len(inputs))))

    def onnx(self, e: Emitter, *inputs: Handle) -> Handle:
        return reduce(lambda left, right: e.op("MatMul", left, right), inputs)
