"""What a section finds wrong with itself, before it is known where in a file it stands."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from ..diagnostics import Code, Label, Sink
from ..source import Key, Span


@dataclass(frozen=True)
class Problem:
    """A mistake below a section.

    path: from the section to the value at fault; () is the section itself.
    also: from the section to a second value to show, and a few words under it.
    """

    code: Code
    message: str
    path: Key = ()
    label: str = ""
    help: str | None = None
    also: tuple[Key, str] | None = None

    def report(self, path: Key, span: Callable[[Key], Span | None], sink: Sink) -> None:
        """Report it of the section at `path`; `span` gives the place of a value by its path."""
        other = span((*path, *self.also[0])) if self.also else None
        sink.add(
            self.code,
            self.message,
            span((*path, *self.path)),
            self.label,
            also=[Label(other, self.also[1])] if other and self.also else (),
            help=self.help,
        )


FIRST = "first here"
"""What stands under the value that a later one repeats."""


def repeats(items: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """The index of each item that stood before, with that of its first."""
    first: dict[Hashable, int] = {}
    for index, item in enumerate(items):
        if first.setdefault(item, index) != index:
            yield index, first[item]
