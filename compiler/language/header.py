"""What every file of the language has at its top: an edition, a name, and only known sections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..diagnostics import Code, Sink
from ..objectives.data import Data
from ..objectives.export import Export
from ..objectives.training import Training
from ..source import Located
from .describe import describe
from .inner_keys import Inner, key_help
from .layers import NAME
from .schema import EDITION, LIBRARY_SECTIONS, SECTIONS

_INNER: Inner = {"data": [Data], "training": [Training], "export": [Export]}


def check_spec_header(located: Located, sink: Sink) -> None:
    """The header of a spec."""
    _check_sections(located, sink, SECTIONS, "")
    _check_edition(located, sink)
    _check_name(located, sink, "a spec", "output folders carry it")


def check_library_header(located: Located, sink: Sink) -> None:
    """The header of a block library."""
    _check_sections(located, sink, LIBRARY_SECTIONS, " in a block library")
    _check_edition(located, sink)
    _check_name(located, sink, "a block library", "it says what the blocks are")


def _check_sections(located: Located, sink: Sink, known: Sequence[str], where: str) -> None:
    inner = {section: models for section, models in _INNER.items() if section in known}
    for key in located.data:
        if key not in known and not str(key).startswith("x-"):
            sink.add(
                Code.S101,
                f"unknown section `{key}`{where}",
                located.key((key,)),
                help=key_help(str(key), known, inner, "section"),
            )


def _check_edition(located: Located, sink: Sink) -> None:
    edition: Any = located.data.get("spec")
    if edition is None:
        sink.add(
            Code.S102,
            "the file needs `spec`, the edition of the language",
            located.span(()),
            help=f"write `spec: {EDITION}` as the first line",
        )
    elif edition != EDITION:
        sink.add(
            Code.S104,
            f"edition `{edition}` is not supported, expected `{EDITION}`",
            located.span(("spec",)),
            help=f"write `spec: {EDITION}`",
        )


def _check_name(located: Located, sink: Sink, owner: str, use: str) -> None:
    name = located.data.get("name")
    if name is None:
        sink.add(
            Code.S102,
            f"{owner} needs `name`",
            located.span(()),
            help=f"add `name:` with a snake_case name; {use}",
        )
    elif not isinstance(name, str) or not NAME.match(name) or name != name.lower():
        sink.add(
            Code.S102,
            f"`name` expects a snake_case name, found {describe(name)}",
            located.span(("name",)),
            help="use lower-case letters, digits and underscores",
        )
