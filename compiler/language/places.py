"""Where PyYAML's events stand, as spans."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from ..source import SourceFile, Span

Event = Any
"""An event of PyYAML; its type stubs know neither tags nor that every event here has marks."""


@dataclass
class Places:
    """Spans of one file: lines and columns from 1, in code points."""

    file: SourceFile

    def span(self, event: Event) -> Span:
        start, end = event.start_mark, event.end_mark
        line, column = end.line, end.column
        if isinstance(event, yaml.ScalarEvent) and event.style in ("|", ">"):
            line, column = self.trimmed(start.index, end.index)
        return Span(self.file, start.line + 1, start.column + 1, line + 1, column + 1)

    def trimmed(self, start: int, end: int) -> tuple[int, int]:
        """The end of a block of text without the blank lines that follow it."""
        last = start + len(self.file.text[start:end].rstrip())
        line = bisect.bisect_right(self.line_starts, last) - 1
        return line, last - self.line_starts[line]

    @cached_property
    def line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.file.text))]

    def line(self, mark: Any) -> Span:
        line = mark.line + 1
        return Span(self.file, line, 1, line, max(2, len(self.file.line(line)) + 1))
