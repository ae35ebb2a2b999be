"""`fmt`: one layout for every spec.

Keys stand in a fixed order, two spaces indent, short maps are written in braces, comments and the
writing of each value stay. What is written over lines is moved by whole lines, never emitted anew
from data, and the result is checked: the same data, the same comments, and formatting it again
changes nothing. Otherwise the file is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import yaml

from ..diagnostics import Code, NetwrightError, Sink, failure
from ..source import Key, Located, SourceFile
from .comments import Block, Entry, Node, Reader, find_comments
from .key_order import sort_keys
from .loader import load

WIDTH = 100
"""What is moved into braces must fit into so many columns."""

LONGEST_SHORT_MAP = 6

_COMPOSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def format_source(file: SourceFile) -> str:
    """The text of a spec in canonical layout.

    Raises: NetwrightError: the text can't be read as a spec's YAML, or (R903) formatting it would
        change its data or its comments.
    """
    before = _loaded(file)
    text = _formatted(file.text)
    _verify(file, before, text)
    return text.replace("\n", "\r\n") if "\r\n" in file.text else text


def _loaded(file: SourceFile) -> Located:
    sink = Sink()
    located = load(file, sink)
    if located is None:
        raise NetwrightError(*sink)
    return located


def _formatted(text: str) -> str:
    text = text.replace("\r\n", "\n")
    root: Node = yaml.compose(text, _COMPOSER)
    if not root.value:
        return text
    if root.flow_style:  # a spec on one line in braces
        return f"{text.rstrip()}\n"
    document = Reader(text, root).document()
    header, lines = _header(document), _Printer(text).block(document, (), 0)
    return "\n".join([*header, *_trimmed(lines)]) + "\n"


def _verify(file: SourceFile, before: Located, text: str) -> None:
    problem = None
    try:
        after = _loaded(SourceFile(file.name, text))
    except NetwrightError:
        problem = "break it"
    else:
        if after.data != before.data:
            problem = "change its data"
        elif _comments(text) != _comments(file.text):
            problem = "change its comments"
        elif _formatted(text) != text:
            problem = "not settle"
    if problem:
        raise failure(
            Code.R903,
            f"`{file.name}` is left as it is: formatting it would {problem}",
            help="simplify the layout around its comments, and format it again",
        )


def _comments(text: str) -> Counter[str]:
    text = text.replace("\r\n", "\n")
    found = find_comments(text, yaml.compose(text, _COMPOSER))
    return Counter(text[start:end].rstrip() for start, end in found)


def _header(document: Block) -> list[str]:
    """Comments above the first key: they belong to the file, whichever key comes first."""
    above = document.entries[0].above
    header = above.copy()
    above.clear()
    return _trimmed(header, end=False)


def _trimmed(lines: list[str], *, end: bool = True) -> list[str]:
    """Lines without blank ones at the start, at the end, and more than one in a row."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    while end and kept and not kept[-1]:
        kept.pop()
    return kept


# Which maps are short

_STAY_OPEN = {"layers", "losses", "fields", "optimizers", "networks", "blocks", "variants"}
_FLOW_UNSAFE = re.compile(r"[,\[\]{}\n]|^[?:-]$")


def _may_close(path: Key, entries: list[Entry]) -> bool:
    """Whether a map or list that stands over lines may be written in brackets."""
    if not path or str(path[0]).startswith("x-") or path[-1] in _STAY_OPEN:
        return False
    if len(entries) > LONGEST_SHORT_MAP or (isinstance(path[-1], int) and len(entries) == 1):
        return False
    scalars = all(isinstance(entry.value, yaml.ScalarNode) for entry in entries)
    if len(path) == 1:
        return path[0] in ("params", "dims", "imports") and scalars
    if path[-1] == "inputs" and len(path) == 3:
        return len(entries) == 1
    return len(path) > 2 or path[0] not in ("objective", "networks", "blocks")


@dataclass(frozen=True)
class _Printer:
    """Writes entries as lines."""

    text: str

    def block(self, block: Block, path: Key, indent: int) -> list[str]:
        lines = []
        for position, entry in self.ordered(block, path):
            step = position if entry.key is None else str(entry.key.value)
            lines += self.entry(entry, (*path, step), indent)
        return [*lines, *(_indented(comment, indent) for comment in block.tail)]

    def ordered(self, block: Block, path: Key) -> list[tuple[int, Entry]]:
        if not block.is_map:
            return list(enumerate(block.entries))
        order = sort_keys(path, [str(entry.key.value) for entry in block.entries if entry.key])
        return [(position, block.entries[position]) for position in order]

    def entry(self, entry: Entry, path: Key, indent: int) -> list[str]:
        above = [_indented(comment, indent) for comment in entry.above]
        beside = [f"  {comment}" for comment in entry.beside]
        start = " " * indent + ("- " if entry.key is None else f"{self.raw(entry.key)}: ")
        short = self.short(entry, path, WIDTH - len(start))
        if short is not None:
            return [*above, f"{start}{short}".rstrip() + "".join(beside)]
        if entry.block is None:
            first, *more = self.verbatim(entry, indent)
            more = [*more[:-1], more[-1] + "".join(beside)] if more else []
            return [*above, f"{start}{first}" + ("" if more else "".join(beside)), *more]
        inner = _trimmed(self.block(entry.block, path, indent + 2), end=False)
        if entry.key is not None:
            return [*above, start.rstrip() + "".join(beside), *inner]
        while inner[0].lstrip().startswith("#") or not inner[0]:  # its key was moved up
            above.append(_indented(inner.pop(0).strip(), indent))
        return [*above, start + inner[0].lstrip(), *inner[1:]]

    # Short values

    def short(self, entry: Entry, path: Key, room: int) -> str | None:
        """The value on the line of its key; None where it does not go there."""
        if entry.inner:
            return None
        if entry.block is None:
            flow = self.item(entry, path)
            if flow is None:
                return None
            collection = not isinstance(entry.value, yaml.ScalarNode)
            joined = collection and "\n" in self.raw(entry.value)
            return None if joined and len(flow) > room else flow
        if entry.beside or not _may_close(path, entry.block.entries):
            return None
        closed = self.closed(entry.block, path)
        return closed if closed is not None and len(closed) <= room else None

    def item(self, entry: Entry, path: Key) -> str | None:
        """A value written in brackets or as a scalar; `- {relu: {}}` needs no braces."""
        node = entry.value
        if isinstance(node, yaml.MappingNode) and entry.key is None and len(node.value) == 1:
            key, value = node.value[0]
            inner = self.flow(value, (*path, str(key.value)))
            return None if inner is None else f"{self.raw(key)}: {inner}"
        if isinstance(node, yaml.ScalarNode) and "\n" not in self.raw(node):
            return self.raw(node)
        return self.flow(node, path)

    def flow(self, node: Node, path: Key) -> str | None:
        """A node in brackets on one line; None for a text over several lines."""
        if isinstance(node, yaml.ScalarNode):
            raw = self.raw(node)
            return None if "\n" in raw else raw or "null"
        if isinstance(node, yaml.SequenceNode):
            items = [self.flow(item, (*path, i)) for i, item in enumerate(node.value)]
            return None if None in items else f"[{', '.join(map(str, items))}]"
        order = sort_keys(path, [str(key.value) for key, _ in node.value])
        parts = []
        for key, value in (node.value[position] for position in order):
            inner = self.flow(value, (*path, str(key.value)))
            if inner is None or "\n" in self.raw(key):
                return None
            parts.append(f"{self.raw(key)}: {inner}")
        return f"{{{', '.join(parts)}}}"

    def closed(self, block: Block, path: Key) -> str | None:
        """A block in brackets, where nothing but its values would be lost."""
        parts = []
        for position, entry in self.ordered(block, path):
            step = position if entry.key is None else str(entry.key.value)
            inner = self.closed_value(entry, (*path, step))
            if inner is None or entry.above or entry.beside or entry.inner:
                return None
            parts.append(inner if entry.key is None else f"{self.raw(entry.key)}: {inner}")
        if block.tail:
            return None
        return f"{{{', '.join(parts)}}}" if block.is_map else f"[{', '.join(parts)}]"

    def closed_value(self, entry: Entry, path: Key) -> str | None:
        if entry.block is not None:
            may = path[-1] not in _STAY_OPEN and len(entry.block.entries) <= LONGEST_SHORT_MAP
            return self.closed(entry.block, path) if may else None
        value = self.flow(entry.value, path)
        plain = isinstance(entry.value, yaml.ScalarNode) and not entry.value.style
        unsafe = plain and value is not None and _FLOW_UNSAFE.search(value)
        return None if unsafe else value

    # Text that is kept

    def raw(self, node: Node) -> str:
        return self.text[node.start_mark.index : node.end_mark.index].rstrip()

    def verbatim(self, entry: Entry, indent: int) -> list[str]:
        """A value over several lines, its lines moved together."""
        node = entry.value
        first, *more = self.raw(node).split("\n")
        if isinstance(node, yaml.ScalarNode) and node.style not in ("|", ">"):
            return [first, *(_indented(line.strip(), indent + 2) for line in more)]
        shift = indent - entry.column
        return [first.rstrip(), *(_shifted(line, shift) for line in more)]


def _indented(line: str, indent: int) -> str:
    return f"{' ' * indent}{line}" if line else ""


def _shifted(line: str, shift: int) -> str:
    if not line.strip():
        return ""
    margin = len(line) - len(line.lstrip(" "))
    return " " * max(0, margin + shift) + line.lstrip(" ").rstrip()
