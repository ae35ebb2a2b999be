"""What a class of generated source is made of, before it is text.

Texts of `forward` have holes: an input of the step, a literal that instances of a class may differ
in, and (in finished classes) an argument of the constructor. Values are called by keys that are
the same in every instance of a class: `@0` is its first input, `conv1:0` what its layer made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..ir.graph import Scope
from ..ir.shapes import TensorType
from ..ops.base import Construct, Helper
from .torch_names import Verbatim

_HOLE = re.compile(r"\x00(\d+)\x00")
_NUMBER = re.compile(r"\x01([^\x01]*)\x01")


def hole(index: int) -> str:
    """Where the name of a step's input goes."""
    return f"\x00{index}\x00"


def number_hole(name: str) -> str:
    """Where a literal of a step goes."""
    return f"\x01{name}\x01"


def fill(text: str, inputs: Callable[[int], str], numbers: Callable[[str], str]) -> str:
    """The text with its holes filled; a literal that is an expression is put in brackets."""

    def number(found: re.Match[str]) -> str:
        written = numbers(found.group(1))
        before, after = found.string[: found.start()].rstrip(" "), found.string[found.end() :]
        alone = before.endswith(("(", "[", ",", "=")) and after.startswith((")", "]", ","))
        is_tuple = written.startswith(("(", "["))
        if before.endswith("[:") and not written.isdecimal():
            return f" {written}"
        return written if alone or is_tuple or " " not in written else f"({written})"

    text = _NUMBER.sub(number, text)
    return _HOLE.sub(lambda found: inputs(int(found.group(1))), text)


@dataclass(frozen=True)
class Layer:
    """`nn.Conv2d(3, 64, kernel_size=3)`: the submodule of one operator."""

    where: str
    construct: Construct
    comment: str = ""


@dataclass(frozen=True)
class Tensor:
    """A bare tensor: `nn.Parameter(torch.ones(64))`, or the value of a buffer."""

    where: str
    construct: Construct
    trainable: bool
    comment: str = ""


@dataclass(frozen=True)
class Container:
    """Modules in nn.Sequential (`chain`), nn.ModuleList (`list`) or nn.ModuleDict (`dict`).

    A chain is named where its ids are not the positions.
    """

    kind: str
    where: str
    children: tuple[tuple[str, Make], ...]
    comment: str = ""


@dataclass(frozen=True, eq=False)
class Instance:
    """One instance of another class of the file."""

    where: str
    frame: Frame
    comment: str = ""


Make = Layer | Tensor | Container | Instance
Literals = dict[tuple[str, str], Any]
"""(where, argument) -> value."""


@dataclass(frozen=True)
class Copy:
    """A step that calls one of the modules of a list: `self.blocks[2](x)`."""

    list: str
    index: int
    count: int


@dataclass(frozen=True)
class Step:
    """One statement of `forward`: outputs = text(inputs).

    id: the layer's; the result is named after it where it lives on. automatic: the user gave none.
    ports: names of several outputs. numbers: literals in the text.
    plain: the text is nothing but a submodule called on the inputs.
    """

    id: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    text: str
    automatic: bool = False
    ports: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""
    plain: bool = False
    copy: Copy | None = None
    loop: Loop | None = None


@dataclass(frozen=True, eq=False)
class Loop:
    """The body of a step that is a for-loop over `range(int(inputs[0]))`.

    carried, sliced: how many of the inputs behind the first are carried and given per step.
    results: body values: the condition (if any), the carried ones, those stacked.
    empty: for each stacked value the text of a tensor of no steps; "" where there is a step.
    """

    ports: tuple[Port, ...]
    steps: tuple[Step, ...]
    results: tuple[str, ...]
    carried: int
    condition: bool
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class Port:
    """An argument of `forward`; of no type where it is another part's module."""

    name: str
    key: str
    type: TensorType | None = None
    annotation: str = "Tensor"


@dataclass(eq=False)
class Frame:
    """What one scope needs of its class.

    family: frames of one family may share a class. name: of the class, as wished.
    results: port -> value key. inits: (layer, its text, statement with
    `{self}` for it) that follow the construction.
    is_chain: each item is a module that reads the one before it alone.
    base: what the class derives from. file: the name of the file that comments give lines of.
    networks: other networks whose tensors are used here. calls: networks that a program calls, or
    whose layers it uses. parts: attribute -> a graph that a program calls and that is no network.
    """

    family: tuple[str, ...]
    name: str
    scope: Scope
    ports: list[Port] = field(default_factory=list)
    fields: list[tuple[str, Make]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    result_types: dict[str, TensorType] = field(default_factory=dict)
    inits: list[tuple[str, str, str]] = field(default_factory=list)
    helpers: list[Helper] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    parts: dict[str, Frame] = field(default_factory=dict)
    is_chain: bool = False
    base: str = "nn.Module"
    file: str = ""

    def needs(self) -> list[str]:
        """The networks that the constructor takes, each once."""
        others = (name for part in self.parts.values() for name in part.needs())
        return list(dict.fromkeys((*self.networks, *self.calls, *others)))

    def inner(self) -> list[Frame]:
        """The frames of the classes that this one makes instances of."""
        return [frame for _, make in self.fields for frame in instances(make)]


def instances(make: Make) -> list[Frame]:
    """The frames of the instances that an expression makes."""
    if isinstance(make, Instance):
        return [make.frame]
    if isinstance(make, Container):
        return [frame for _, child in make.children for frame in instances(child)]
    return []


def skeleton(value: Any) -> Any:
    """A literal of a step without the numbers that instances may differ in."""
    if isinstance(value, Verbatim):
        return value.text
    if isinstance(value, list | tuple):
        return tuple(skeleton(item) for item in value)
    return "?"
