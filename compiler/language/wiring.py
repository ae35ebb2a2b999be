"""Resolves `from`, `else` and `outputs`: which values a layer reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..diagnostics import Code
from ..ir.graph import Value
from ..ops.base import Port
from ..source import Key
from ..suggest import did_you_mean, suggest
from .copy_source import names_copy, read_copy
from .describe import describe
from .evaluate import FAILED, expression_names
from .frames import UNKNOWN, Bound, Frame, Unknown, Wire

ABSENT = Unknown()
"""Stands for a copy that is not there, read by a layer without copies: no mistake."""


@dataclass(frozen=True)
class Wiring:
    """The inputs of one layer by port, in order; None for an optional port that is not given."""

    wires: tuple[Wire | None, ...]

    @property
    def is_unknown(self) -> bool:
        return any(isinstance(wire, Unknown) for wire in self.wires)

    def values(self) -> tuple[Value | None, ...]:
        assert not self.is_unknown
        return tuple(None if isinstance(w, Unknown) else w for w in self.wires)

    def with_first(self, wire: Wire) -> Wiring:
        return Wiring((wire, *self.wires[1:]))


@dataclass(frozen=True)
class Wirer:
    """Resolves the sources of one layer inside a frame.

    where: the path of the layer in its document; owner: how messages call it.
    """

    frame: Frame
    where: Key
    owner: str

    def wire(self, source: Any, ports: Sequence[Port], *, given: bool) -> Wiring:
        """The inputs of a layer whose `from` is `source` (or which has none)."""
        place = (*self.where, "from")
        if not ports:
            if given:
                self.frame.scope.report(
                    Code.G301, f"{self.owner} has no inputs, found `from`", place
                )
            return Wiring(())
        if not given:
            return self._default(ports)
        if isinstance(source, Mapping) and not names_copy(source, [port.name for port in ports]):
            return self._named(source, ports, place)
        if isinstance(source, list):
            return self._list(source, ports, place)
        needed = [port.name for port in ports if not port.optional]
        if len(needed) > 1 and needed[0] == ports[0].name:
            return self._unlisted(ports, {ports[0].name: self.source(source, place)}, place)
        return Wiring((self.source(source, place), *(None for _ in ports[1:])))

    def _default(self, ports: Sequence[Port]) -> Wiring:
        if ports[0].optional:
            return Wiring((None,) * len(ports))
        return self._unlisted(ports, {ports[0].name: self._previous(self.where)}, self.where)

    def _previous(self, place: Key) -> Wire:
        if self.frame.prev is None:
            names = ", ".join(f"`{name}`" for name in self.frame.names)
            self.frame.scope.report(
                Code.S102,
                f"{self.owner} needs `from`: it is the first layer and there are several inputs",
                place,
                help=f"choose one of {names}",
            )
            return UNKNOWN
        return self.frame.prev.first

    def _named(self, source: Mapping[str, Any], ports: Sequence[Port], place: Key) -> Wiring:
        names = [port.name for port in ports]
        known: dict[str, Wire] = {}
        for name, inner in source.items():
            if name not in names:
                self.frame.scope.report(
                    Code.G301,
                    f"{self.owner} has no input `{name}`",
                    (*place, name),
                    key=True,
                    help=did_you_mean(str(name), names, "input"),
                )
                continue
            known[name] = self.source(inner, (*place, name))
        if names[0] not in known and not ports[0].optional:
            known[names[0]] = self._previous(place)
        return self._unlisted(ports, known, place)

    def _unlisted(self, ports: Sequence[Port], known: Mapping[str, Wire], place: Key) -> Wiring:
        wires: list[Wire | None] = []
        for port in ports:
            if port.name not in known and not port.optional:
                self.frame.scope.report(
                    Code.S102,
                    f"{self.owner} needs the input `{port.name}`",
                    place,
                    help=f"name it: `from: {{{port.name}: <layer>}}`",
                )
                wires.append(UNKNOWN)
            else:
                wires.append(known.get(port.name))
        return Wiring(tuple(wires))

    def _list(self, source: list[Any], ports: Sequence[Port], place: Key) -> Wiring:
        if not ports[0].variadic:
            names = ", ".join(f"{port.name}: ..." for port in ports)
            self.frame.scope.report(
                Code.D401,
                f"{self.owner} takes its inputs by name, found a list",
                place,
                help=f"write `from: {{{names}}}`" if len(ports) > 1 else "name a single layer",
            )
            return Wiring(tuple(UNKNOWN for _ in ports))
        if len(source) < 1:
            self.frame.scope.report(
                Code.S102, f"{self.owner} needs inputs, found an empty list", place
            )
            return Wiring((UNKNOWN,))
        return Wiring(tuple(self.source(item, (*place, i)) for i, item in enumerate(source)))

    # One source

    def source(self, source: Any, place: Key) -> Wire:
        """The value that `name`, `name.port`, `name.2.port` or `{of, at, port}` stands for."""
        if isinstance(source, Mapping) and names_copy(source):
            return self._indexed(source, place)
        if not isinstance(source, str):
            self.frame.scope.report(
                Code.S102, f"a source expects the name of a layer, found {describe(source)}", place
            )
            return UNKNOWN
        if source == "prev":
            return self._previous(place)
        return self._path(source.split("."), place)

    def passed(self, source: Any, ports: Sequence[Port], *, given: bool) -> Wire | None:
        """What a layer without copies passes on: its first input, or what stands before the layer.

        None where nothing stands before it.
        """
        wires = self.wire(source, ports, given=given).wires
        if wires and wires[0] is not None and wires[0] is not ABSENT:
            return wires[0]
        return self.frame.prev.first if self.frame.prev else None

    def _indexed(self, source: Mapping[str, Any], place: Key) -> Wire:
        copy = read_copy(source, place, self.frame.scope)
        if copy is None:
            return UNKNOWN
        if expression_names(copy.at) & self.frame.unbound:
            return UNKNOWN if self.named(copy.of, (*place, "of")) is None else ABSENT
        at = self.frame.scope.evaluate(copy.at, (*place, "at"))
        if at is FAILED:
            return UNKNOWN
        if isinstance(at, bool) or not isinstance(at, int):
            self.frame.scope.report(
                Code.E202, f"`at` expects a whole number, found {describe(at)}", (*place, "at")
            )
            return UNKNOWN
        return self._path([copy.of, str(at), *([copy.port] if copy.port else [])], place)

    def _path(self, parts: list[str], place: Key) -> Wire:
        bound = self.named(parts[0], place)
        rest = parts[1:]
        if bound is None:
            return UNKNOWN
        if bound.copies is not None and is_copy(rest):
            copy = self.copy(bound, parts[0], int(rest[0]), place)
            if copy is None:
                return ABSENT if self.frame.unbound else UNKNOWN
            bound, rest = copy, rest[1:]
        return self._port(bound, ".".join(parts), rest, place)

    def copy(self, bound: Bound, name: str, index: int, place: Key) -> Bound | None:
        """One copy of a repeated layer; None, and a mistake, where there is none of this number."""
        copies = bound.copies or ()
        if 0 <= index < len(copies):
            return copies[index]
        if not self.frame.unbound:
            have = f"the copies 0 to {len(copies) - 1}" if copies else "no copies here"
            step = "copies are counted from 0" if copies else f"read `{name}`, what it passes on"
            message = f"`{name}` has {have}, found `{index}`"
            self.frame.scope.report(Code.G301, message, place, help=step)
        return None

    def _port(self, bound: Bound, text: str, rest: list[str], place: Key) -> Wire:
        if not rest:
            return bound.first
        if len(rest) == 1 and rest[0] in bound.ports:
            return bound.ports[rest[0]]
        if bound.is_unknown:
            return UNKNOWN
        self.frame.scope.report(
            Code.G301,
            f"unknown output `{text}`",
            place,
            help=did_you_mean(rest[0], bound.ports, "output"),
        )
        return UNKNOWN

    def named(self, name: str, place: Key) -> Bound | None:
        """What a name stands for, or None where it was reported."""
        bound = self.frame.lookup(name)
        if bound and not bound.dropped and not name.isdigit():
            return bound
        message, step, code = self._unnamed(name, bound)
        self.frame.scope.report(code, message, place, help=step)
        return None

    def _unnamed(self, name: str, bound: Bound | None) -> tuple[str, str, Code]:
        """Why a name stands for nothing, and the next step."""
        if name.isdigit():
            message = f"expected the name of a layer, `{name}` is a number"
            return message, "give that layer a word as its `id`", Code.G301
        if bound:
            step = "give it an `else` that names what stands for it, or read another layer"
            return f"`{name}` {bound.dropped}", step, Code.G301
        if any(name in frame.later for frame in self.frame.chain()):
            message = f"`{name}` is defined further down; a layer reads only earlier layers"
            return message, "move the definition up, or read another layer", Code.G302
        visible = [other for other in self.frame.visible() if not other.isdigit()]
        step = did_you_mean(name, visible, "layer")
        if suggest(name, visible) is None:
            step += "; `id` gives another layer a name"
        return f"unknown layer or input `{name}`", step, Code.G301


def is_copy(parts: Sequence[str]) -> bool:
    """Whether what follows a name begins with the number of a copy: `2` of `down.2.skip`."""
    return bool(parts) and parts[0].removeprefix("-").isdecimal()
