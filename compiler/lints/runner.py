"""Runs the lints and leaves out what the spec suppresses."""

from __future__ import annotations

from collections.abc import Mapping

from ..diagnostics import Code, Severity, Sink
from ..source import Located
from ..suggest import did_you_mean
from .base import LintContext
from .registry import LINTS

SUPPRESSIBLE = {code.name for code in Code if code.severity is Severity.WARNING}


def run_lints(context: LintContext, sink: Sink) -> None:
    """Report the findings of every lint."""
    for lint in LINTS.values():
        for diagnostic in lint(context):
            sink.report(diagnostic)


def suppress(sink: Sink, reasons: Mapping[str, str], located: Located, *, complete: bool) -> None:
    """Take warnings out of the sink that the section `lint` gives a reason for.

    A code that is no warning's is an error.

    Args:
        complete: every warning is in; a reason without a warning is then itself reported (G303).
    """
    found = {diagnostic.code.name for diagnostic in sink}
    sink.drop_warnings(reasons)
    for code in reasons:
        _check_code(code, code in found or not complete, sink, located)


def _check_code(code: str, is_used: bool, sink: Sink, located: Located) -> None:
    place = located.key(("lint", code))
    if code in SUPPRESSIBLE and not is_used:
        sink.add(
            Code.G303,
            f"the lint {code} finds nothing to suppress",
            place,
            help=f"remove `{code}` from `lint`",
        )
    elif code not in SUPPRESSIBLE and code in Code.__members__:
        sink.add(
            Code.S102,
            f"`lint` suppresses warnings, and {code} is an error",
            place,
            help=f"repair what {code} reports; `netwright explain {code}` tells how",
        )
    elif code not in SUPPRESSIBLE:
        sink.add(
            Code.S101,
            f"unknown lint `{code}`",
            place,
            help=did_you_mean(code, sorted(SUPPRESSIBLE), "lint"),
        )
