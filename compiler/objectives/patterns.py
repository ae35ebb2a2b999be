"""Patterns over the names of tensors: `classifier.layer1.**`, `**.bias`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import pairwise

from ..suggest import did_you_mean, suggest

ANY = "**"
WHAT = "layer or parameter"
FORM = re.compile(r"[A-Za-z0-9_*]+(\.[A-Za-z0-9_*]+)*\Z")


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern: parts between dots, of letters, digits, `_` and `*`."""
    return bool(FORM.match(text))


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern describes a whole name.

    `*` stands for any characters of one part, `**` for any number of whole parts, also none.
    """
    return _automaton(pattern).accepts(name)


@dataclass(frozen=True)
class _Automaton:
    """A pattern as an automaton whose states, bits of an integer, are the places between its parts.

    skips: the bits of `**`. words: plain part -> its bits. globs: parts with `*`, as expressions.
    """

    skips: int
    words: Mapping[str, int]
    globs: tuple[tuple[int, re.Pattern[str]], ...]
    end: int

    def accepts(self, name: str) -> bool:
        reached = 0
        for reached in self._walk(name):
            if not reached:
                return False
        return bool(reached & self.end)

    def passed(self, name: str) -> int:
        """How many parts of the pattern are used up where a name gets furthest."""
        return max(reached.bit_length() for reached in self._walk(name)) - 1

    def _walk(self, name: str) -> Iterator[int]:
        """The places reached, before the first word and after each."""
        reached = self._beyond(1)
        yield reached
        for word in name.split("."):
            fitting = self.words.get(word, 0)
            for bit, glob in self.globs:
                if reached & bit and glob.match(word):
                    fitting |= bit
            reached = self._beyond(reached & self.skips | (reached & fitting) << 1)
            yield reached

    def _beyond(self, reached: int) -> int:
        """Also the places behind each `**`, which may stand for nothing."""
        return reached | (reached & self.skips) << 1


def _collapsed(parts: list[str]) -> list[str]:
    """Without a `**` that stands right behind another."""
    return [part for before, part in pairwise(["", *parts]) if not part == before == ANY]


@lru_cache(maxsize=4096)
def _automaton(pattern: str) -> _Automaton:
    parts = _collapsed(pattern.split("."))
    words: dict[str, int] = {}
    globs: list[tuple[int, re.Pattern[str]]] = []
    skips = 0
    for at, part in enumerate(parts):
        if part == ANY:
            skips |= 1 << at
        elif "*" in part:
            globs.append((1 << at, re.compile(translate(part))))
        else:
            words[part] = words.get(part, 0) | 1 << at
    return _Automaton(skips, words, tuple(globs), 1 << len(parts))


def matches_any(patterns: Iterable[str], name: str) -> bool:
    return any(matches(pattern, name) for pattern in patterns)


def nearest(pattern: str, names: Sequence[str]) -> str:
    """The help text for a pattern that no name matches: what was probably meant."""
    inner = f"{pattern}.{ANY}"
    if any(matches(inner, name) for name in names):
        return f"this is a layer or network; `{inner}` stands for everything in it"
    for outer in sorted({name.split(".")[0] for name in names}):
        if any(matches(f"{outer}.{pattern}", name) for name in names):
            return f"names begin with the network: `{outer}.{pattern}`"
    return _first_stranger(pattern, names)


def _first_stranger(pattern: str, names: Sequence[str]) -> str:
    """Names the first part of a pattern with which nothing is left, and what stands there."""
    parts = pattern.split(".")
    at = min(len(parts) - 1, max((_automaton(pattern).passed(name) for name in names), default=0))
    head = ".".join(parts[:at])
    if ANY in parts[: at + 1]:
        return did_you_mean(parts[at], (p for name in names for p in name.split(".")), WHAT)
    inside = [name for name in names if not head or matches(f"{head}.{ANY}", name)]
    choices = [name.split(".")[at] for name in inside if name.count(".") >= at]
    close = suggest(parts[at], choices)
    if close is None or not head:
        return did_you_mean(parts[at], choices, WHAT)
    return f"a {WHAT} with a similar name exists: `{head}.{close}`"
