"""What an operator is: one class with its arguments, shape rule, both lowerings, examples and docs.

A subclass declares its arguments with `attribute`, its `ports`, and small methods:

    infer(x, ...)      types of the inputs -> type of the output (or a tuple of types)
    parameters(x, ...) the tensors it keeps
    flops(x, ...)      floating-point operations, a multiply-add counted as two
    torch(x, ...)      how PyTorch writes it: a `Torch`
    onnx(e, x, ...)    emits ONNX nodes through the `Emitter` e and returns the result
    stream_axis(axes, x, ...)  where time is in the output, if each step is treated by itself; an
                       operator that keeps a state from chunk to chunk has `stream` instead

Inputs arrive by position in the order of `ports`; an optional port that is not wired is None, and
a variadic port passes any number. `infer` raises `Refusal` where it can't serve a type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from inspect import formatannotation
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, dataclass_transform

from ..diagnostics import Code
from ..ir.dims import Dim, Symbol
from ..ir.graph import Parameter
from ..ir.shapes import TensorType

if TYPE_CHECKING:
    from .streamed import Axes, Streamed, Streamer

Size = Dim
"""The annotation of an argument that may be a symbolic size: `reshape: {to: [$(H * W)]}`."""

REQUIRED: Any = object()
"""The default of an attribute that must be given."""


@dataclass(frozen=True)
class Attribute:
    """One argument of an operator.

    main: the argument that a bare scalar stands for (`linear: 10`).
    minimum, maximum: inclusive; they hold for every item of a list.
    above: exclusive lower limit.
    choices: the words that a str may be.
    spread: an int means the same number this many times (`kernel: 3` is `[3, 3]`).
    words: words that stand for a value (`padding: same` is None).
    """

    default: Any
    doc: str
    main: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    spread: int = 0
    words: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    annotation: str = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


def attribute(
    default: Any = REQUIRED,
    *,
    doc: str,
    main: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    choices: Sequence[str] = (),
    spread: int = 0,
    words: Mapping[str, Any] | None = None,
) -> Any:
    """Declare an argument of an operator; see `Attribute` for what each word means."""
    return Attribute(
        default, doc, main, minimum, maximum, above, tuple(choices), spread, words or {}
    )


@dataclass(frozen=True)
class Port:
    """A named input. A variadic port stands alone and takes at least `least` values."""

    name: str
    optional: bool = False
    variadic: bool = False
    least: int = 2


class Refusal(Exception):  # noqa: N818 - it reports a user's mistake, not a fault of ours
    """An operator can't be applied to these types.

    message: what was expected and what was found, starting with the operator's name.
    label: a few words for the place in the spec. help: the next step.
    """

    def __init__(self, code: Code, message: str, *, label: str = "", help: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.code, self.message, self.label, self.help = code, message, label, help


class Example:
    """Arguments with the types of inputs and outputs, by port: a test and a line of the manual.

    types: a printed type, or a list of them for a variadic port.
    ranges: port -> (low, high) for integer inputs such as token ids; high is exclusive.
    bounds: symbol -> (min, max) where the example does not hold for every size from 1 on.
    outputs: port -> type where an input and an output are of one name; else they are in `types`.
    """

    def __init__(
        self,
        arguments: str,
        *,
        ranges: Mapping[str, tuple[int, int]] | None = None,
        bounds: Mapping[str, tuple[int, int | None]] | None = None,
        outputs: Mapping[str, str] | None = None,
        **types: str | list[str],
    ) -> None:
        self.arguments, self.ranges, self.types = arguments, dict(ranges or {}), types
        self.outputs = outputs or types
        self.symbols = {n: Symbol(n, low, high) for n, (low, high) in (bounds or {}).items()}


class Reject:
    """Arguments and input types that must be refused with a code."""

    def __init__(self, arguments: str, *, code: Code, **types: str | list[str]) -> None:
        self.arguments, self.code, self.types = arguments, code, types


@dataclass(frozen=True)
class Construct:
    """A Python call with literal arguments: `nn.Conv2d(3, 64, kernel_size=3)`.

    Arguments are ints, floats, bools, None, words (str) and tuples of them.
    """

    function: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Torch:
    """How PyTorch writes an operator. At least one of `module` and `expression` is given.

    module: a submodule, kept at the layer's id and called on the inputs in port order.
    expression: Python text for `forward`. Placeholders: a port's name for its value, `{inputs}`
        for all of them with commas, `{0}` for one by its position, `{self}` for the layer's
        submodule or bare tensor, and the keys of `numbers` for literals; a symbolic size
        among them becomes text such as `x.shape[2]`. With both, nn.Sequential uses the module
        and any other place the expression (which may mention `{self}` to use the submodule).
    parameter: how to make the bare tensor at the layer's id: the argument of nn.Parameter.
    buffer: the same for a bare tensor that is not trained.
    init: statements run after construction, with `{self}`: `nn.init.zeros_({self}.weight)`.
    helper: the source of the class or function that the file needs for this, with its name.
    """

    module: Construct | None = None
    expression: str | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    parameter: Construct | None = None
    buffer: Construct | None = None
    init: tuple[str, ...] = ()
    helper: Helper | None = None


@dataclass(frozen=True)
class Helper:
    """Source text that a generated file carries once: a class or function and what it needs."""

    name: str
    source: str
    needs: tuple[Helper, ...] = ()


Handle = Any
"""A value of the ONNX model under construction (an onnx_ir.Value)."""


class Emitter(Protocol):
    """What an operator's `onnx` method builds with; backends/onnx_emitter.py implements it."""

    @property
    def opset(self) -> int: ...

    @property
    def inputs(self) -> tuple[TensorType | None, ...]:
        """Types of the node's inputs, by port."""

    @property
    def outputs(self) -> tuple[TensorType, ...]: ...

    def op(self, op_type: str, *inputs: Handle | None, **attributes: Any) -> Handle:
        """One ONNX node with one output. An attribute that is None is left out."""

    def op_n(
        self, op_type: str, count: int, *inputs: Handle | None, **attributes: Any
    ) -> tuple[Handle, ...]:
        """One ONNX node with several outputs."""

    def weight(self, key: str) -> Handle:
        """The initializer of one of the node's own parameters or buffers."""

    def derived(self, letter: str, keys: Sequence[str], make: Callable[..., Any]) -> Handle:
        """A constant that is made of the node's own tensors, in numpy.

        letter: what its name ends in. keys: of the tensors that `make` gets as arrays.
        """

    def ints(self, values: Sequence[int]) -> Handle:
        """A constant i64[N]."""

    def scalar(self, value: float, dtype: Any = None) -> Handle:
        """A constant of rank 0; its element type is that of the first input unless given."""

    def array(self, values: Any) -> Handle:
        """A constant from a numpy array."""

    def sizes(self, dims: Sequence[Dim]) -> Handle:
        """i64[N] of sizes that may be symbolic: a constant, or computed from the graph's inputs."""


Window = tuple[tuple[int, Fraction], ...]
"""Per spatial axis: how many input elements one output sees, and the step in input elements."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(attribute,))
class Op:
    """Base of all operators; see the module's docstring."""

    name: ClassVar[str] = ""
    attributes: ClassVar[Mapping[str, Attribute]] = {}
    ports: ClassVar[tuple[Port, ...]] = (Port("x"),)
    examples: ClassVar[Sequence[Example]] = ()
    rejects: ClassVar[Sequence[Reject]] = ()
    family: ClassVar[str] = ""
    """The heading in the operator reference: the last part of the module's name."""

    twice_differentiable: ClassVar[bool] = True
    """Whether torch can take the gradient of its gradient, on a CPU and on a GPU."""

    mixes_batch: ClassVar[bool] = False
    """Whether a sample's output depends on the others of its batch, in evaluation too."""

    reads_time: ClassVar[bool] = False
    """Whether arguments may hold the length of a sequence where it runs one chunk at a time."""

    tolerance: ClassVar[float] = 1e-5
    """How far torch and ONNX Runtime may differ, relative to the largest output."""

    if TYPE_CHECKING:
        infer: ClassVar[Callable[..., TensorType | tuple[TensorType, ...]]]
        torch: ClassVar[Callable[..., Torch]]
        onnx: ClassVar[Callable[..., Handle | tuple[Handle, ...]]]
        parameters: ClassVar[Callable[..., tuple[Parameter, ...]]]
        flops: ClassVar[Callable[..., Dim]]
        window: ClassVar[Callable[..., Window | None]]
        stream: ClassVar[Callable[..., tuple[Streamed, ...]]]
        stream_axis: ClassVar[Callable[..., int | None]]
    else:

        def parameters(self, *inputs: TensorType) -> tuple[Parameter, ...]:
            """No tensors unless the operator says so."""
            return ()

        def flops(self, *inputs: TensorType) -> Dim:
            """Moving data is free unless the operator says otherwise."""
            return 0

        def window(self, *inputs: TensorType) -> Window | None:
            """() where an output element sees its own place alone; None where it sees all."""
            return ()

        def stream(self, s: Streamer, *inputs: Streamed | None) -> tuple[Streamed, ...]:
            """The outputs for one chunk of a sequence: each step by itself, unless overridden.

            Raises: Refusal: O503: it can't run one chunk at a time; the message says why.
            """
            return s.each_step(self, *inputs)

        def stream_axis(self, axes: Axes, *inputs: TensorType | None) -> int | None:
            """The axis of time in the outputs, where each step is treated by itself.

            axes: the axis of time in each input, None where an input has none.
            Returns: None where the outputs are of the last step alone.
            Raises: Refusal: O503: a step's output depends on other steps.
            """
            raise Refusal(Code.O503, "it has no rule to run one chunk at a time")

    def reads_values(self, *inputs: TensorType | None) -> bool:
        """Whether torch reads numbers of an input, such as lengths, on the CPU to go on."""
        return False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {
            name: _named(value, name, cls.__annotations__[name])
            for name, value in vars(cls).items()
            if isinstance(value, Attribute)
        }
        for name in own:
            delattr(cls, name)
        cls.attributes = {**cls.attributes, **own}
        cls.family = cls.__module__.rpartition(".")[2]

    def __init__(self, **arguments: Any) -> None:
        """Takes checked arguments; language/arguments.py checks what a spec says."""
        unknown = arguments.keys() - self.attributes.keys()
        assert not unknown, f"{self.name}: unknown arguments {sorted(unknown)}"
        for name, declared in self.attributes.items():
            value = arguments.get(name, declared.default)
            assert value is not REQUIRED, f"{self.name}: {name} is missing"
            self.__dict__[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), repr(self.__dict__)))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.arguments().items())
        return f"{type(self).__name__}({inner})"

    def arguments(self) -> dict[str, Any]:
        """The arguments that differ from their defaults."""
        return {
            name: getattr(self, name)
            for name, declared in self.attributes.items()
            if declared.required or getattr(self, name) != declared.default
        }

    def output_ports(self) -> tuple[str, ...]:
        """The names of the outputs; an operator with several overrides this."""
        return ("y",)

    def check(self) -> None:
        """Refuse arguments that do not go together, before any type is known.

        Raises: Refusal: with Code.E202.
        """

    def declared(self, inputs: tuple[TensorType | None, ...]) -> tuple[Parameter, ...]:
        return self.parameters(*inputs)

    def inferred(self, inputs: tuple[TensorType | None, ...]) -> tuple[TensorType, ...]:
        result = self.infer(*inputs)
        return result if isinstance(result, tuple) else (result,)


def _named(declared: Attribute, name: str, annotation: Any) -> Attribute:
    """The attribute with its name and type, also where a module does not postpone annotations."""
    text = annotation if isinstance(annotation, str) else formatannotation(annotation)
    bare = re.sub(r"[\w.]+\.(?=\w)", "", text)  # `some.module.Init` is `Init`
    return replace(declared, name=name, annotation=bare)


REGISTRY: dict[str, type[Op]] = {}
"""Every operator by its name in the language."""

OpClass = TypeVar("OpClass", bound=type[Op])


def register(cls: OpClass) -> OpClass:
    """Enter an operator into the language under its class name in snake_case."""
    name = snake_case(cls.__name__)
    if name in REGISTRY:
        raise ValueError(f"an operator named `{name}` is registered already")
    cls.name = name
    REGISTRY[name] = cls
    return cls


INTERNAL: dict[str, type[Op]] = {}
"""Operators that programs are built of and that no spec can name, by their names in messages."""


def internal(cls: OpClass) -> OpClass:
    """Give an operator its name and a place among those that are tested, not in the language."""
    cls.name = snake_case(cls.__name__)
    INTERNAL[cls.name] = cls
    return cls


def snake_case(name: str) -> str:
    """`ConvTranspose2d` -> `conv_transpose2d`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
