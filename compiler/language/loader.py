"""Text to a located tree: the only place that reads YAML.

One pass over PyYAML's events checks every limit before anything is built, refuses what has more
than one reading, and builds the data and the maps of spans together. Composing with PyYAML first
would lose mistakes behind the first one, and `CSafeLoader` crashes on deep nesting when it
composes; its events do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from ..diagnostics import STAGE_LIMIT, Code, Label, Sink
from ..source import Key, Located, SourceFile, Span
from .places import Event, Places
from .reading import BYTE_LIMIT, check_text, read_source
from .scalars import Refused, Scalar, clip, read_plain
from .syntax import explain_syntax

__all__ = ["BYTE_LIMIT", "DEPTH_LIMIT", "NODE_LIMIT", "load", "read_source"]

DEPTH_LIMIT = 24
NODE_LIMIT = 20_000

_EVENTS: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOTHING: Any = object()


def load(file: SourceFile, sink: Sink) -> Located | None:
    """The document of a file, or None where `sink` got an error.

    Every independent mistake is reported, up to a stage's limit; a syntax error ends the reading.
    """
    found = sink.errors
    check_text(file, sink)
    if sink.errors > found:
        return None
    builder = _Builder(file, sink)
    builder.run()
    if sink.errors > found:
        return None
    return Located(file, builder.root, builder.spans, builder.keys)


# The tree


@dataclass
class _Frame:
    """A collection whose end has not been read yet."""

    data: dict[Any, Any] | list[Any]
    path: Key
    start: Any
    flow: bool
    key: Any = _NOTHING
    """In a map: the key that waits for its value."""

    key_event: Event = None
    """The key's event, where it was a scalar."""

    stray: bool = False
    """A collection in the place of a key."""


class _Stop(Exception):  # noqa: N818 - ends the reading, is no error
    """Nothing more can be read: a limit was reached."""


class _Builder:
    """Builds data, spans and keys from events and reports what is not allowed in a spec."""

    def __init__(self, file: SourceFile, sink: Sink) -> None:
        self.file, self.sink, self.places = file, sink, Places(file)
        self.root: Any = _NOTHING
        self.spans: dict[Key, Span] = {}
        self.keys: dict[Key, Span] = {}
        self.stack: list[_Frame] = []
        self.nodes = self.documents = self.mistakes = 0
        self.last: tuple[int, int] = (0, 0)  # 0-based line and column where the last node ended

    def run(self) -> None:
        events = _EVENTS(self.file.text)
        try:
            while not isinstance(event := events.get_event(), yaml.StreamEndEvent):
                self.take(event)
            self.check_root()
        except _Stop:
            pass
        except yaml.YAMLError as error:
            self.sink.report(explain_syntax(self.file, error))
        finally:
            events.dispose()

    def take(self, event: Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.count(event)
            self.scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.count(event)
            self.open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.close(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.document(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)

    # Checks

    def refuse(self, code: Code, message: str, span: Span, label: str = "", **more: Any) -> None:
        """Report a mistake; end the reading when there are too many."""
        self.mistakes += 1
        if self.mistakes == STAGE_LIMIT:
            more["notes"] = ["this is the last mistake shown; reading stopped here"]
        self.sink.add(code, message, span, label, **more)
        if self.mistakes == STAGE_LIMIT:
            raise _Stop

    def count(self, event: Event) -> None:
        self.nodes += 1
        if self.nodes > NODE_LIMIT:
            self.limit(event, f"a spec is limited to {NODE_LIMIT} values", "keep data in files")
        if event.anchor is not None:
            self.refuse(
                Code.Y003,
                f"a spec takes no anchors, found `&{clip(event.anchor)}`",
                self.places.span(event),
                help="write the value out, or make it a parameter under `params`",
            )
        if event.tag is not None:
            self.refuse(
                Code.Y003,
                f"a spec takes no tags, found `{clip(_tag_text(event.tag))}`",
                self.places.span(event),
                help="remove the tag; types follow from the settings",
            )

    def limit(self, event: Event, message: str, help_text: str) -> None:
        mark = event.start_mark
        span = Span(self.file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)
        self.sink.add(Code.Y004, message, span, "here", help=help_text)
        raise _Stop

    def document(self, event: Event) -> None:
        if event.version or event.tags:
            self.refuse(
                Code.Y003,
                "a spec takes no YAML directives, found one before `---`",
                self.places.line(event.start_mark),
                help="remove the line that starts with `%`",
            )
        self.documents += 1
        if self.documents > 1:
            self.refuse(
                Code.Y003,
                "a file holds one spec, found a second YAML document",
                self.places.line(event.start_mark),
                "the second document starts here",
                help="put each spec into a file of its own",
            )
            raise _Stop

    def alias(self, event: Event) -> None:
        self.refuse(
            Code.Y003,
            f"a spec takes no aliases, found `*{clip(event.anchor or '')}`",
            self.places.span(event),
            help="write the value out, or make it a parameter under `params`",
        )
        self.value(None, self.places.span(event), event)

    def check_root(self) -> None:
        if isinstance(self.root, dict):
            return
        empty = self.root is None or self.root is _NOTHING
        found = "an empty file" if empty else _kind(self.root)
        span = self.spans.get((), Span(self.file, 1, 1, 1, 1))
        missing_space = isinstance(self.root, str) and _NO_SPACE.match(self.root)
        self.refuse(
            Code.S102,
            f"a spec is a map that starts with `spec: v1`, found {found}",
            span,
            help="put a space after each colon: `spec: v1`"
            if missing_space
            else "start the file with `spec: v1`, `name` and `networks`",
        )

    # Nodes

    def open(self, event: Event) -> None:
        if len(self.stack) >= DEPTH_LIMIT:
            message = f"a spec is limited to {DEPTH_LIMIT} levels of nesting"
            self.limit(event, message, "move inner parts into `blocks`")
        frame = _Frame(
            {} if isinstance(event, yaml.MappingStartEvent) else [],
            self.path(),
            event.start_mark,
            bool(event.flow_style),
        )
        if self.stack and self.expects_key(self.stack[-1]):
            frame.stray = True
            self.refuse(
                Code.S102,
                f"a key is a word, found {_kind(frame.data)}",
                self.places.span(event),
                help="write the key as a plain word",
            )
        self.stack.append(frame)

    def close(self, event: Event) -> None:
        frame = self.stack.pop()
        self.last = self.end_of(frame, event)
        line, col = self.last
        span = Span(self.file, frame.start.line + 1, frame.start.column + 1, line + 1, col + 1)
        if frame.stray:
            self.stack[-1].key = f"?{self.nodes}"  # no key of the language: found once, then gone
            return
        self.value(frame.data, span, event)

    def end_of(self, frame: _Frame, event: Event) -> tuple[int, int]:
        """Where a collection ends: at its bracket, or with its last value."""
        mark = event.end_mark
        if frame.flow and mark.index and self.file.text[mark.index - 1] in "]}":
            return mark.line, mark.column
        start = (frame.start.line, frame.start.column)
        return max(self.last, start)

    def scalar(self, event: Event) -> None:
        span = self.places.span(event)
        self.last = (span.end_line - 1, span.end_col - 1)
        plain = event.implicit[0]
        value = self.read(event, span) if plain else event.value
        if self.stack and self.expects_key(self.stack[-1]):
            self.key(self.stack[-1], value, span, event)
        else:
            self.value(value, span, event)

    def read(self, event: Event, span: Span) -> Scalar:
        value = read_plain(event.value)
        self.check_whole(event, span)
        if isinstance(value, Refused):
            self.refuse(value.code, value.message, span, help=value.help)
            return str(event.value)
        in_flow = bool(self.stack) and self.stack[-1].flow
        if span.end_line > span.line and not in_flow and self.swallows_items(event):
            self.refuse(
                Code.Y001,
                "a list item starts with a dash and a space on a line of its own, found text that "
                "goes on over several lines",
                span,
                "all of this is one text",
                help="put a space after each dash, indent the items alike, or quote the text",
            )
        return value

    def check_whole(self, event: Event, span: Span) -> None:
        """An expression in brackets ends at its first comma or bracket."""
        inside = self.stack and self.stack[-1].flow
        if (
            inside
            and event.value.startswith("$(")
            and event.value.count("(") > event.value.count(")")
        ):
            self.refuse(
                Code.E201,
                f"inside brackets an expression holds no comma, bracket or brace, found it cut off "
                f"at `{clip(event.value)}`",
                span,
                help="split it into parameters, or move it out of the brackets",
            )

    def swallows_items(self, event: Event) -> bool:
        """Whether a text over several lines holds what was meant as items of a list."""
        raw = self.file.text[event.start_mark.index : event.end_mark.index]
        return bool(_SWALLOWED.search(raw))

    def key(self, frame: _Frame, value: Scalar, span: Span, event: Event) -> None:
        if event.value == "<<" and event.implicit[0]:
            self.refuse(
                Code.Y003,
                "a spec takes no merge keys, found `<<`",
                span,
                help="write the keys out, or use a block with parameters",
            )
        elif not isinstance(value, str):
            self.refuse(
                Code.S102,
                f"a key is a word, found {_kind(value)}",
                span,
                help="write a word, or put the key in quotes" if event.value else "write a key",
            )
        name = value if isinstance(value, str) else f"{event.value}"
        assert isinstance(frame.data, dict)
        if name in frame.data:
            self.duplicate(frame, name, span)
        frame.key, frame.key_event = name, event
        self.keys.setdefault((*frame.path, name), span)

    def duplicate(self, frame: _Frame, name: str, span: Span) -> None:
        first = self.keys[(*frame.path, name)]
        self.refuse(
            Code.Y002,
            f"a key stands once in a map, found `{clip(name)}` twice",
            span,
            "again here",
            also=[Label(first, "first here")],
            help=f"remove one of the two, or rename it; the first is on line {first.line}",
        )

    def value(self, value: Any, span: Span, event: Event) -> None:
        """Put a finished value where it belongs."""
        self.spans[self.path()] = span
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        if isinstance(frame.data, list):
            frame.data.append(value)
            return
        if frame.flow and value is None and not getattr(event, "value", "x"):
            self.check_key_alone(frame.key_event)
        frame.data[frame.key] = value
        frame.key, frame.key_event = _NOTHING, None

    def check_key_alone(self, key: Event) -> None:
        """In braces `{kernel:3}` is the key `kernel:3` without a value, and so is `{kernel 3}`."""
        if not isinstance(key, yaml.ScalarEvent) or not key.implicit[0]:
            return
        name, sign, rest = (part.strip() for part in _NAME_AND_REST.match(key.value).groups())
        if not rest:
            return
        wanted = "a colon is followed by a space" if sign else "a key is followed by a colon"
        self.refuse(
            Code.Y001,
            f"{wanted}, found `{clip(key.value)}`",
            self.places.span(key),
            help=f"write `{clip(name)}: {clip(rest)}`",
        )

    # Places

    def expects_key(self, frame: _Frame) -> bool:
        return isinstance(frame.data, dict) and frame.key is _NOTHING

    def path(self) -> Key:
        """The path of the value that comes next."""
        if not self.stack:
            return ()
        frame = self.stack[-1]
        return (*frame.path, len(frame.data) if isinstance(frame.data, list) else frame.key)


_NAME_AND_REST: Any = re.compile(r"([^:\s]*)\s*(:?)(.*)", re.DOTALL)
_NO_SPACE = re.compile(r"\w+:\S")
_SWALLOWED = re.compile(r"\n[ \t]*-[ \t]|\A-\w[^\n]*\n")


def _tag_text(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _kind(value: Any) -> str:
    """What a value is, in a message."""
    if isinstance(value, bool) or value is None:
        return "nothing" if value is None else f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {clip(str(value))}"
    if isinstance(value, str):
        return f"the text `{clip(value)}`"
    return "a list" if isinstance(value, list) else "a map"
