"""What a class says of itself, for manuals and editors."""

from __future__ import annotations

import inspect


def documentation(cls: type) -> str:
    """A class's own docstring; one that it would inherit does not count."""
    text = vars(cls).get("__doc__")
    assert text, f"{cls.__name__} has no docstring"
    return inspect.cleandoc(text)


def first_sentence(cls: type) -> str:
    """The first sentence of a class's docstring, on one line."""
    paragraph = " ".join(documentation(cls).split("\n\n", 1)[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + stop.strip()


def paragraphs(cls: type) -> list[str]:
    """A class's docstring, each paragraph on one line."""
    return [" ".join(part.split()) for part in documentation(cls).split("\n\n")]
