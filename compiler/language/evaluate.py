"""Replaces the expressions inside a part of a document by their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Code, Label, Sink
from ..source import Key, Located
from .describe import plain
from .expressions import ExpressionError, is_expression, parse

FAILED: Any = object()
"""Stands for a value whose mistake has been reported."""


@dataclass
class Origins:
    """Which values came from expressions, with the numbers that led to them."""

    notes: dict[Key, str] = field(default_factory=dict)

    def note(self, path: Key) -> str | None:
        """The note of the value at a path or of what contains it."""
        while path not in self.notes and path:
            path = path[:-1]
        return self.notes.get(path)


@dataclass
class Scope:
    """What an expression can see, and where its mistakes go.

    env: names with their values. notes: added to every message ("in block `Residual`, ...").
    """

    env: Mapping[str, Any]
    located: Located
    sink: Sink
    notes: tuple[str, ...] = ()
    origins: Origins = field(default_factory=Origins)

    def evaluate(self, value: Any, path: Key) -> Any:
        """The same data with every `$...` scalar replaced; FAILED where a mistake was reported."""
        if isinstance(value, dict):
            return self._all({k: self.evaluate(v, (*path, k)) for k, v in value.items()})
        if isinstance(value, list):
            items = [self.evaluate(v, (*path, i)) for i, v in enumerate(value)]
            return FAILED if any(item is FAILED for item in items) else items
        return self._scalar(value, path) if is_expression(value) else value

    def report(
        self,
        code: Code,
        message: str,
        path: Key,
        label: str = "",
        *,
        key: bool = False,
        also: Iterable[Label] = (),
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
    ) -> None:
        """Report a mistake at the value of a path; with `key`, at the key that leads to it."""
        span = self.located.key(path) if key else self.located.span(path)
        self.sink.add(code, message, span, label, also=also, notes=self.notes, help=help)

    def wrong(
        self,
        message: str,
        path: Key,
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
    ) -> None:
        """Report a wrong value: E202 with its numbers if an expression gave it, else S102."""
        note = self.origins.note(path)
        notes = (note, *self.notes) if note else self.notes
        code = Code.E202 if note else Code.S102
        self.sink.add(code, message, self.located.span(path), notes=notes, help=help)

    def _all(self, result: dict[Any, Any]) -> Any:
        return FAILED if any(value is FAILED for value in result.values()) else result

    def _scalar(self, text: str, path: Key) -> Any:
        try:
            expression = parse(text)
            value = expression.evaluate(self.env)
        except ExpressionError as error:
            self.report(error.code, error.message, path, help=error.help or None)
            return FAILED
        used = {name: self.env[name] for name in sorted(expression.names)}
        given = ", ".join(f"{name} = {plain(v)}" for name, v in used.items())
        note = f"`{text}` is {plain(value)}"
        self.origins.notes[path] = f"{note} with {given}" if given else note
        return value


def expression_names(value: Any) -> set[str]:
    """Every name that the expressions inside a value mention, bad expressions included."""
    if isinstance(value, dict):
        return set().union(*(expression_names(v) for v in value.values()))
    if isinstance(value, list):
        return set().union(*(expression_names(v) for v in value))
    if not is_expression(value):
        return set()
    try:
        return set(parse(value).names)
    except ExpressionError:
        return set(re.findall(r"[A-Za-z_]\w*", str(value)))


def truth(scope: Scope, value: Any, path: Key, what: str) -> bool | None:
    """Evaluate a condition; None where a mistake was reported.

    what: the words of the message: "`when`".
    """
    result = scope.evaluate(value, path)
    if result is FAILED or isinstance(result, bool):
        return None if result is FAILED else result
    scope.wrong(
        f"{what} expects `true` or `false`, found `{plain(result)}`",
        path,
        "write a comparison, such as `$(channels != 64)`",
    )
    return None
