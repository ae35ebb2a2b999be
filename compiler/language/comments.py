"""A YAML text as entries with the comments that belong to them, for the formatter.

PyYAML drops comments. Here every `#` outside a scalar is one; it belongs to the entry (a key with
its value, or an item of a list) that it stands behind or above, or to the end of a collection.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Node = Any
"""A node of PyYAML, whose stubs leave the types of marks open."""


@dataclass(eq=False)
class Entry:
    """A key with its value, or an item of a list (key None).

    above: comments on lines of their own above it, and "" for blank lines.
    beside: comments behind it. inner: whether a comment stands inside its flow value.
    """

    key: Node | None
    value: Node
    start: int
    line: int
    column: int
    above: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    inner: bool = False
    block: Block | None = None
    """The value's own entries where it is written over lines."""


@dataclass(eq=False)
class Block:
    """A map or list written over lines. tail: comments behind its last entry."""

    is_map: bool
    column: int
    entries: list[Entry]
    tail: list[str] = field(default_factory=list)


def scalars(node: Node) -> Iterator[Node]:
    """Every scalar of a tree, keys included, in the order of the text."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from scalars(key)
            yield from scalars(value)
    else:
        for item in node.value:
            yield from scalars(item)


def find_comments(text: str, root: Node) -> list[tuple[int, int]]:
    """The ranges of all comments, from `#` to the end of the line."""
    found: list[tuple[int, int]] = []
    position = 0
    ranges = [(node.start_mark.index, node.end_mark.index) for node in scalars(root)]
    for start, end in [*ranges, (len(text), len(text))]:
        while (sign := text.find("#", position, start)) >= 0:
            line_end = text.find("\n", sign)
            position = line_end if line_end >= 0 else len(text)
            found.append((sign, position))
        position = max(position, end)
    return found


class Reader:
    """Builds the entries of a document and hands out its comments."""

    def __init__(self, text: str, root: Node) -> None:
        self.text = text
        self.starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
        self.comments = find_comments(text, root)
        bare = list(text)
        for start, end in self.comments:
            bare[start:end] = " " * (end - start)
        self.bare = "".join(bare)
        self.entries: list[Entry] = []
        self.parents: dict[int, list[Block]] = {}
        self.root = self.block(root, [])

    def document(self) -> Block:
        """The root with every comment and blank line in its place."""
        line = self.entries[0].line
        for entry in self.entries[1:]:
            if entry.line != line and not self.lines(entry.line - 1).strip():
                entry.above.append("")
            line = entry.line
        self.entry_starts = [entry.start for entry in self.entries]
        for start, end in self.comments:
            self.attach(start, self.text[start:end].rstrip())
        for entry in reversed(self.entries):
            _settle(entry)
        return self.root

    def lines(self, number: int) -> str:
        start = self.starts[number]
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.text)
        return self.text[start:end]

    def place(self, index: int) -> tuple[int, int]:
        line = bisect.bisect_right(self.starts, index) - 1
        return line, index - self.starts[line]

    # Entries

    def block(self, node: Node, outer: list[Block]) -> Block:
        is_map = isinstance(node, yaml.MappingNode)
        block = Block(is_map, 0, [])
        for part in node.value:
            key, value = part if is_map else (None, part)
            start = key.start_mark.index if key is not None else self.dash(value)
            line, column = self.place(start)
            entry = Entry(key, value, start, line, column)
            block.entries.append(entry)
            self.entries.append(entry)
            self.parents[id(entry)] = [*outer, block]
            if not isinstance(value, yaml.ScalarNode) and not value.flow_style and value.value:
                entry.block = self.block(value, [*outer, block])
        block.column = block.entries[0].column
        return block

    def dash(self, value: Node) -> int:
        """Where the dash of an item stands."""
        before = self.bare[: value.start_mark.index].rstrip()
        assert before.endswith("-"), "an item of a list has a dash before it"
        return len(before) - 1

    # Comments

    def attach(self, start: int, text: str) -> None:
        line, column = self.place(start)
        before = bisect.bisect_right(self.entry_starts, start)
        previous = self.entries[before - 1] if before else None
        following = self.entries[before] if before < len(self.entries) else None
        if previous and self.inside(previous, start):
            previous.inner = True
        elif self.bare[self.starts[line] : start].strip():
            assert previous, "something stands before a comment on its line"
            previous.beside.append(text)
        else:
            self.attach_line(line, column, text, previous, following)

    def inside(self, entry: Entry, index: int) -> bool:
        value = entry.value
        return entry.block is None and value.start_mark.index < index < value.end_mark.index

    def attach_line(
        self, line: int, column: int, text: str, previous: Entry | None, following: Entry | None
    ) -> None:
        """A comment on a line of its own: above an entry, or at the end of a collection."""
        blank_above = line > 0 and not self.lines(line - 1).strip()
        tail = self.tail(column, previous, following)
        if tail is None:
            assert following
            behind = [following.above.pop()] if following.above[-1:] == [""] else []
            following.above += ["", text, *behind] if blank_above else [text, *behind]
            return
        tail += ["", text] if blank_above else [text]

    def tail(
        self, column: int, previous: Entry | None, following: Entry | None
    ) -> list[str] | None:
        """The end of the collection that a comment closes; None if it opens what follows."""
        if previous is None:
            return None
        around = self.parents[id(previous)]
        if following is not None:
            shared = self.parents[id(following)]
            if column <= following.column or shared[: len(around)] == around != shared:
                return None
            around = [b for b in around if b.column > following.column]
        inner = [b for b in around if b.column <= column] or around[:1]
        if not inner:
            return None
        return inner[-1].tail


def _settle(entry: Entry) -> None:
    """Put comments where the formatter writes them, inner entries first."""
    entry.above += entry.beside[:-1]
    del entry.beside[:-1]
    if entry.block is None:
        return
    above = entry.block.entries[0].above
    while above and not above[0]:  # no blank line between a key and its value
        above.pop(0)
    if entry.key is None:  # nothing stands between a dash and its value
        entry.above += [*entry.beside, *above]
        entry.beside.clear()
        above.clear()
