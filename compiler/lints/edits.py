"""Changes to the text of a spec that repair what a lint found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..diagnostics import Edit
from ..source import Key, Located, SourceFile, Span


def set_argument(
    located: Located, path: Key, operation: str, main: str | None, name: str, text: str
) -> Edit | None:
    """Give a layer's operation an argument; None where the argument is an expression.

    Args:
        path: of the layer in the document. operation: its key.
        main: the argument that a bare value stands for.
        name, text: of the argument and its value.
    """
    item, place = _at(located.data, path), (*path, operation)
    if isinstance(item, str):
        return Edit(located.span(path), f"{operation}: {{{name}: {text}}}")
    arguments = item[operation]
    if not isinstance(arguments, Mapping):
        return _spell_out(located.spans[place], arguments, main, f"{name}: {text}")
    if name in arguments:
        given = str(arguments[name])
        return None if given.startswith("$") else Edit(located.spans[(*place, name)], text)
    return _insert(located, place, arguments, f"{name}: {text}")


def _at(data: Any, path: Key) -> Any:
    for key in path:
        data = data[key]
    return data


def _spell_out(span: Span, value: object, main: str | None, argument: str) -> Edit | None:
    """`conv2d: 64` becomes `conv2d: {channels: 64, bias: false}`."""
    if value is None or main is None or not _is_one_line(span):
        return None
    written = span.file.line(span.line)[span.col - 1 : span.end_col - 1]
    return Edit(span, f"{{{main}: {written}, {argument}}}")


def _insert(located: Located, place: Key, arguments: Mapping[str, Any], argument: str) -> Edit:
    """Behind the last argument; a map in block style gets a line of its own."""
    span = located.spans[place]
    if not arguments:
        return Edit(span, f"{{{argument}}}")
    last = located.spans[(*place, list(arguments)[-1])]
    if span.file.line(span.line)[span.col - 1] == "{":
        return Edit(_empty(span.file, last.end_line, last.end_col), f", {argument}")
    first = located.keys[(*place, next(iter(arguments)))]
    indent = " " * (first.col - 1)
    if _is_one_line(last) and _has_line(last.file, last.end_line + 1):
        return Edit(_empty(span.file, last.end_line + 1, 1), f"{indent}{argument}\n")
    return Edit(_empty(span.file, first.line, first.col), f"{argument}\n{indent}")


def remove_layer(located: Located, path: Key) -> Edit | None:
    """Take a layer out that stands on lines of its own in a list in block style, else None."""
    span = located.spans[path]
    before = span.file.line(span.line)[: span.col - 1]
    after = span.file.line(span.end_line)[span.end_col - 1 :].strip()
    alone = before.strip() == "-" and (not after or after.startswith("#"))
    if not alone or not _is_one_line(span) or not _has_line(span.file, span.line + 1):
        return None
    return Edit(Span(span.file, span.line, 1, span.end_line + 1, 1), "")


def _empty(file: SourceFile, line: int, col: int) -> Span:
    return Span(file, line, col, line, col)


def _is_one_line(span: Span) -> bool:
    return span.line == span.end_line


def _has_line(file: SourceFile, number: int) -> bool:
    return number <= file.text.count("\n") + 1
