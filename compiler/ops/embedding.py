"""Numbers into vectors: token ids, classes, positions and times."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim, symbols
from ..ir.graph import Parameter
from ..ir.proofs import at_least
from ..ir.shapes import DType, TensorType, elements
from .arithmetic import ONNX_DTYPES
from .attention_onnx import positions
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Op,
    Port,
    Refusal,
    Reject,
    Torch,
    attribute,
    register,
)
from .checks import INTEGERS, need_axis, need_float, need_integers
from .linear import static_size
from .streamed import Axes, Streamed, Streamer
from .streaming import same_axis, unstreamable
from .weights import Init


@register
class Embedding(Op):
    """Look up a learned vector for each id.

    Inputs:  x: i64[*] or i32[*], ids in [0, size)
    Outputs: y: f32[*, dim]
    Errors:  D401 x does not hold int64 or int32. E202 `pad_id` is not below `size`.
    Source:  torch.nn.Embedding; ONNX Gather. Ids outside the range are an error in torch and in
             ONNX Runtime when they are looked up.
    """

    stream_axis = same_axis
    size: int = attribute(minimum=1, doc="How many different ids there are.")
    dim: int = attribute(minimum=1, doc="Size of each vector.")
    pad_id: int | None = attribute(
        default=None, minimum=0, doc="The id whose vector is 0 and is not trained."
    )
    init: Init | None = attribute(
        default=None, doc="How the table starts; normal with std 1 unless given."
    )

    examples = (
        Example("{size: 10, dim: 4}", x="i64[B, T]", ranges={"x": (0, 10)}, y="f32[B, T, 4]"),
        Example("{size: 5, dim: 3, pad_id: 0}", x="i64[B]", ranges={"x": (0, 5)}, y="f32[B, 3]"),
        Example(
            "{size: 6, dim: 2, pad_id: 5, init: {normal: {std: 0.02}}}",
            x="i32[B, 3, W]",
            ranges={"x": (0, 6)},
            y="f32[B, 3, W, 2]",
        ),
    )
    rejects = (
        Reject("{size: 10, dim: 4}", x="f32[B, T]", code=Code.D401),
        Reject("{size: 10, dim: 4, pad_id: 10}", x="i64[B, T]", code=Code.E202),
    )

    def check(self) -> None:
        if self.pad_id is not None and self.pad_id >= self.size:
            raise Refusal(
                Code.E202,
                f"`embedding` needs pad_id < size, found pad_id {self.pad_id}, size {self.size}",
                help=f"ids run from 0 to {self.size - 1}",
            )

    def infer(self, x: TensorType) -> TensorType:
        need_integers(self.name, x)
        return TensorType(DType.F32, (*x.shape, self.dim))

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        return (Parameter("weight", (self.size, self.dim)),)

    def torch(self, x: TensorType) -> Torch:
        padded = self.pad_id is not None
        init = self.init.statements(bias=False) if self.init else ()
        if padded and init:
            init = (*init, f"nn.init.zeros_({{self}}.weight.data[{self.pad_id}])")
        kwargs = {"padding_idx": self.pad_id} if padded else {}
        return Torch(module=Construct("nn.Embedding", (self.size, self.dim), kwargs), init=init)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Gather", e.weight("weight"), x, axis=0)


@register
class OneHot(Op):
    """Write each class number as a vector of zeros with a one at its place.

    Inputs:  x: i64[*] or i32[*], numbers in [0, classes)
    Outputs: y: f32[*, classes], or with the classes at `axis`
    Errors:  D401 x does not hold int64 or int32, or `axis` does not exist or is the batch.
    Source:  torch.nn.functional.one_hot; ONNX OneHot. A number outside the range is an error in
             torch; ONNX counts a negative one from the end and gives zeros beyond.
    """

    classes: int = attribute(main=True, minimum=1, doc="How many classes there are.")
    axis: int = attribute(
        default=-1, doc="The place of the classes in the output, the batch counted as 0."
    )

    examples = (
        Example("{classes: 4}", x="i64[B]", ranges={"x": (0, 4)}, y="f32[B, 4]"),
        Example(
            "{classes: 3, axis: 1}", x="i64[B, H, W]", ranges={"x": (0, 3)}, y="f32[B, 3, H, W]"
        ),
        Example("{classes: 5}", x="i32[B, T]", ranges={"x": (0, 5)}, y="f32[B, T, 5]"),
    )
    rejects = (
        Reject("{classes: 4}", x="f32[B]", code=Code.D401),
        Reject("{classes: 4, axis: 0}", x="i64[B]", code=Code.D401),
        Reject("{classes: 4, axis: 2}", x="i64[B]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_integers(self.name, x)
        axis = self._place(x)
        return TensorType(DType.F32, (*x.shape[:axis], self.classes, *x.shape[axis:]))

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        (axis,) = axes
        assert axis is not None
        return axis + (self._place(x) <= axis)

    def _place(self, x: TensorType) -> int:
        return need_axis(self.name, x, self.axis, rank=x.rank + 1)

    def torch(self, x: TensorType) -> Torch:
        ids = "{x}" if x.dtype is DType.I64 else "{x}.long()"
        moved = "" if self._place(x) == x.rank else f".movedim(-1, {self.axis})"
        return Torch(
            expression=f"F.one_hot({ids}, {{classes}}){moved}.float()",
            numbers={"classes": self.classes},
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        import numpy as np

        (given,) = e.inputs
        assert given is not None
        ids = x if given.dtype is DType.I64 else e.op("Cast", x, to=ONNX_DTYPES[DType.I64])
        zero_and_one = e.array(np.array([0.0, 1.0], np.float32))
        return e.op("OneHot", ids, e.ints([self.classes]), zero_and_one, axis=self.axis)


class Positions(Op):
    """A table of vectors, one for each position along an axis."""

    length: int = attribute(main=True, minimum=1, doc="The largest number of positions.")
    axis: int = attribute(default=1, doc="The axis of the positions, the batch counted as 0.")
    init: Init | None = attribute(
        default=None, doc="How the table starts; normal with std 0.02 unless given."
    )

    def parameters(self, x: TensorType, *more: TensorType) -> tuple[Parameter, ...]:
        return (Parameter("", (self.length, static_size(self.name, x, -1))),)

    def flops(self, x: TensorType, *more: TensorType) -> Dim:
        return elements(x.shape)

    def _between(self, x: TensorType) -> int:
        """How many axes stand between the positions and the features."""
        return x.rank - 2 - need_axis(self.name, x, self.axis)


@register
class PositionEmbedding(Positions):
    """Add a learned vector for each position along an axis.

    The table is one tensor [length, C] at the layer's own path; a shorter input takes its first
    rows. It starts normal with std 0.02, as in BERT.

    Inputs:  x: f32[B, T, C], or more axes between, of which `axis` holds the positions
    Outputs: y: f32[B, T, C]
    Errors:  D404 the axis is, or may be, longer than `length`. D401 x does not hold
             floating-point numbers, has no such axis, it is the batch or the last, or the last
             size is symbolic.
    Source:  Gehring et al. 2017, section 3.1; ONNX Slice and Add.
    """

    examples = (
        Example("{length: 6}", x="f32[B, 6, 4]", y="f32[B, 6, 4]"),
        Example("{length: 9}", bounds={"T": (1, 9)}, x="f32[B, T, 4]", y="f32[B, T, 4]"),
        Example("{length: 5, axis: 1}", x="f32[B, 3, 2, 4]", y="f32[B, 3, 2, 4]"),
        Example("{length: 2, axis: 2, init: zeros}", x="f32[B, H, 2, 4]", y="f32[B, H, 2, 4]"),
    )
    rejects = (
        Reject("{length: 5}", x="f32[B, 6, 4]", code=Code.D404),
        Reject("{length: 5}", x="f32[B, T, 4]", code=Code.D404),
        Reject("{length: 5}", x="f32[B, 4]", code=Code.D401),
        Reject("{length: 5}", x="f32[B, 4, C]", code=Code.D401),
        Reject("{length: 5}", x="i64[B, 4, 3]", code=Code.D401),
        Reject("{length: 5, axis: 0}", x="f32[B, 4, 3]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        axis = need_axis(self.name, x, self.axis)
        if axis == x.rank - 1:
            raise Refusal(
                Code.D401,
                f"`position_embedding` needs an axis of features behind axis {axis}, found {x}",
                label="the last axis holds the features",
            )
        static_size(self.name, x, -1)
        self._check_length(x, x.shape[axis])
        return x

    def _check_length(self, x: TensorType, size: Dim) -> None:
        if at_least(self.length, size) is True:
            return
        names = ", ".join(sorted(map(str, symbols(size))))
        raise Refusal(
            Code.D404,
            f"`position_embedding` needs at most {self.length} positions, found {size} in {x}",
            label=f"{size} positions",
            help=f"declare `dims: {{{names}: {{max: {self.length}}}}}`, or make `length` larger"
            if names
            else f"make `length` at least {size}",
        )

    def torch(self, x: TensorType) -> Torch:
        axis, between = need_axis(self.name, x, self.axis), self._between(x)
        whole = x.shape[axis] == self.length
        rows = ":" if whole else f": {{x}}.shape[{axis}]"
        index = "" if whole and not between else f"[{rows}{', None' * between}]"
        init = self.init or Init("normal", std=0.02)
        return Torch(
            expression=f"{{x}} + {{self}}{index}",
            parameter=Construct("torch.zeros", (self.parameters(x)[0].shape,)),
            init=(init.statement("{self}"),),
        )

    stream_axis = same_axis

    def stream(self, s: Streamer, x: Streamed) -> tuple[Streamed, ...]:
        """Positions are counted on from chunk to chunk."""
        if need_axis(self.name, x.value.type, self.axis) != x.axis:
            return s.each_step(self, x)
        if s.tied:
            raise unstreamable("has a table that is tied to another layer's")
        given = {name: getattr(self, name) for name in self.attributes}
        (y,) = s.apply(PositionsFrom(**given), x.value, s.seen())
        return (Streamed(y, x.axis),)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        (given,) = e.inputs
        assert given is not None
        table, axis = e.weight(""), need_axis(self.name, given, self.axis)
        size, between = given.shape[axis], self._between(given)
        if size != self.length:
            table = e.op("Slice", table, e.ints([0]), e.sizes([size]), e.ints([0]))
        if between:
            table = e.op("Unsqueeze", table, e.ints(range(1, between + 1)))
        return e.op("Add", x, table)


ROWS_FROM = Helper(
    "rows_from",
    '''def rows_from(table, first, count):
    """`count` rows of a table from `first` on, an i64[]; a row beyond its end is an error."""
    return table[first + torch.arange(count, device=table.device)]
''',
)


class PositionsFrom(Positions):
    """The same from a position on, seen: i64[]; one beyond the table is an error at run time."""

    name = "position_embedding"
    ports = (Port("x"), Port("seen"))

    def infer(self, x: TensorType, seen: TensorType) -> TensorType:
        return x

    def torch(self, x: TensorType, seen: TensorType) -> Torch:
        axis, between = need_axis(self.name, x, self.axis), self._between(x)
        rows = f"rows_from({{self}}, {{seen}}, {{x}}.shape[{axis}])"
        index = f"[:{', None' * between}]" if between else ""
        return Torch(expression=f"{{x}} + {rows}{index}", helper=ROWS_FROM)

    def onnx(self, e: Emitter, x: Handle, seen: Handle) -> Handle:
        given = e.inputs[0]
        assert given is not None
        size, between = given.shape[need_axis(self.name, given, self.axis)], self._between(given)
        places = e.op("Add", positions(e, size), seen)
        rows = e.op("Gather", e.weight(""), places, axis=0)
        if between:
            rows = e.op("Unsqueeze", rows, e.ints(range(1, between + 1)))
        return e.op("Add", x, rows)


SINUSOIDAL = Helper(
    "SinusoidalEmbedding",
    '''class SinusoidalEmbedding(nn.Module):
    """Cosines, then sines, of t at `dim // 2` frequencies from 1 down to 1 / max_period."""

    def __init__(self, dim: int, max_period: float) -> None:
        super().__init__()
        half = dim // 2
        frequencies = [max_period ** (-i / half) for i in range(half)]
        self.register_buffer("frequencies", torch.tensor(frequencies), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t.unsqueeze(-1) * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=-1)
''',
)


@register
class SinusoidalEmbedding(Op):
    """Write a number, such as a diffusion step or a noise level, as cosines and sines.

    With h = dim / 2 the output is cos(t w_0), ..., cos(t w_{h-1}), sin(t w_0), ..., sin(t w_{h-1})
    with the frequencies w_i = max_period^(-i/h). They are constants, not stored with the weights.

    Inputs:  t: f32[B], i64[B] or i32[B]; further axes are kept
    Outputs: y: f32[B, dim]
    Errors:  D401 t does not hold f32, int64 or int32. E202 `dim` is odd.
    Source:  the frequencies of Vaswani et al. 2017, section 3.5; cosines first, as in
             timestep_embedding of Nichol and Dhariwal 2021 (DDPM of Ho et al. 2020 puts sines first
             and divides by h - 1); ONNX Mul, Cos, Sin and Concat.
    """

    stream_axis = same_axis
    dim: int = attribute(main=True, minimum=2, doc="Size of the vector, an even number.")
    max_period: float = attribute(
        default=10000.0, above=1, doc="The largest period is a little below 2 pi times this."
    )

    ports = (Port("t"),)
    examples = (
        Example("{dim: 8}", t="f32[B]", y="f32[B, 8]"),
        Example("{dim: 6, max_period: 100}", t="i64[B]", ranges={"t": (0, 1000)}, y="f32[B, 6]"),
        Example("{dim: 2}", t="f32[B, T]", y="f32[B, T, 2]"),
    )
    rejects = (
        Reject("{dim: 7}", t="f32[B]", code=Code.E202),
        Reject("{dim: 8}", t="bool[B]", code=Code.D401),
    )

    def check(self) -> None:
        if self.dim % 2:
            raise Refusal(
                Code.E202,
                f"`sinusoidal_embedding` needs an even dim, found {self.dim}",
                help="half are cosines and half are sines",
            )

    def infer(self, t: TensorType) -> TensorType:
        if t.dtype is not DType.F32 and t.dtype not in INTEGERS:
            raise Refusal(
                Code.D401,
                f"`sinusoidal_embedding` needs float32 numbers or integers, found {t}",
                label=f"elements of type {t.dtype}",
            )
        return TensorType(DType.F32, (*t.shape, self.dim))

    def flops(self, t: TensorType) -> Dim:
        return 2 * elements(t.shape) * self.dim

    def torch(self, t: TensorType) -> Torch:
        module = Construct("SinusoidalEmbedding", (self.dim, self.max_period))
        return Torch(module=module, helper=SINUSOIDAL)

    def onnx(self, e: Emitter, t: Handle) -> Handle:
        import numpy as np

        (given,) = e.inputs
        assert given is not None
        half = self.dim // 2
        frequencies = np.array([self.max_period ** (-i / half) for i in range(half)], np.float32)
        number = t if given.dtype is DType.F32 else e.op("Cast", t, to=ONNX_DTYPES[DType.F32])
        column = e.op("Unsqueeze", number, e.ints([-1]))
        angles = e.op("Mul", column, e.array(frequencies))
        return e.op("Concat", e.op("Cos", angles), e.op("Sin", angles), axis=-1)
