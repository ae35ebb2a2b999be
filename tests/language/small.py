"""Small specs for the tests of the language: what they expand to and what checking them finds."""

from __future__ import annotations

import textwrap
from pathlib import Path

from netwright.compiler.diagnostics import Diagnostic, Severity
from netwright.compiler.driver import Compilation, check_source
from netwright.compiler.ir.graph import Graph
from netwright.compiler.language.params import Choices
from netwright.compiler.render import render
from netwright.compiler.source import SourceFile


def check(text: str, choices: Choices | None = None, folder: Path = Path()) -> Compilation:
    source = "spec: v1\nname: example\n" + textwrap.dedent(text)
    return check_source(SourceFile("example.yaml", source), folder, choices)


def graph(text: str, choices: Choices | None = None) -> Graph:
    """The only network of a spec without errors."""
    found = check(text, choices)
    errors = [d for d in found.diagnostics if d.severity is Severity.ERROR]
    assert not errors, render(errors, "text")
    return found.graphs["net"]


def network(layers: str, shape: str = "[B, 3, 8, 8]", outputs: str = "y") -> str:
    body = textwrap.indent(textwrap.dedent(layers).strip("\n"), " " * 6)
    return (
        f"networks:\n  net:\n    inputs: {{image: {{shape: {shape}}}}}\n"
        f"    layers:\n{body}\n    outputs: {outputs}\n"
    )


def paths(found: Graph) -> list[str]:
    return [node.path for node in found.nodes]


def codes(text: str, choices: Choices | None = None) -> list[str]:
    return [d.code.name for d in check(text, choices).diagnostics]


def messages(text: str, choices: Choices | None = None) -> list[str]:
    return [d.message for d in check(text, choices).diagnostics]


def quoted(diagnostic: Diagnostic) -> str:
    """The characters that a diagnostic points at, on one line."""
    span = diagnostic.span
    assert span
    assert span.line == span.end_line
    return span.file.line(span.line)[span.col - 1 : span.end_col - 1]
