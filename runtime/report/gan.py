"""The section of `gan`: what the generator makes."""

from __future__ import annotations

from ...compiler.driver import Compilation
from .made import pictures
from .section import Pieces
from .subject import Subject

TITLES = {
    "samples": (
        "Generated samples",
        "What the generator makes of the same noise at each step; where it reads a label too, of "
        "the labels of real samples.",
    ),
    "points": (
        "Generated points",
        "Real samples, and on top of them as many generated ones, of the same noise at each step.",
    ),
}
"""Name of a picture -> title, and a note."""


def gan(subject: Subject, compilation: Compilation) -> Pieces:
    """Pictures that were made while training."""
    return pictures(subject, compilation, TITLES)
