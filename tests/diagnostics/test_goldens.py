"""What a user reads for each mistake: CODE_slug.yaml stands beside CODE_slug.expected.

`pytest --update-goldens` writes the expectations; read their diff as carefully as code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic, NetwrightError
from netwright.compiler.driver import check
from netwright.compiler.render import render

from ..codes import RUNTIME_CODES

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(autouse=True)
def _in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in messages are those that the command line would show there."""
    monkeypatch.chdir(FOLDER)


def diagnostics_of(path: Path) -> list[Diagnostic]:
    try:
        return list(check(path.name).diagnostics)
    except NetwrightError as error:
        return list(error.diagnostics)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path: Path, golden: Callable[[Path, str], None]) -> None:
    found = diagnostics_of(path)
    assert Code[path.stem.partition("_")[0]] in {diagnostic.code for diagnostic in found}
    golden(path.with_suffix(".expected"), render(found, "text"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_wording(path: Path) -> None:
    """Every message points at a place, and no help asks back."""
    for diagnostic in diagnostics_of(path):
        assert diagnostic.labels
        assert not (diagnostic.help or "").rstrip().endswith("?")
        assert "None" not in diagnostic.message
        assert not diagnostic.message.endswith(".")


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_every_code_has_a_golden(code: Code) -> None:
    """Except those that a spec alone does not trigger."""
    has_golden = any(path.stem.startswith(f"{code.name}_") for path in CASES)
    assert has_golden is not (code in RUNTIME_CODES)


def test_no_expectation_stands_alone() -> None:
    expected = {path.stem for path in FOLDER.glob("*.expected")}
    assert expected == {path.stem for path in CASES}
