"""Recurrent layers: a state that is carried along a sequence.

The tensors are named, shaped and initialised as those of torch.nn.RNN, GRU and LSTM.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.shapes import TensorType
from .agreement import disagreement, mismatches
from .attention import LENGTHS, need_lengths
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
from .checks import need_float, need_rank
from .linear import static_size
from .recurrent_onnx import Stack, emit_stack, ends_of
from .recurrent_torch import GRU, LSTM, RNN
from .spatial import require_size
from .streamed import Streamed, Streamer
from .streaming import OF_WHOLE, unstreamable
from .weights import Init

BEGINNINGS = ("uniform", "orthogonal", "identity")


class Recurrent(Op):
    """What the three kinds share: arguments, ports and types."""

    twice_differentiable: ClassVar[bool] = False  # nor are cuDNN's kernels

    op_type: ClassVar[str]
    """The name of the ONNX node."""

    order: ClassVar[tuple[int, ...]] = (0,)
    """torch's number of each gate, in ONNX's order; the weights have a part for each."""

    state_ports: ClassVar[tuple[str, ...]] = ("hidden",)
    helper: ClassVar[Helper]
    hidden: int = attribute(main=True, minimum=1, doc="Size of the state of each direction.")
    layers: int = attribute(
        default=1,
        minimum=1,
        doc="How many layers lie one above the other, each over the outputs of the one below.",
    )
    bidirectional: bool = attribute(
        default=False, doc="Run a second layer from each sample's end to its beginning beside it."
    )
    dropout: float = attribute(
        default=0.0,
        minimum=0,
        maximum=1,
        doc="Probability of setting an output of a layer to zero before the next one reads it, "
        "while training.",
    )
    bias: bool = attribute(default=True, doc="Add learned offsets, two for each gate as in torch.")
    init: Init | None = attribute(
        default=None,
        doc="How the weights from input to state start; uniform within 1 / sqrt(hidden) unless "
        "given.",
    )
    recurrent_init: str = attribute(
        default="uniform",
        choices=BEGINNINGS,
        doc="How the weights from state to state start, gate by gate: `orthogonal` keeps the size "
        "of what they carry, `identity` the state itself (for relu, Le et al. 2015).",
    )

    tolerance = 1e-4
    ports: ClassVar[tuple[Port, ...]] = (Port("x"), LENGTHS, Port("hidden", optional=True))

    def check(self) -> None:
        if self.dropout and self.layers == 1:
            raise Refusal(
                Code.E202,
                f"`{self.name}` has dropout between layers, found dropout {self.dropout:g} with 1 "
                "layer",
                help="put a `dropout` behind it, or use more `layers`",
            )

    def output_ports(self) -> tuple[str, ...]:
        return ("sequence", "last", *self.state_ports)

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def infer(
        self, x: TensorType, lengths: TensorType | None = None, *states: TensorType | None
    ) -> tuple[TensorType, ...]:
        need_float(self.name, x)
        need_rank(self.name, x, 3, "f32[B, T, C]")
        static_size(self.name, x, 2)
        require_size(self.name, x, 1, 1, "over a sequence")
        need_lengths(self.name, lengths, x)
        state = x.with_shape((self.layers * self.directions, x.shape[0], self.hidden))
        self._check_states(state, states)
        width = self.directions * self.hidden
        last = x.with_shape((x.shape[0], width))
        return x.with_axis(2, width), last, *[state] * len(self.state_ports)

    def _check_states(self, wanted: TensorType, states: tuple[TensorType | None, ...]) -> None:
        """Raises: Refusal: D402: an initial state of another shape. D401: one without the other."""
        given = [state for state in states if state is not None]
        if given and len(given) < len(self.state_ports):
            raise Refusal(
                Code.D401,
                f"`{self.name}` begins with both states or none, found one",
                help="wire `hidden` and `cell`: `from: {hidden: ..., cell: ...}`",
            )
        for port, state in zip(self.state_ports, given, strict=False):
            if state.dtype != wanted.dtype or state.rank != wanted.rank:
                raise Refusal(Code.D401, f"`{self.name}` needs `{port}` as {wanted}, found {state}")
            if wrong := mismatches(state.shape, wanted.shape):
                raise disagreement(
                    f"`{self.name}` needs `{port}` as {wanted}, found {state}", wrong
                )

    def parameters(self, x: TensorType, *more: TensorType | None) -> tuple[Parameter, ...]:
        return tuple(self._tensors(static_size(self.name, x, 2)))

    def _tensors(self, inputs: int) -> Iterator[Parameter]:
        rows = len(self.order) * self.hidden
        for layer in range(self.layers):
            width = inputs if layer == 0 else self.directions * self.hidden
            for end in ends_of(layer, self.directions):
                yield Parameter(f"weight_ih_{end}", (rows, width))
                yield Parameter(f"weight_hh_{end}", (rows, self.hidden))
                if self.bias:
                    yield Parameter(f"bias_ih_{end}", (rows,))
                    yield Parameter(f"bias_hh_{end}", (rows,))

    def flops(self, x: TensorType, *more: TensorType | None) -> Dim:
        weights = [p for p in self.parameters(x) if p.key.startswith("weight")]
        return 2 * x.shape[0] * x.shape[1] * sum(p.elements for p in weights)

    def window(self, *inputs: TensorType | None) -> None:
        return None

    def stream(
        self,
        s: Streamer,
        x: Streamed,
        lengths: Streamed | None = None,
        *states: Streamed | None,
    ) -> tuple[Streamed, ...]:
        """The states behind a chunk are those that the next one begins with.

        An input of the network that is wired to a port of a state becomes that state.
        """
        if self.bidirectional:
            raise unstreamable(
                "needs the end of the sequence before its beginning", help="remove `bidirectional`"
            )
        if lengths is not None:
            raise unstreamable(OF_WHOLE)
        kind = x.value.type.with_shape((self.layers, x.value.type.shape[0], self.hidden))
        begins = states or (None,) * len(self.state_ports)
        named = zip(self.state_ports, begins, strict=True)
        before = [s.state(name, kind, begin) for name, begin in named]
        sequence, last, *behind = s.apply(self, x.value, None, *before)
        for name, value in zip(self.state_ports, behind, strict=True):
            s.keep(name, value)
        finals = (Streamed(value, settled=False) for value in (last, *behind))
        return (Streamed(sequence, 1), *finals)

    def reads_values(self, *inputs: TensorType | None) -> bool:
        return inputs[1:2] not in ((), (None,))  # lengths

    def torch(self, x: TensorType, *more: TensorType | None) -> Torch:
        return Torch(
            module=Construct(self.helper.name, (x.shape[2], self.hidden), self._keywords()),
            init=tuple(self._statements()),
            helper=self.helper,
        )

    def _keywords(self) -> dict[str, Any]:
        """torch's keyword arguments, without those that have torch's default."""
        given = {
            "num_layers": (self.layers, 1),
            "bias": (self.bias, True),
            "batch_first": (True, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
        }
        return {word: value for word, (value, usual) in given.items() if value != usual}

    def _statements(self) -> Iterator[str]:
        if self.init:
            for layer in range(self.layers):
                for end in ends_of(layer, self.directions):
                    yield self.init.statement(f"{{self}}.weight_ih_{end}")
        if self.recurrent_init != "uniform":
            function = {"orthogonal": "orthogonal_", "identity": "eye_"}[self.recurrent_init]
            yield f"{{self}}.init_recurrent(nn.init.{function})"

    def onnx(
        self, e: Emitter, x: Handle, lengths: Handle | None = None, *states: Handle | None
    ) -> tuple[Handle, ...]:
        stack = Stack(
            self.op_type,
            self.order,
            len(self.state_ports),
            self.hidden,
            self.layers,
            self.directions,
            self.bias,
            self._onnx_attributes(),
        )
        return emit_stack(e, stack, x, lengths, states or (None,) * len(self.state_ports))

    def _onnx_attributes(self) -> dict[str, Any]:
        """Of the ONNX node, beside size and direction."""
        return {}


@register
class Rnn(Recurrent):
    """Carry a state along a sequence: h = tanh(W x + b + R h + c).

    What lies more than 10 to 20 steps back is hardly learned from: gradients vanish. `gru` and
    `lstm` keep it over hundreds.

    Inputs:  x: f32[B, T, C]
             lengths: i64[B] or i32[B], optional: how many first steps of a sample are real, each in
             [1, T]; the state stays as it is at a sample's own end, where the backward pass begins
             hidden: f32[layers * D, B, hidden], optional: the state to begin with, 0 unless given;
             D is 2 with `bidirectional`, else 1
    Outputs: sequence: f32[B, T, D * hidden], the last layer's output of each step, 0 beyond a
             sample's length
             last: f32[B, D * hidden], its state at the end of each sample, and of the backward
             pass, which ends at the first step
             hidden: f32[layers * D, B, hidden], the state of each layer at the end
    Errors:  D401 x is not f32[B, T, C] with a fixed C, or lengths or hidden have other axes. D402
             not as many lengths as samples, or another size of hidden. D403 T may be 0. E202
             dropout with one layer.
    Source:  Elman 1990; torch.nn.RNN; ONNX RNN.
    """

    nonlinearity: str = attribute(
        default="tanh", choices=("tanh", "relu"), doc="What bounds the state."
    )

    op_type, helper = "RNN", RNN
    examples = (
        Example(
            "{hidden: 4}",
            x="f32[B, T, 3]",
            outputs={
                "sequence": "f32[B, T, 4]",
                "last": "f32[B, 4]",
                "hidden": "f32[1, B, 4]",
            },
        ),
        Example(
            "{hidden: 2, layers: 2, bidirectional: true, nonlinearity: relu}",
            bounds={"T": (4, None)},
            x="f32[B, T, 3]",
            lengths="i64[B]",
            ranges={"lengths": (1, 5)},
            outputs={
                "sequence": "f32[B, T, 4]",
                "last": "f32[B, 4]",
                "hidden": "f32[4, B, 2]",
            },
        ),
        Example(
            "{hidden: 3, recurrent_init: identity, nonlinearity: relu, init: xavier_uniform}",
            x="f32[B, 5, 2]",
            hidden="f32[1, B, 3]",
            outputs={
                "sequence": "f32[B, 5, 3]",
                "last": "f32[B, 3]",
                "hidden": "f32[1, B, 3]",
            },
        ),
    )
    rejects = (
        Reject("{hidden: 4}", x="f32[B, 3]", code=Code.D401),
        Reject("{hidden: 4}", x="f32[B, T, C]", code=Code.D401),
        Reject("{hidden: 4}", x="i64[B, T, 3]", code=Code.D401),
        Reject("{hidden: 4}", x="f32[B, 0, 3]", code=Code.D403),
        Reject("{hidden: 4, dropout: 0.1}", x="f32[B, T, 3]", code=Code.E202),
        Reject("{hidden: 4}", x="f32[B, T, 3]", lengths="f32[B]", code=Code.D401),
        Reject("{hidden: 4}", x="f32[B, T, 3]", lengths="i64[2*B]", code=Code.D402),
        Reject("{hidden: 4}", x="f32[B, T, 3]", hidden="f32[2, B, 4]", code=Code.D402),
        Reject("{hidden: 4}", x="f32[B, T, 3]", hidden="f32[B, 4]", code=Code.D401),
    )

    def _keywords(self) -> dict[str, Any]:
        relu = {} if self.nonlinearity == "tanh" else {"nonlinearity": self.nonlinearity}
        return {**super()._keywords(), **relu}

    def _onnx_attributes(self) -> dict[str, Any]:
        return {"activations": [self.nonlinearity.capitalize()] * self.directions}


@register
class Gru(Recurrent):
    """Carry a state along a sequence past two gates: one resets it, one keeps it (a gated RNN).

    h = (1 - z) n + z h with z = s(W x + b + R h + c), r alike, n = tanh(W x + b + r (R h + c)).

    Inputs:  x: f32[B, T, C]
             lengths: i64[B] or i32[B], optional: how many first steps of a sample are real, each in
             [1, T]; the state stays as it is at a sample's own end, where the backward pass begins
             hidden: f32[layers * D, B, hidden], optional: the state to begin with, 0 unless given;
             D is 2 with `bidirectional`, else 1
    Outputs: sequence: f32[B, T, D * hidden], the last layer's output of each step, 0 beyond a
             sample's length
             last: f32[B, D * hidden], its state at the end of each sample, and of the backward
             pass, which ends at the first step
             hidden: f32[layers * D, B, hidden], the state of each layer at the end
    Errors:  D401 x is not f32[B, T, C] with a fixed C, or lengths or hidden have other axes. D402
             not as many lengths as samples, or another size of hidden. D403 T may be 0. E202
             dropout with one layer.
    Source:  Cho et al. 2014, in the form of torch.nn.GRU; ONNX GRU with linear_before_reset = 1.
    """

    op_type, order, helper = "GRU", (1, 0, 2), GRU
    examples = (
        Example(
            "{hidden: 4}",
            x="f32[B, T, 3]",
            outputs={
                "sequence": "f32[B, T, 4]",
                "last": "f32[B, 4]",
                "hidden": "f32[1, B, 4]",
            },
        ),
        Example(
            "{hidden: 2, layers: 2, bidirectional: true, dropout: 0.5}",
            bounds={"T": (4, None)},
            x="f32[B, T, 3]",
            lengths="i32[B]",
            ranges={"lengths": (1, 5)},
            outputs={
                "sequence": "f32[B, T, 4]",
                "last": "f32[B, 4]",
                "hidden": "f32[4, B, 2]",
            },
        ),
        Example(
            "{hidden: 3, layers: 2, bias: false, recurrent_init: orthogonal}",
            x="f32[B, 5, 2]",
            hidden="f32[2, B, 3]",
            outputs={
                "sequence": "f32[B, 5, 3]",
                "last": "f32[B, 3]",
                "hidden": "f32[2, B, 3]",
            },
        ),
    )
    rejects = (
        Reject("{hidden: 4}", x="f32[B, 3]", code=Code.D401),
        Reject("{hidden: 4}", x="f32[B, 0, 3]", code=Code.D403),
        Reject("{hidden: 4, dropout: 0.1}", x="f32[B, T, 3]", code=Code.E202),
        Reject("{hidden: 4}", x="f32[B, T, 3]", hidden="f32[1, B, 5]", code=Code.D402),
    )

    def _onnx_attributes(self) -> dict[str, Any]:
        return {"linear_before_reset": 1}


@register
class Lstm(Recurrent):
    """Carry a state along a sequence in cells that gates write, keep and read.

    c = f c + i g and h = o tanh(c), with the gates i, f, o = s(W x + b + R h + c0) and g, a tanh.

    Inputs:  x: f32[B, T, C]
             lengths: i64[B] or i32[B], optional: how many first steps of a sample are real, each in
             [1, T]; the state stays as it is at a sample's own end, where the backward pass begins
             hidden, cell: f32[layers * D, B, hidden], optional, both or none: the state to begin
             with, 0 unless given; D is 2 with `bidirectional`, else 1
    Outputs: sequence: f32[B, T, D * hidden], the last layer's output of each step, 0 beyond a
             sample's length
             last: f32[B, D * hidden], its state h at the end of each sample, and of the backward
             pass, which ends at the first step
             hidden, cell: f32[layers * D, B, hidden], the states of each layer at the end
    Errors:  D401 x is not f32[B, T, C] with a fixed C, lengths or states have other axes, or one
             state comes without the other. D402 not as many lengths as samples, or another size of
             a state. D403 T may be 0. E202 dropout with one layer.
    Source:  Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000;
             torch.nn.LSTM; ONNX LSTM.
    """

    op_type, order = "LSTM", (0, 3, 1, 2)
    state_ports = ("hidden", "cell")
    forget_bias: float | None = attribute(
        default=None,
        doc="Where the offsets of the gates that forget start; with 1 or 2 a cell keeps its state "
        "from the beginning (Jozefowicz et al. 2015).",
    )

    helper = LSTM
    ports = (*Recurrent.ports, Port("cell", optional=True))
    examples = (
        Example(
            "{hidden: 4, forget_bias: 1}",
            x="f32[B, T, 3]",
            outputs={
                "sequence": "f32[B, T, 4]",
                "last": "f32[B, 4]",
                "hidden": "f32[1, B, 4]",
                "cell": "f32[1, B, 4]",
            },
        ),
        Example(
            "{hidden: 2, layers: 2, bidirectional: true, recurrent_init: orthogonal}",
            bounds={"T": (4, None)},
            x="f32[B, T, 3]",
            lengths="i64[B]",
            ranges={"lengths": (1, 5)},
            outputs={
                "sequence": "f32[B, T, 4]",
                "last": "f32[B, 4]",
                "hidden": "f32[4, B, 2]",
                "cell": "f32[4, B, 2]",
            },
        ),
        Example(
            "{hidden: 3, layers: 2, bias: false}",
            x="f32[B, 5, 2]",
            lengths="i64[B]",
            ranges={"lengths": (1, 6)},
            hidden="f32[2, B, 3]",
            cell="f32[2, B, 3]",
            outputs={
                "sequence": "f32[B, 5, 3]",
                "last": "f32[B, 3]",
                "hidden": "f32[2, B, 3]",
                "cell": "f32[2, B, 3]",
            },
        ),
    )
    rejects = (
        Reject("{hidden: 4}", x="f32[B, 3]", code=Code.D401),
        Reject("{hidden: 4}", x="f32[B, 0, 3]", code=Code.D403),
        Reject("{hidden: 4, dropout: 0.1}", x="f32[B, T, 3]", code=Code.E202),
        Reject("{hidden: 4, bias: false, forget_bias: 1}", x="f32[B, T, 3]", code=Code.E202),
        Reject("{hidden: 4}", x="f32[B, T, 3]", hidden="f32[1, B, 4]", code=Code.D401),
        Reject(
            "{hidden: 4}",
            x="f32[B, T, 3]",
            hidden="f32[1, B, 4]",
            cell="f32[1, B, 5]",
            code=Code.D402,
        ),
    )

    def check(self) -> None:
        super().check()
        if self.forget_bias is not None and not self.bias:
            raise Refusal(
                Code.E202,
                f"`lstm` has no offsets with `bias: false`, found forget_bias {self.forget_bias:g}",
                help="remove `forget_bias`, or `bias: false`",
            )

    def _statements(self) -> Iterator[str]:
        yield from super()._statements()
        if self.forget_bias is not None:
            yield f"{{self}}.init_forget_bias({self.forget_bias!r})"
