"""Where in a YAML file a value came from.

Lines and columns are 1-based and count code points, as editors show them. `end_col` is the column
after the last character, so an empty span has `end_col == col`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[str | int, ...]
"""A path from the root of a document: `("networks", "classifier", "layers", 3, "conv2d")`."""


@dataclass(frozen=True)
class SourceFile:
    """One text that diagnostics can quote.

    `name` is what messages show: the path as the user gave it, or `<command line>`.
    `path` is None for text that is not a file.
    """

    name: str
    text: str = field(repr=False)
    path: Path | None = None

    def line(self, number: int) -> str:
        """The text of a 1-based line without its line break; empty past the end."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


@dataclass(frozen=True)
class Span:
    """A range of characters in a file."""

    file: SourceFile
    line: int
    col: int
    end_line: int
    end_col: int

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line}:{self.col}"


@dataclass(frozen=True)
class Located:
    """A document as plain data, with the place of every value and of every mapping key.

    data: dicts, lists and scalars (str, int, float, bool, None).
    spans: place of the value at a path; the root has the path ().
    keys: place of the key that leads to the value at a path.
    """

    file: SourceFile
    data: Any
    spans: Mapping[Key, Span]
    keys: Mapping[Key, Span]

    def span(self, path: Key) -> Span:
        """The place of the value at `path`, or of its nearest known ancestor."""
        while path not in self.spans and path:
            path = path[:-1]
        return self.spans[path]

    def key(self, path: Key) -> Span:
        """The place of the key at `path`; of the value where there is none (a list's item)."""
        return self.keys.get(path) or self.span(path)
