"""Which numbers of a class become arguments of its constructor, and how they are called.

The instances of a class differ in some literals. Each literal is a row with one value an instance.
A row that is the same everywhere stays a number. One that equals a parameter of the block, a size
that its inputs bound, or a fixed multiple of these is written with that name; any other becomes an
argument called after its layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ir.graph import Scope
from ..ir.shapes import TensorType
from .torch_names import TAKEN, Names, literal, local_name
from .torch_parts import Frame


class Missing:
    """The value of a literal in an instance that lacks its layer."""

    def __repr__(self) -> str:
        return "missing"


MISSING = Missing()
Row = Sequence[Any]

NATURAL = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0, "bias": True}
"""Defaults that a reader expects."""

_BY_CHANCE = 8

_ARGUMENT = re.compile(r"\x02(\w+)\x02")


@dataclass
class Argument:
    """One argument of a constructor with its value in every instance."""

    name: str
    row: Row
    rank: int
    default: str | None = None

    @property
    def annotation(self) -> str:
        kinds = {type(value) for value in self.row if value is not MISSING and value is not None}
        name = kinds.pop().__name__ if len(kinds) == 1 else "Any"
        none = any(value is MISSING or value is None for value in self.row)
        return f"{name} | None" if none else name


def expand(text: str, name: Any) -> str:
    """The text with each argument as `name` writes it."""
    return _ARGUMENT.sub(lambda found: str(name(found.group(1))), text)


@dataclass
class Arguments:
    """The arguments of one class; `write` gives the text of a literal."""

    frames: Sequence[Frame]
    used: dict[str, Argument] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = Names(TAKEN)
        self._candidates = list(self._given())

    def _given(self) -> Iterator[Argument]:
        """The block's parameters, then the sizes of its inputs."""
        scopes = [frame.scope for frame in self.frames]
        for name in scopes[0].arguments:
            row = [scope.arguments.get(name, MISSING) for scope in scopes]
            if MISSING not in row and all(isinstance(v, int | float | str | tuple) for v in row):
                yield Argument(self._names.fresh(local_name(name)), row, 1)
        if len(scopes) < 2:
            return
        for place, port in enumerate(self.frames[0].ports):
            if not port.type:
                continue
            for axis in range(1, port.type.rank):
                sizes = [_size(frame, place, axis) for frame in self.frames]
                if all(isinstance(size, int) for size in sizes) and not _alike(sizes):
                    wanted = _size_name(
                        scopes[0], port.name, port.type, axis, len(scopes[0].inputs)
                    )
                    yield Argument(self._names.fresh(wanted), sizes, 0)

    def write(self, row: Row, wanted: str) -> str:
        """The text of a literal, with `\\x02name\\x02` for an argument.

        wanted: the name of an argument that no other says.
        """
        present = [value for value in row if value is not MISSING]
        if _alike(present):
            return self._where_present(row, present, wanted) or literal(present[0])
        if all(isinstance(v, tuple) for v in present) and len({len(v) for v in present}) == 1:
            return self._write_tuple(row, len(present[0]), wanted)
        return self._named(row) or self._derived(row) or self._own(row, wanted)

    def _where_present(self, row: Row, present: Row, wanted: str) -> str | None:
        """An argument for a number that is the same wherever an optional layer is present.

        Small numbers are the same by chance, so these need an argument of the same name.
        """
        if len(present) == len(row):
            return None
        is_size = type(present[0]) is int and present[0] > _BY_CHANCE
        fitting = (
            argument
            for argument in self._candidates
            if (is_size or wanted.endswith(f"_{argument.name}"))
            and _equal(argument.row, row)
            and not _alike(argument.row)
        )
        found = next(fitting, None)
        return self._use(found) if found else None

    def _write_tuple(self, row: Row, size: int, wanted: str) -> str:
        items = [
            self.write([v if v is MISSING else v[k] for v in row], f"{wanted}_{k}")
            for k in range(size)
        ]
        return f"({items[0]},)" if size == 1 else f"({', '.join(items)})"

    def flag(self, row: Sequence[bool], wanted: str) -> str:
        """The argument that says whether an instance has an optional layer."""
        return self._named(row) or self._own(row, wanted, rank=3, default="False")

    def _named(self, row: Row) -> str | None:
        for argument in (*self._candidates, *self.used.values()):
            if _equal(argument.row, row):
                return self._use(argument)
        return None

    def _use(self, argument: Argument) -> str:
        natural = NATURAL.get(argument.name)
        if natural is not None and natural in argument.row:
            argument.default = literal(natural)
        self.used.setdefault(argument.name, argument)
        return f"\x02{argument.name}\x02"

    def _derived(self, row: Row) -> str | None:
        """A multiple of a parameter or size, or a product or sum of two."""
        if not all(v is MISSING or (isinstance(v, int) and not isinstance(v, bool)) for v in row):
            return None
        known = [c for c in self._candidates if all(type(v) is int and v > 0 for v in c.row)]
        for argument in known:
            factor = _factor(row, argument.row)
            if factor:
                return f"{self._use(argument)} * {factor}"
            divisor = _factor(argument.row, row)
            if divisor:
                return f"{self._use(argument)} // {divisor}"
        for argument in known:
            if _equal([value // 2 for value in argument.row], row):
                return f"{self._use(argument)} // 2"
        for first, a in enumerate(known):
            for b in known[first + 1 :]:
                for sign in ("*", "+"):
                    if _equal(_combine(a.row, b.row, sign), row):
                        return f"{self._use(a)} {sign} {self._use(b)}"
        return None

    def multiple(self, row: Row) -> str | None:
        """What a docstring says for sizes that follow from an argument: `channels * 4`."""
        for argument in self.ordered():
            if _equal(argument.row, row):
                return argument.name
        if all(type(size) is int for size in row):
            for argument in self.ordered():
                if all(type(value) is int for value in argument.row):
                    factor = _factor(row, argument.row)
                    if factor:
                        return f"{argument.name} * {factor}"
        return None

    def _own(self, row: Row, wanted: str, rank: int = 2, default: str | None = None) -> str:
        name = self._names.fresh(local_name(wanted))
        if any(value is MISSING for value in row):
            rank, default = 3, "None"
        return self._use(Argument(name, row, rank, default))

    def ordered(self) -> list[Argument]:
        """As the constructor takes them: required ones first."""
        places = {name: place for place, name in enumerate(self.frames[0].scope.arguments)}

        def order(argument: Argument) -> tuple[bool, int, int]:
            return argument.default is not None, argument.rank, places.get(argument.name, 99)

        return sorted(self.used.values(), key=order)


def _size(frame: Frame, place: int, axis: int) -> Any:
    kind = frame.ports[place].type
    return kind.shape[axis] if kind and axis < kind.rank else None


_LETTERS = {"C": "channels", "H": "height", "W": "width", "T": "length", "L": "length"}


def _size_name(scope: Scope, port: str, kind: TensorType, axis: int, ports: int) -> str:
    size = kind.shape[axis]
    letters = [name for name, bound in scope.dims.items() if bound == size and name in _LETTERS]
    if axis == 1 and kind.rank != 3:
        word = "features" if kind.rank == 2 else "channels"
    elif axis == kind.rank - 1 and kind.rank == 3 and "C" not in letters:
        word = "features"
    else:
        word = _LETTERS[letters[0]] if letters else f"size_{axis}"
    prefix = "in" if port == "x" or ports == 1 else port
    return f"{prefix}_{word}"


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _alike(row: Row) -> bool:
    return all(_same(value, row[0]) for value in row)


def _equal(a: Row, b: Row) -> bool:
    """The same values wherever both have one, which must be somewhere with a difference."""
    return all(y is MISSING or _same(x, y) for x, y in zip(a, b, strict=True))


def _factor(row: Row, base: Row) -> int | None:
    """The whole number k >= 2 with row = k * base."""
    pairs = [(v, b) for v, b in zip(row, base, strict=True) if v is not MISSING]
    if any(b is MISSING or b <= 0 or v % b for v, b in pairs):
        return None
    factors = {v // b for v, b in pairs}
    factor = factors.pop() if len(factors) == 1 else 0
    return factor if factor >= 2 else None


def _combine(a: Row, b: Row, sign: str) -> list[Any]:
    return [x * y if sign == "*" else x + y for x, y in zip(a, b, strict=True)]
