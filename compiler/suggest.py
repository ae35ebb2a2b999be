"""What to offer instead of a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable

from .foreign_words import translated

LISTED = 24
"""How many choices a help text lists."""

LONGEST = 64
"""Names longer than this are not compared: no name of the language is."""


def suggest(name: str, choices: Iterable[str]) -> str | None:
    """The choice closest to a name, within an edit distance of a third of its length.

    At least one edit is allowed; case does not count. Of equally close choices, the first.
    """
    if len(name) > LONGEST:
        return None
    folded, reach = name.casefold(), max(1, len(name) // 3)
    near = [
        (distance(folded, choice.casefold()), choice)
        for choice in choices
        if choice != name and abs(len(choice) - len(name)) <= reach
    ]
    closest = min(near, key=lambda pair: pair[0], default=None)
    if closest is None or closest[0] > reach or closest[0] >= max(len(name), len(closest[1])):
        return None  # too far, or no letter of it is left
    return closest[1]


def did_you_mean(name: str, choices: Iterable[str], what: str = "name") -> str:
    """The help text for an unknown name: the one that was meant, or all that there are.

    what: the singular of what is chosen, as messages call it: `layer`, `key`, `operator`.
    """
    known = list(dict.fromkeys(choices))
    close = suggest(name, known)
    if close is not None:
        return f"{_article(what)} with a similar name exists: `{close}`"
    if not known:
        return f"no {what} exists here"
    return f"choose {_article(what)} that exists: {listing(known)}"


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def word_meant(name: str, words: Iterable[str]) -> str | None:
    """The word of the language that a name stands for: another tool's for it, or the closest."""
    known = list(words)
    return translated(name, known) or suggest(name, known)


def word_help(name: str, words: Iterable[str], what: str = "key") -> str:
    """As `did_you_mean`, for words of the language, which other tools have other words for."""
    known = list(dict.fromkeys(words))
    own = translated(name, known)
    if own is not None:
        return f"{_article(what)} of this meaning exists: `{own}`"
    return did_you_mean(name, known, what)


NO_SIZE = ("None", "none", "null", "N", "n", "bs", "batch", "batch_size", "-1", "?")
"""What other tools write for a size that is not fixed, most often the batch."""


def size_help(name: str, axis: int) -> str:
    """The help text for a size that does not exist. axis: its place in the shape."""
    if axis == 0:
        return "write `B` for the batch"
    if name in NO_SIZE:
        return "give a size that varies a name, such as `T`, and declare it: `dims: {T: {min: 1}}`"
    if not name.isidentifier():  # a number such as 0 can't be declared
        return "write a whole number of at least 1, or the name of a size in `dims`"
    return f"declare it: `dims: {{{name}: {{min: 1}}}}`; `B` is the batch"


def listing(names: Iterable[str], limit: int = LISTED) -> str:
    """`a`, `b` and 3 more."""
    quoted = [f"`{visible(name)}`" for name in names]
    if len(quoted) <= limit:
        return ", ".join(quoted)
    return f"{', '.join(quoted[:limit])} and {len(quoted) - limit} more"


def visible(text: str) -> str:
    """A text in one line, with what does not show escaped: a line feed as `\\n`."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def distance(a: str, b: str) -> int:
    """Edits between two words: insert, delete, replace, exchange of neighbours.

    Source: the optimal string alignment distance.
    """
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
