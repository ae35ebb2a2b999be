"""A place in a text that is not YAML, with what rules need to word the message."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..diagnostics import Code, Label
from ..source import SourceFile, Span
from .scalars import clip


@dataclass(frozen=True)
class Malformed:
    """What PyYAML says, with the text around the place; lines and columns are 0-based."""

    file: SourceFile
    context: str
    problem: str
    opened: tuple[int, int] | None
    """Where the part begins in which the mistake is."""

    line: int
    column: int
    lines: list[str]

    @property
    def text(self) -> str:
        return self.lines[self.line]

    @property
    def found(self) -> str:
        """The word or sign at the place of the mistake, as messages show it."""
        rest = self.text[self.column :]
        if not rest.strip():
            last = not any(line.strip() for line in self.lines[self.line + 1 :])
            return "the end of the file" if last else "the end of the line"
        word = re.match(r"[\w$.+-]+|.", rest)
        return f"`{clip(word.group())}`" if word else "`?`"

    @property
    def first_on_line(self) -> bool:
        return not self.text[: self.column].strip()

    def span(self, line: int, start: int, end: int | None = None) -> Span:
        end = start + 1 if end is None else max(end, start + 1)
        return Span(self.file, line + 1, start + 1, line + 1, end + 1)

    def here(self) -> Span:
        width = len(self.found) - 2 if self.found.startswith("`") else 1
        return self.span(self.line, self.column, self.column + width)

    def above(self) -> int | None:
        """The nearest line above that says something."""
        above = range(self.line - 1, -1, -1)
        return next((n for n in above if content(self.lines[n])), None)


@dataclass(frozen=True)
class Worded:
    message: str
    span: Span
    label: str = ""
    help: str | None = None
    also: tuple[Label, ...] = ()
    code: Code = Code.Y001


def content(line: str) -> str:
    """A line without its comment and the space around it."""
    return re.sub(r"(?:^|\s)#.*", "", line).strip()
