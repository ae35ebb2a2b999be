"""Fits Python code into lines of 100 columns, in the style of `ruff format`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH = 100
INDENT = "    "
_OPEN, _CLOSE = "([{", ")]}"
_OPERATORS = (" + ", " - ", " * ", " / ", " @ ", " if ", " else ", " for ")


@dataclass(frozen=True)
class Entry:
    """An argument: `prefix` is its keyword with the equals sign; the comment stands behind it."""

    code: Code
    prefix: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Bracket:
    """`head` with the opening bracket, arguments, and `tail` with the closing one."""

    head: str
    entries: tuple[Entry, ...]
    tail: str = ")"


Code = str | Bracket


def call(function: str, arguments: Sequence[Entry | str]) -> Bracket:
    """`function(arguments)`."""
    entries = tuple(a if isinstance(a, Entry) else Entry(a) for a in arguments)
    return Bracket(f"{function}(", entries)


def flat(code: Code) -> str:
    """The code on one line, without comments."""
    if isinstance(code, str):
        return code
    inner = ", ".join(entry.prefix + flat(entry.code) for entry in code.entries)
    return f"{code.head}{inner}{code.tail}"


def fit(
    code: Code, depth: int, *, prefix: str = "", suffix: str = "", comment: str = ""
) -> list[str]:
    """Lines for a statement: `prefix`, the code, `suffix`, and a comment behind it.

    depth: levels of indentation.
    """
    behind = f"  # {comment}" if comment else ""
    line = f"{INDENT * depth}{prefix}{flat(code)}{suffix}{behind}"
    if len(line) <= WIDTH and not _has_comments(code):
        return [line]
    bracket = (
        code if isinstance(code, Bracket) else _parsed(code, WIDTH - len(INDENT * depth + prefix))
    )
    if not bracket.entries or (bracket == Bracket("(", (Entry(code),)) and " " not in flat(code)):
        return [line]
    first, last = f"{INDENT * depth}{prefix}{bracket.head}", f"{INDENT * depth}{bracket.tail}"
    return [first, *_body(bracket, depth + 1), f"{last}{suffix}{behind}"]


def _has_comments(code: Code) -> bool:
    if isinstance(code, str):
        return False
    return any(entry.comment or _has_comments(entry.code) for entry in code.entries)


def _body(bracket: Bracket, depth: int) -> Iterator[str]:
    joined = ", ".join(e.prefix + flat(e.code) for e in bracket.entries)
    line = INDENT * depth + joined
    if len(line) <= WIDTH and not _has_comments(bracket):
        yield line
    elif len(bracket.entries) == 1 and _operators(joined):
        yield from _operands(joined, depth)
    else:
        for entry in bracket.entries:
            yield from fit(
                entry.code, depth, prefix=entry.prefix, suffix=",", comment=entry.comment
            )


def _operands(text: str, depth: int) -> Iterator[str]:
    """A long expression in lines that start with an operator."""
    places = _operators(text)
    yield from fit(text[: places[0]], depth)
    for start, end in pairwise((*places, len(text))):
        operator, _, operand = text[start:end].strip().partition(" ")
        yield from fit(operand, depth, prefix=f"{operator} ")


def _operators(text: str) -> list[int]:
    """Where an operator, or the `for` of a generator, stands outside of all brackets."""
    depth, found = 0, []
    for place, sign in enumerate(text):
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if not depth and text.startswith(_OPERATORS, place):
            found.append(place)
    return found


def _parsed(text: str, room: int) -> Bracket:
    """The text as its last bracket that leaves room for what stands before it.

    An expression without brackets, or one with operators outside of them, gets brackets around it.
    """
    groups = [] if _operators(text) else _groups(text)
    for opening, closing in reversed(groups):
        if opening < room and closing - opening > 1:
            inner = tuple(Entry(part) for part in _split(text[opening + 1 : closing]))
            return Bracket(text[: opening + 1], inner, text[closing:])
    return Bracket("(", (Entry(text),))


def _groups(text: str) -> list[tuple[int, int]]:
    """Where the outermost brackets open and close."""
    depth, start = 0, 0
    found: list[tuple[int, int]] = []
    for place, sign in enumerate(text):
        if sign in _OPEN:
            start = place if depth == 0 else start
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
            found += [(start, place)] if depth == 0 else []
    return found


def _split(text: str) -> list[str]:
    """Cut at the commas that stand outside of brackets."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if sign == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [part for part in (*parts, text[start:].strip()) if part]
