"""G303 for what a spec declares and nothing uses."""

from __future__ import annotations

from ..diagnostics import Code, Sink
from ..source import Key, Located


def report_unused(what: str, path: Key, use: str, located: Located, sink: Sink) -> None:
    """Report what stands at a key. what: in words. use: what to do with it but removing it."""
    sink.add(Code.G303, f"{what} is never used", located.key(path), help=f"remove it, or {use}")
