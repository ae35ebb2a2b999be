"""Pooling to a size that does not depend on the input's. The channels are axis 1."""

from __future__ import annotations

from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim, Poly, symbols
from ..ir.proofs import divisible
from ..ir.shapes import TensorType, elements
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Op,
    Refusal,
    Reject,
    Torch,
    attribute,
    register,
)
from .checks import need_float
from .spatial import Spatial, compact, require_rank
from .streaming import all_steps


@register
class AdaptiveAvgPool2d(Spatial):
    """Average an image down to a fixed size, whatever its own size is.

    Output i of n averages the elements floor(i H / n) to ceil((i + 1) H / n) of an axis.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, C, size, size]
    Errors:  D401 x has other axes; D404 H or W is symbolic and neither provably a multiple of its
             `size` nor reduced to 1: the windows would depend on a size that is not known.
    Source:  torch.nn.AdaptiveAvgPool2d; ONNX GlobalAveragePool, AveragePool where the size divides,
             otherwise MatMul with constant weights.
    """

    axes = 2
    stream_axis = all_steps
    size: tuple[int, ...] = attribute(
        main=True, spread=2, minimum=1, doc="Size of the output, one number or one per axis."
    )

    examples = (
        Example("{size: 1}", x="f32[B, 3, H, W]", y="f32[B, 3, 1, 1]"),
        Example("{size: 2}", x="f32[B, 3, 8, 6]", y="f32[B, 3, 2, 2]"),
        Example("{size: [3, 7]}", x="f32[B, 2, 8, 5]", y="f32[B, 2, 3, 7]"),
        Example("{size: [2, 1]}", x="f32[B, 2, 5, W]", y="f32[B, 2, 2, 1]"),
        Example("{size: [2, 3]}", x="f32[B, 2, 2*H, 3*W]", y="f32[B, 2, 2, 3]"),
        Example("{size: 4}", x="f32[B, 2, 4, 4]", y="f32[B, 2, 4, 4]"),
    )
    rejects = (
        Reject("{size: 1}", x="f32[B, 3, 8]", code=Code.D401),
        Reject("{size: 7}", x="f32[B, 3, H, W]", code=Code.D404),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, 4)
        for axis, (size, wanted) in enumerate(zip(x.shape[2:], self.size, strict=True), 2):
            if isinstance(size, Poly) and wanted > 1 and not divisible(size, wanted):
                raise self._unknown_windows(x, axis, size, wanted)
        return x.with_shape((*x.shape[:2], *self.size))

    def _unknown_windows(self, x: TensorType, axis: int, size: Poly, wanted: int) -> Refusal:
        names = sorted(symbol.name for symbol in symbols(size))
        return Refusal(
            Code.D404,
            f"`{self.name}` to size {wanted} needs a fixed size or a multiple of {wanted} along "
            f"axis {axis}, found {x}",
            label=f"the windows would depend on `{size}`",
            help=f"declare `dims: {{{names[0]}: {{multiple_of: {wanted}}}}}`, fix the size in the "
            "network's inputs, or use `size: 1`",
        )

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)

    def window(self, x: TensorType) -> None:
        return None

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct("nn.AdaptiveAvgPool2d", (compact(self.size),)))

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        given = e.inputs[0]
        assert given is not None
        sizes = given.shape[2:]
        if sizes == self.size:
            return e.op("Identity", x)
        if self.size == (1, 1):
            return e.op("GlobalAveragePool", x)
        static = [s for s in sizes if isinstance(s, int)]
        if len(static) == 2 and not any(s % n for s, n in zip(static, self.size, strict=True)):
            steps = [s // n for s, n in zip(static, self.size, strict=True)]
            return e.op("AveragePool", x, kernel_shape=steps, strides=steps)
        return self._rows(e, self._columns(e, x, sizes[1]), sizes[0])

    def _columns(self, e: Emitter, x: Handle, size: Dim) -> Handle:
        """Average axis 3, the first of the two."""
        wanted = self.size[1]
        if wanted == 1:
            return e.op("ReduceMean", x, e.ints([3]), keepdims=1)
        if isinstance(size, int):
            return e.op("MatMul", x, e.array(_window_weights(size, wanted).T))
        windows = e.op("Reshape", x, e.ints([0, 0, 0, wanted, -1]))
        return e.op("ReduceMean", windows, e.ints([4]), keepdims=0)

    def _rows(self, e: Emitter, x: Handle, size: Dim) -> Handle:
        """Average axis 2; axis 3 has its new size already."""
        wanted, columns = self.size
        if wanted == 1:
            return e.op("ReduceMean", x, e.ints([2]), keepdims=1)
        if isinstance(size, int):
            return e.op("MatMul", e.array(_window_weights(size, wanted)), x)
        windows = e.op("Reshape", x, e.ints([0, 0, wanted, -1, columns]))
        return e.op("ReduceMean", windows, e.ints([3]), keepdims=0)


def _window_weights(size: int, wanted: int) -> Any:
    """f32[wanted, size]: row i holds 1/n at the n elements that output i averages."""
    import numpy as np

    weights = np.zeros((wanted, size), dtype=np.float32)
    for row in range(wanted):
        start, stop = row * size // wanted, -(-(row + 1) * size // wanted)
        weights[row, start:stop] = 1 / (stop - start)
    return weights


class GlobalPooling(Op):
    """Every axis behind the channels reduced away."""

    stream_axis = all_steps

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        if x.rank < 3:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs an axis behind the channels, found {x}",
                label=f"this has {x.rank} {'axis' if x.rank == 1 else 'axes'}",
            )
        return x.with_shape(x.shape[:2])

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)

    def window(self, x: TensorType) -> None:
        return None


@register
class GlobalAvgPool(GlobalPooling):
    """Average all positions of each channel.

    Inputs:  x: f32[B, C, *], at least one axis behind C
    Outputs: y: f32[B, C]
    Errors:  D401 x has no axis behind the channels, or does not hold floating-point numbers.
    Source:  Lin et al. 2014, "Network In Network"; torch.mean; ONNX ReduceMean.
    """

    examples = (
        Example("{}", x="f32[B, 3, H, W]", y="f32[B, 3]"),
        Example("{}", x="f32[B, 3, T]", y="f32[B, 3]"),
    )
    rejects = (Reject("{}", x="f32[B, 3]", code=Code.D401),)

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression="{x}.mean(dim={axes})", numbers={"axes": tuple(range(2, x.rank))})

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        assert e.inputs[0] is not None
        return e.op("ReduceMean", x, e.ints(range(2, e.inputs[0].rank)), keepdims=0)


@register
class GlobalMaxPool(GlobalPooling):
    """Keep the largest element of each channel.

    Inputs:  x: f32[B, C, *], at least one axis behind C
    Outputs: y: f32[B, C]
    Errors:  D401 x has no axis behind the channels, or does not hold floating-point numbers.
    Source:  torch.amax; ONNX ReduceMax.
    """

    examples = (
        Example("{}", x="f32[B, 3, H, W]", y="f32[B, 3]"),
        Example("{}", x="f32[B, 3, T]", y="f32[B, 3]"),
    )
    rejects = (Reject("{}", x="f32[B, 3]", code=Code.D401),)

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression="{x}.amax(dim={axes})", numbers={"axes": tuple(range(2, x.rank))})

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        assert e.inputs[0] is not None
        return e.op("ReduceMax", x, e.ints(range(2, e.inputs[0].rank)), keepdims=0)
