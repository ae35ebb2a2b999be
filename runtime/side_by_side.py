"""A sheet for a terminal: titles at the left, one column for each thing that is compared.

Columns that don't fit beside the others go into a block below, with the titles again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from ..compiler.excerpt import visible
from .number_text import row_texts
from .progress import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

BEST = "*"
GAP = 2
NARROWEST, WIDEST = 10, 30
"""Letters of a column; longer values go on in the next line."""

TITLES = 30
"""The most letters of a row's title in one line."""


@dataclass(frozen=True)
class Row:
    """A line of the sheet. best: the numbers of the columns whose cell is marked."""

    title: str
    cells: tuple[str, ...]
    best: frozenset[int] = field(default_factory=frozenset)

    def text(self, column: int) -> str:
        return self.cells[column] + (BEST if column in self.best else "")


@dataclass(frozen=True)
class Group:
    """Rows under a heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Sheet:
    """labels: the headings of the columns. legend: what the mark of the best cells says."""

    labels: tuple[str, ...]
    groups: tuple[Group, ...]
    legend: str
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]


def best_of(values: Sequence[float | None], higher: bool | None) -> frozenset[int]:
    """Where the best value stands: everywhere it does, and nowhere if all values are the same.

    higher: whether higher is better; None where that is not known.
    """
    known = {value for value in values if value is not None}
    if higher is None or len(known) < 2:
        return frozenset()
    best = max(known) if higher else min(known)
    return frozenset(index for index, value in enumerate(values) if value == best)


# Cells


def figure_row(
    title: str, values: Sequence[float | None], best: frozenset[int] = frozenset()
) -> Row:
    return Row(title, tuple(row_texts(values)), best)


def count_text(value: float | None) -> str:
    """`1,378`."""
    return "-" if value is None else f"{value:,.0f}"


def time_text(seconds: float | None) -> str:
    """`0.6 s`, `2:05`."""
    if seconds is None:
        return "-"
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


# Layout


def print_sheet(sheet: Sheet, stream: IO[str]) -> None:
    """Print a sheet, as wide as the stream's terminal; 80 letters where it is none."""
    from rich.console import Console

    sheet, console = _visible(sheet), Console(file=stream, highlight=False)
    columns = _columns(sheet, console.width)
    for number, block in enumerate(_blocks(columns, console.width - _title_width(sheet))):
        if number:
            console.print()
        _print_block(console, sheet, {index: columns[index] for index in block})
    if any(row.best for row in sheet.rows):
        console.print(f"\n{BEST} {sheet.legend}", markup=False, style="dim")
    for note in sheet.notes:
        console.print(f"note: {note}", markup=False, style="yellow")


def _visible(sheet: Sheet) -> Sheet:
    """Runs are folders that nobody vouches for: what would act on a terminal is escaped."""
    groups = tuple(
        Group(group.title, tuple(_visible_row(row) for row in group.rows)) for group in sheet.groups
    )
    labels, notes = tuple(map(visible, sheet.labels)), tuple(map(visible, sheet.notes))
    return Sheet(labels, groups, sheet.legend, notes)


def _visible_row(row: Row) -> Row:
    return Row(visible(row.title), tuple(map(visible, row.cells)), row.best)


def _columns(sheet: Sheet, width: int) -> list[int]:
    """The width of each column: as wide as lets the most of them stand side by side."""
    natural = [
        max(len(label), *(len(row.text(index)) for row in sheet.rows))
        for index, label in enumerate(sheet.labels)
    ]

    room = width - _title_width(sheet)
    widest = max(NARROWEST, min(WIDEST, room - GAP))
    least = [min(widest, _longest_word(sheet, index)) for index in range(len(sheet.labels))]

    def limited(most: int) -> list[int]:
        pairs = zip(natural, least, strict=True)
        return [max(NARROWEST, word, min(most, needed)) for needed, word in pairs]

    choices = [limited(most) for most in range(widest, NARROWEST - 1, -1)]
    return min(choices, key=lambda columns: len(_blocks(columns, room)))


def _blocks(columns: Sequence[int], room: int) -> list[range]:
    """Which columns stand side by side: as many as there is room for, at least one."""
    blocks, start, used = [], 0, 0
    for index, column in enumerate(columns):
        if used + GAP + column > room and index > start:
            blocks.append(range(start, index))
            start, used = index, 0
        used += GAP + column
    return [*blocks, range(start, len(columns))]


def _title_width(sheet: Sheet) -> int:
    lines = [line for row in sheet.rows for line in _broken(row.title)]
    return max(2 + max(map(len, lines)), *(len(group.title) for group in sheet.groups))


def _broken(title: str) -> list[str]:
    """A long path in several lines, broken before a dot."""
    first, *rest = _lines(re.findall(r"\.?[^.]*", title), TITLES)
    return [first, *(f"  {line}" for line in rest)]


def _longest_word(sheet: Sheet, column: int) -> int:
    """The letters of the longest word of a column, which is not to be broken."""
    texts = [sheet.labels[column], *(row.text(column) for row in sheet.rows)]
    return max(len(word) for text in texts for word in text.split() or [""])


def _wrapped(text: str, width: int) -> str:
    """Text in lines, broken at blanks; of a word too long for one, after a sign, else anywhere."""
    parts = [part for word in re.findall(r"\S+\s*", text) for part in _parts(word, width)]
    return "\n".join(line.rstrip() for line in _lines(parts, width))


def _parts(word: str, width: int) -> list[str]:
    """A word, whole where it has room, and in pieces where it has not."""
    if len(word.rstrip()) <= width:
        return [word]
    pieces = re.findall(r"[^_/.,:=-]*[_/.,:=-]?", word)
    return [piece[i : i + width] for piece in pieces for i in range(0, len(piece), width)]


def _lines(parts: Sequence[str], width: int) -> list[str]:
    """Parts put together into lines of at most `width` letters; a longer part has its own."""
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _cell(row: Row, column: int, width: int) -> Text:
    from rich.text import Text

    style = "bold green" if column in row.best else ""
    return Text(_wrapped(row.text(column), width), style=style)


def _print_block(console: Console, sheet: Sheet, columns: Mapping[int, int]) -> None:
    """Print some of the columns; columns: the number of each -> letters."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 0, 0, GAP), pad_edge=False)
    table.add_column("", width=_title_width(sheet), no_wrap=True)
    for index, width in columns.items():
        header = Text(_wrapped(sheet.labels[index], width), style="bold", overflow="fold")
        table.add_column(header, width=width, overflow="fold")
    for group in sheet.groups:
        table.add_row(Text(group.title, style="bold cyan"))
        for row in group.rows:
            title = Text("\n".join(f"  {line}" for line in _broken(row.title)))
            table.add_row(title, *(_cell(row, index, width) for index, width in columns.items()))
    console.print(table)
