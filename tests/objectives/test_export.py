"""Every independent problem of `export` is told in one run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic

Found = Callable[..., list[Diagnostic]]


@pytest.mark.parametrize(
    ("export", "codes"),
    [
        ("{opset: 17, precision: float16}", [Code.X701, Code.X701]),
        ("{opset: 17, tolerance: 0}", [Code.X701, Code.S102]),
        ("{opset: 17, verbose: true}", [Code.X701, Code.S101]),
        ("{opset: high, precision: float16}", [Code.S102, Code.X701]),
        ("{programs: predict, precision: float16}", [Code.S102, Code.X701]),
        ("{programs: [predit, 3], opset: 17}", [Code.S102, Code.X701]),
        ("{programs: [predit, predit], opset: 17}", [Code.O501, Code.S102, Code.X701]),
        ("{programs: [predit], tolerance: $tolerant}", [Code.O501, Code.E201]),
        ("{programs: [predit], tolerance: -1}", [Code.O501, Code.S102]),
    ],
)
def test_all_problems_at_once(found: Found, export: str, codes: list[Code]) -> None:
    diagnostics = found(("epochs: 2", f"epochs: 2\nexport: {export}"))
    assert [diagnostic.code for diagnostic in diagnostics] == codes


@pytest.mark.parametrize("export", ["[]", "3"])
def test_what_is_no_map_is_told_once(found: Found, export: str) -> None:
    assert len(found(("epochs: 2", f"epochs: 2\nexport: {export}"))) == 1
