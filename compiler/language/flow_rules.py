"""Rules for syntax errors between brackets and braces."""

from __future__ import annotations

import re

from ..diagnostics import Label
from .malformed import Malformed, Worded


def flow(e: Malformed) -> Worded | None:
    """Inside brackets or braces."""
    kind = re.search("flow (sequence|mapping)", e.context)
    if not kind or not e.opened:
        return None
    in_list = kind.group(1) == "sequence"
    what, close = ("list in brackets", "]") if in_list else ("map in braces", "}")
    line, column = e.opened
    opener = e.lines[line][column : column + 1]
    also = (Label(e.span(line, column), f"`{opener}` opens here"),)
    message = f"a {what} goes on with `,` or ends with `{close}`, found {e.found}"
    if "end of" in e.found or e.found in ("`]`", "`}`"):
        return Worded(message, e.here(), f"`{close}` is missing before this", _close(close), also)
    key = re.fullmatch(r"\s*([\w.]+)", e.text[: e.column]) if e.found == "`:`" else None
    span = e.span(e.line, *key.span(1)) if key else e.here()
    message = message.removesuffix(e.found) + f"the key `{key.group(1)}`" if key else message
    help_text = f"put a comma between two entries, or {_close(close)}"
    return Worded(message, span, help=help_text, also=also)


def _close(bracket: str) -> str:
    return f"close the {'list' if bracket == ']' else 'map'} with `{bracket}`"


def flow_end(e: Malformed) -> Worded | None:
    """The file ends right behind an opening bracket or a comma."""
    if "flow node" not in e.context:
        return None
    opener = _unclosed(e)
    if "end of" not in e.found or opener is None:
        return Worded(f"a value is expected here, found {e.found}", e.here(), help="give a value")
    line, column = opener
    bracket = "]" if e.lines[line][column] == "[" else "}"
    return Worded(
        f"`{e.lines[line][column]}` is closed by `{bracket}`, found the end of the file",
        e.span(line, column),
        "opens here",
        _close(bracket),
    )


def _unclosed(e: Malformed) -> tuple[int, int] | None:
    """The last bracket that nothing closes."""
    open_brackets: list[tuple[int, int]] = []
    for number, line in enumerate(e.lines):
        for column, sign in enumerate(line):
            if sign in "[{":
                open_brackets.append((number, column))
            elif sign in "]}" and open_brackets:
                open_brackets.pop()
    return open_brackets[-1] if open_brackets else None
