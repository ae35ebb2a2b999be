"""What a page is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...compiler.diagnostics import NetwrightError
from .markup import Html


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it. note: a sentence under the heading."""

    title: str
    body: Html
    note: str = ""

    @property
    def anchor(self) -> str:
        """What links to it say: `worst-mistakes`."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class LeftOut:
    """A section that a run has nothing for. why: a sentence without its full stop."""

    title: str
    why: str


Piece = Section | LeftOut
Pieces = Iterable[Piece]


def reason(error: NetwrightError) -> str:
    """Why something can't be shown, in the words of the first diagnostic that is an error."""
    errors = [d for d in error.diagnostics if d.severity == "error"] or list(error.diagnostics)
    return f"{errors[0].code.name}: {errors[0].message}"
