"""What a section finds wrong with itself, before it is known where in a file it stands."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnostics import Code
from ..source import Key


@dataclass(frozen=True)
class Problem:
    """A mistake below a section.

    path: from the section to the value at fault; () is the section itself.
    """

    code: Code
    message: str
    path: Key = ()
    label: str = ""
    help: str | None = None
