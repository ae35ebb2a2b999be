"""What programs that generate tokens are made of, beside networks and loops.

No spec can use these as layers: objectives put them into programs.
"""

from __future__ import annotations

from typing import Any

from ..ir.shapes import DType, TensorType
from .arithmetic import ONNX_DTYPES
from .base import Emitter, Example, Handle, Op, Port, Size, Torch, attribute, internal
from .checks import need_float, need_integers, need_rank
from .generation_torch import APPEND_TOKEN, DRAW_TOKEN

NO_TOKEN = -1
"""What stands where no token was generated; as a stop token it never comes."""


@internal
class Full(Op):
    """A tensor of one number.

    Inputs:  like: any type[*]; its sizes are those that are symbolic
    Outputs: y: of the given type and sizes
    Errors:  none.
    Source:  torch.full; ONNX ConstantOfShape.
    """

    value: int = attribute(default=0, doc="The number.")
    dtype: str = attribute(default="f32", choices=("f32", "i64", "bool"), doc="The elements' type.")
    shape: tuple[Size, ...] = attribute(doc="Sizes, which may be symbolic.")

    ports = (Port("like"),)
    examples = (
        Example("{shape: [2, 3]}", like="i64[B]", y="f32[2, 3]"),
        Example("{shape: [4], value: -1, dtype: i64}", like="f32[B, 3]", y="i64[4]"),
    )

    def infer(self, like: TensorType) -> TensorType:
        return TensorType(DType(self.dtype), tuple(self.shape))

    def torch(self, like: TensorType) -> Torch:
        dtype = _TORCH_DTYPES[DType(self.dtype)]
        value = bool(self.value) if self.dtype == "bool" else self.value
        return Torch(
            expression=f"torch.full({{shape}}, {value}, dtype={dtype}, device={{like}}.device)",
            numbers={"shape": tuple(self.shape)},
        )

    def onnx(self, e: Emitter, like: Handle) -> Handle:
        filled = e.op("ConstantOfShape", e.sizes(list(self.shape)), value=_one(self.value))
        return e.op("Cast", filled, to=ONNX_DTYPES[DType(self.dtype)])


@internal
class SizeOf(Op):
    """A size as a number.

    Inputs:  like: any type[*], which has the size or from whose sizes it follows
    Outputs: y: i64[]
    Errors:  none.
    Source:  torch.Tensor.shape; ONNX Shape.
    """

    size: Size = attribute(main=True, doc="The size.")

    ports = (Port("like"),)
    examples = (Example("{size: 3}", like="f32[B]", y="i64[]"),)

    def infer(self, like: TensorType) -> TensorType:
        return TensorType(DType.I64, ())

    def torch(self, like: TensorType) -> Torch:
        return Torch(
            expression="torch.tensor({size}, device={like}.device)", numbers={"size": self.size}
        )

    def onnx(self, e: Emitter, like: Handle) -> Handle:
        return e.op("Squeeze", e.sizes([self.size]), e.ints([0]))


@internal
class DrawToken(Op):
    """Draw one of K tokens by its probability, as a given random number says.

    It is the first whose cumulative probability is above the random number. The probabilities are
    the softmax of scores / temperature over the `top_k` tokens with the highest scores (and those
    whose scores equal the last of them).

    Inputs:  scores: f32[B, K]
             random: f32[B], each in [0, 1)
             temperature: f32[]; below 1 likely tokens get likelier; 0 takes the likeliest
             top_k: i64[]; 0 for all
    Outputs: token: i64[B] in [0, K)
    Errors:  D401 other axes or element types.
    Source:  inversion of the distribution function, Devroye 1986, section III.2; top-k sampling,
             Fan et al. 2018, section 5.4; ONNX TopK, Softmax and CumSum.
    """

    ports = (Port("scores"), Port("random"), Port("temperature"), Port("top_k"))
    examples = (
        Example(
            "{}",
            scores="f32[B, 5]",
            random="f32[B]",
            temperature="f32[]",
            top_k="i64[]",
            ranges={"top_k": (0, 7)},
            outputs={"token": "i64[B]"},
        ),
    )

    def output_ports(self) -> tuple[str, ...]:
        return ("token",)

    def infer(
        self, scores: TensorType, random: TensorType, temperature: TensorType, top_k: TensorType
    ) -> TensorType:
        need_float(self.name, scores, random, temperature)
        need_integers(self.name, top_k)
        need_rank(self.name, scores, 2, "f32[B, K]")
        return TensorType(DType.I64, scores.shape[:1])

    def reads_values(self, *inputs: TensorType | None) -> bool:
        return True  # torch.topk takes its k as a Python number

    def torch(self, *inputs: TensorType) -> Torch:
        return Torch(expression="draw_token({inputs})", helper=DRAW_TOKEN)

    def onnx(
        self, e: Emitter, scores: Handle, random: Handle, temperature: Handle, top_k: Handle
    ) -> Handle:
        import numpy as np

        given = e.inputs[0]
        assert given is not None
        count = e.op("Squeeze", e.sizes([given.shape[1]]), e.ints([0]))
        wanted = e.op("Min", e.op("Max", top_k, e.array(np.int64(1))), count)
        every = e.op("LessOrEqual", top_k, e.array(np.int64(0)))
        k = e.op("Unsqueeze", e.op("Where", every, count, wanted), e.ints([0]))
        highest, _ = e.op_n("TopK", 2, scores, k, axis=1)
        least = e.op("ReduceMin", highest, e.ints([1]), keepdims=1)
        most = e.op("ReduceMax", highest, e.ints([1]), keepdims=1)
        kept = e.op("GreaterOrEqual", scores, least)
        heat = e.op("Max", temperature, e.scalar(COLDEST))
        scaled = e.op("Div", e.op("Sub", scores, most), heat)
        scaled = e.op("Where", kept, scaled, e.scalar(-np.inf))
        summed = e.op("CumSum", e.op("Softmax", scaled, axis=1), e.array(np.int64(1)))
        total = e.op("ReduceMax", summed, e.ints([1]), keepdims=1)
        drawn = e.op("Mul", e.op("Unsqueeze", random, e.ints([1])), total)
        below = _count(e, e.op("LessOrEqual", summed, drawn))
        return e.op("Min", below, _count(e, e.op("Less", summed, total)))


COLDEST = 1e-8
"""The temperature that stands for 0: it leaves nothing to tokens that are not the likeliest."""


def _count(e: Emitter, answers: Handle) -> Handle:
    """i64[B]: how many of bool[B, K] are true."""
    numbers = e.op("Cast", answers, to=ONNX_DTYPES[DType.I64])
    return e.op("ReduceSum", numbers, e.ints([1]), keepdims=0)


@internal
class AppendToken(Op):
    """Write the token of a step behind those before it, for samples that have not ended.

    Inputs:  tokens: i64[B, N]
             lengths: i64[B], how many of them were generated
             done: bool[B], which samples have ended
             token: i64[B]
             stop: i64[], the token that ends a sample
             step: i64[] in [0, N)
    Outputs: tokens, lengths, done: the same after the step
    Errors:  D401 other axes or element types.
    Source:  torch.where; ONNX Where.
    """

    ports = tuple(Port(name) for name in ("tokens", "lengths", "done", "token", "stop", "step"))
    examples = (
        Example(
            "{}",
            tokens="i64[B, 4]",
            lengths="i64[B]",
            done="bool[B]",
            token="i64[B]",
            stop="i64[]",
            step="i64[]",
            ranges={"step": (0, 4)},
            outputs={"tokens": "i64[B, 4]", "lengths": "i64[B]", "done": "bool[B]"},
        ),
    )

    def output_ports(self) -> tuple[str, ...]:
        return ("tokens", "lengths", "done")

    def infer(
        self, tokens: TensorType, lengths: TensorType, done: TensorType, *more: TensorType
    ) -> tuple[TensorType, ...]:
        need_integers(self.name, tokens)
        need_integers(self.name, lengths)
        need_rank(self.name, tokens, 2, "i64[B, N]")
        return tokens, lengths, done

    def torch(self, *inputs: TensorType) -> Torch:
        return Torch(expression="append_token({inputs})", helper=APPEND_TOKEN)

    def onnx(
        self,
        e: Emitter,
        tokens: Handle,
        lengths: Handle,
        done: Handle,
        token: Handle,
        stop: Handle,
        step: Handle,
    ) -> tuple[Handle, ...]:
        import numpy as np

        given = e.inputs[0]
        assert given is not None
        end = e.op("Squeeze", e.op("Shape", tokens, start=1, end=2), e.ints([0]))
        places = e.op("Range", e.array(np.int64(0)), end, e.array(np.int64(1)))
        going = e.op("Not", done)
        column = e.op("Unsqueeze", going, e.ints([1]))
        here = e.op("And", column, e.op("Equal", places, step))
        written = e.op("Where", here, e.op("Unsqueeze", token, e.ints([1])), tokens)
        longer = e.op("Add", lengths, e.op("Cast", going, to=ONNX_DTYPES[DType.I64]))
        return written, longer, e.op("Or", done, e.op("Equal", token, stop))


@internal
class GoOn(Op):
    """Whether a loop that generates takes another step.

    Inputs:  done: bool[B]
             seen: i64[], optional: how many steps the network has seen
    Outputs: y: bool[], true where a sample has not ended and the network can see one more step
    Errors:  none.
    Source:  torch.all; ONNX ReduceMin.
    """

    limit: int | None = attribute(default=None, doc="How many steps the network can see.")

    ports = (Port("done"), Port("seen", optional=True))
    examples = (
        Example("{}", done="bool[B]", y="bool[]"),
        Example("{limit: 3}", done="bool[B]", seen="i64[]", ranges={"seen": (0, 6)}, y="bool[]"),
    )

    def infer(self, done: TensorType, seen: TensorType | None = None) -> TensorType:
        return TensorType(DType.BOOL, ())

    def torch(self, done: TensorType, seen: TensorType | None = None) -> Torch:
        if seen is None:
            return Torch(expression="~{done}.all()")
        return Torch(expression="~{done}.all() & ({seen} < {limit})", numbers={"limit": self.limit})

    def onnx(self, e: Emitter, done: Handle, seen: Handle | None = None) -> Handle:
        import numpy as np

        numbers = e.op("Cast", done, to=ONNX_DTYPES[DType.I32])
        ended = e.op("Cast", e.op("ReduceMin", numbers, keepdims=0), to=ONNX_DTYPES[DType.BOOL])
        going = e.op("Not", ended)
        if seen is None:
            return going
        return e.op("And", going, e.op("Less", seen, e.array(np.int64(self.limit or 0))))


_TORCH_DTYPES = {DType.F32: "torch.float32", DType.I64: "torch.int64", DType.BOOL: "torch.bool"}


def _one(value: int) -> Any:
    import onnx_ir as ir

    return ir.tensor([value])
