"""Every code has its page, and the pages tell the truth: each wrong example gives its code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code, Severity
from netwright.compiler.explanations import explain, page, pages
from netwright.compiler.lints.registry import LINTS

from .codes import RUNTIME_CODES, codes_of

NETWORK = """networks:
  main:
    inputs: {x: {shape: [B, 3, 32, 32]}}
    layers:
"""
SPEC_CODES = [c for c in Code if c not in RUNTIME_CODES and not c.name.startswith("L")]


def test_every_code_has_one_page() -> None:
    lints = {code.name for code in LINTS}
    assert pages().keys() | lints == {code.name for code in Code}
    assert not pages().keys() & lints


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_pages_have_all_parts(code: Code) -> None:
    text = page(code)
    assert re.search(r"^What it (means|does):", text, re.MULTILINE)
    assert re.search(r"^Why it is (a problem|bad):", text, re.MULTILINE)
    assert "Example:" in text
    assert "Use instead" in text
    assert explain(code).startswith(f"# {code.name}: {code.value}\n")


@pytest.mark.parametrize("code", SPEC_CODES, ids=lambda code: code.name)
def test_examples_show_the_mistake_and_its_repair(code: Code, tmp_path: Path) -> None:
    wrong, right = re.findall(r"```yaml\n(.*?)```", page(code), re.DOTALL)[:2]
    assert code in codes_of(_spec(wrong), tmp_path)
    assert not {
        found
        for found in codes_of(_spec(right), tmp_path)
        if found is code or found.severity is Severity.ERROR
    }


def _spec(example: str) -> str:
    """A whole spec around an example: layers, or some sections."""
    if example.startswith("- "):
        layers = "".join(f"      {line}\n" for line in example.splitlines())
        example = f"{NETWORK}{layers}    outputs: y\n"
    header = "" if example.startswith("spec:") else "spec: v1\nname: example\n"
    rest = "" if "networks:" in example else f"{NETWORK}      - relu\n    outputs: y\n"
    return f"{header}{example}{rest}"
