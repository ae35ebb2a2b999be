"""The lines of a spec that a diagnostic points at, with carets below them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .diagnostics import Diagnostic, Label, Severity
from .source import SourceFile

MESSAGE_LIMIT = 2_000
"""Characters of one message or note."""


@dataclass(frozen=True)
class Paint:
    """ANSI colours, or none."""

    on: bool

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text

    def bold(self, text: str) -> str:
        return self._wrap("1", text)

    def frame(self, text: str) -> str:
        return self._wrap("1;34", text)

    def severity(self, severity: Severity, text: str) -> str:
        return self._wrap("1;31" if severity is Severity.ERROR else "1;33", text)

    def second(self, text: str) -> str:
        return self._wrap("1;36", text)


@dataclass(frozen=True)
class _Mark:
    """A label's part on one line, in 0-based characters; `text` where the label's words go."""

    start: int
    end: int
    text: str
    primary: bool


@dataclass(frozen=True)
class Snippet:
    """The lines of one file that a diagnostic's labels point at."""

    labels: list[Label]
    gutter: int
    paint: Paint
    width: int
    diagnostic: Diagnostic

    def lines(self, first: bool) -> list[str]:
        span = self.labels[0].span
        place = visible(str(span))
        arrow = "-->" if first else ":::"
        out = [f"{' ' * self.gutter}{self.paint.frame(arrow)} {place}", self.bar()]
        before = 0
        for number, marks in sorted(self.marks().items()):
            if before and number > before + 2:
                out.append(self.paint.frame("..."))
            elif before and number == before + 2:
                out += self.quoted(span.file, before + 1, [])
            out += self.quoted(span.file, number, marks)
            before = number
        return out

    def bar(self, text: str = "") -> str:
        return f"{' ' * self.gutter} {self.paint.frame('|')} {text}"

    def marks(self) -> dict[int, list[_Mark]]:
        """Line number -> what is marked on it."""
        found: dict[int, list[_Mark]] = {}
        for label in self.labels:
            primary = label is self.diagnostic.labels[0]
            for number, mark in _line_marks(label, primary):
                found.setdefault(number, []).append(mark)
        return found

    def quoted(self, file: SourceFile, number: int, marks: list[_Mark]) -> list[str]:
        view = _View.of(file.line(number), marks, self.width - self.gutter - 3)
        shown = f"{number:>{self.gutter}}"
        lines = [f"{self.paint.frame(shown)} {self.paint.frame('|')} {view.text}"]
        return lines + [self.bar(row) for row in self.underline(view, marks)]

    def underline(self, view: _View, marks: list[_Mark]) -> list[str]:
        """Carets below the line, and below them the words that had no room beside them."""
        if not marks:
            return []
        ordered = sorted(marks, key=lambda mark: (mark.start, mark.end))
        spots = [(view.column(mark.start), view.column(mark.end), mark) for mark in ordered]
        row = _Row()
        for start, end, mark in sorted(spots, key=lambda spot: spot[2].primary):
            row.write(start, ("^" if mark.primary else "-") * max(1, end - start), self.style(mark))
        *hanging, (_, _, last) = spots
        beside = last.text and all(end <= spots[-1][0] for _, end, _ in hanging)
        if beside:
            row.append(visible(last.text), self.style(last))
        below = [spot for spot in (hanging if beside else spots) if spot[2].text]
        return [row.text(), *self.hang(below)]

    def hang(self, spots: list[tuple[int, int, _Mark]]) -> list[str]:
        rows = []
        for count in range(len(spots), 0, -1):
            row = _Row()
            for start, _, mark in spots[: count - 1]:
                row.write(start, "|", self.style(mark))
            start, _, mark = spots[count - 1]
            row.write(start, visible(mark.text), self.style(mark))
            rows.append(row.text())
        return rows

    def style(self, mark: _Mark) -> _Style:
        return _Style(self.paint, self.diagnostic.severity if mark.primary else None)


def _line_marks(label: Label, primary: bool) -> Iterable[tuple[int, _Mark]]:
    """Every line of a label; of more than three lines the first alone, where the part begins."""
    span = label.span
    last = span.line if span.end_line > span.line + 2 else max(span.line, span.end_line)
    for number in range(span.line, last + 1):
        content = span.file.line(number)
        start = span.col - 1 if number == span.line else len(content) - len(content.lstrip())
        end = span.end_col - 1 if number == span.end_line else len(content.rstrip())
        text = label.text if number == last else ""
        yield number, _Mark(start, max(end, start + 1), text, primary)


@dataclass(frozen=True)
class _Style:
    paint: Paint
    severity: Severity | None

    def __call__(self, text: str) -> str:
        if self.severity is None:
            return self.paint.second(text)
        return self.paint.severity(self.severity, text)


class _Row:
    """A line made of coloured cells at columns."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        self.styles: list[_Style | None] = []

    def write(self, column: int, text: str, style: _Style) -> None:
        missing = column + len(text) - len(self.cells)
        self.cells += [" "] * missing
        self.styles += [None] * missing
        self.cells[column : column + len(text)] = list(text)
        self.styles[column : column + len(text)] = [style] * len(text)

    def append(self, text: str, style: _Style) -> None:
        self.write(len(self.cells) + 1, text, style)

    def text(self) -> str:
        out, start = [], 0
        for index in range(1, len(self.cells) + 1):
            if index == len(self.cells) or self.styles[index] != self.styles[start]:
                part, style = "".join(self.cells[start:index]), self.styles[start]
                out.append(style(part) if style else part)
                start = index
        return "".join(out)


_ELLIPSIS = "..."


@dataclass(frozen=True)
class _View:
    """A line as it is shown: tabs and odd characters replaced, clipped around its marks.

    columns: where each character of the line begins in `text`, and one past the end.
    """

    text: str
    columns: list[int]
    width: int

    @staticmethod
    def of(line: str, marks: Sequence[_Mark], width: int) -> _View:
        cells = [_cell(character) for character in line]
        widths = [_columns(cell) for cell in cells]
        first, last = _window(widths, marks, width)
        left = _ELLIPSIS if first else ""
        right = _ELLIPSIS if last < len(cells) else ""
        columns, column = [], len(left)
        for index, size in enumerate(widths):
            columns.append(column)
            column += size if first <= index < last else 0
        text = f"{left}{''.join(cells[first:last])}{right}"
        return _View(text, [*columns, column], width)

    def column(self, character: int) -> int:
        """Where a character stands; where the view ends for one that is clipped away."""
        past = max(0, character - len(self.columns) + 1)
        return min(self.columns[min(character, len(self.columns) - 1)] + past, self.width)


def _window(widths: Sequence[int], marks: Sequence[_Mark], width: int) -> tuple[int, int]:
    """The characters of a line that are shown: all, or as many as fit around the marks."""
    if sum(widths) <= width:
        return 0, len(widths)
    room = width - 2 * len(_ELLIPSIS)
    first = min((mark.start for mark in marks), default=0)
    end = min(max((mark.end for mark in marks), default=0), len(widths))
    spare = room - sum(widths[first:end])
    first = min(first, len(widths))
    while first > 0 and spare > room // 3:
        first -= 1
        spare -= widths[first]
    last, used = first, 0
    while last < len(widths) and used + widths[last] <= room:
        used += widths[last]
        last += 1
    while last == len(widths) and first > 0 and used + widths[first - 1] <= room:
        first -= 1
        used += widths[first]
    return first, last


def _cell(character: str) -> str:
    return "    " if character == "\t" else _escape(character)


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(_character_columns(character) for character in text)


def _character_columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def visible(text: str) -> str:
    """A text on one line: control characters escaped, too long a text clipped."""
    shown = "".join(map(_escape, text[: MESSAGE_LIMIT + 1]))
    return shown if len(text) <= MESSAGE_LIMIT else f"{shown[:MESSAGE_LIMIT]}{_ELLIPSIS}"


def _escape(character: str) -> str:
    """Characters that would not show, or would act, as their Python escapes."""
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
