"""`outputs`: which values a network or a block gives, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..diagnostics import Code, Label
from ..source import Key
from .describe import describe
from .frames import UNKNOWN, Frame, Wire
from .layers import NAME
from .wiring import Wirer


def resolve_outputs(frame: Frame, declared: Any, path: Key, owner: str) -> dict[str, Wire]:
    """The results of a network or block, by port."""
    last = frame.prev.first if frame.prev else UNKNOWN
    if isinstance(declared, str):
        _check_port(frame, declared, path, key=False)
        bound = frame.names.get(declared)
        if bound and bound is not frame.prev:
            frame.scope.report(
                Code.G304,
                f"`outputs: {declared}` names the last layer's result, "
                f"but `{declared}` is another layer or input",
                path,
                also=[Label(bound.span, "defined here")],
                help=f"write `outputs: {{{declared}: prev}}` for the last layer's result, or "
                f"`{{{declared}: {declared}}}` for that one's",
            )
        return {declared: last}
    if not isinstance(declared, Mapping) or not declared:
        frame.scope.report(
            Code.S102,
            f"`{owner}` needs `outputs`: a name for the last layer's result, "
            f"or {{port: source}}; found {describe(declared)}",
            path,
            key=True,
        )
        return {}
    wirer = Wirer(frame, path, "`outputs`")
    results: dict[str, Wire] = {}
    for port, source in declared.items():
        _check_port(frame, str(port), (*path, port), key=True)
        results[str(port)] = wirer.source(source, (*path, port))
    return results


def _check_port(frame: Frame, port: str, place: Key, *, key: bool) -> None:
    """The name of an output becomes one in the generated code.

    place: of the value that is the name; with `key`, of the key.
    """
    if not NAME.match(port):
        frame.scope.report(
            Code.S102,
            f"an output expects an identifier, found `{port}`",
            place,
            key=key,
            help="use letters, digits and underscores, not starting with a digit",
        )
