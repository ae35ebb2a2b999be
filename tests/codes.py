"""Which diagnostics a spec gives, for tests of the language."""

from __future__ import annotations

from pathlib import Path

from netwright.compiler.diagnostics import Code, Diagnostic, NetwrightError
from netwright.compiler.driver import check_source
from netwright.compiler.source import SourceFile

RUNTIME_CODES = {
    Code.F601: "tests/runtime: data that does not hold what the fields say",
    Code.F602: "tests/runtime: missing and damaged data files",
    Code.F603: "tests/runtime/test_initial_weights.py: stored weights that do not fit",
    Code.X702: "tests/backends: operators without an ONNX rule",
    Code.B801: "tests/runtime: bundles with a changed byte",
    Code.B802: "tests/runtime: inputs that do not fit a program",
    Code.R901: "tests/runtime: damaged checkpoints",
    Code.R902: "tests/runtime: checkpoints of another spec",
    Code.R903: "tests/language/test_reading.py, tests/runtime: files and folders",
    Code.R904: "tests/runtime: a run that diverges",
    Code.R905: "tests/runtime: devices that are not there",
    Code.R906: "tests/runtime: more memory than there is",
    Code.R907: "tests/runtime: an option whose package is not there",
    Code.R908: "tests/runtime: processes that are killed",
    Code.R909: "tests/runtime/test_judging.py: runs that do not come to their gate",
    Code.P951: "tests: plug-ins",
}
"""Codes that a spec alone does not trigger, and where they are tested."""


def diagnostics_of(text: str, folder: Path, name: str = "spec.yaml") -> list[Diagnostic]:
    """What checking a text finds; `folder` is where its relative paths begin."""
    try:
        return list(check_source(SourceFile(name, text), folder).diagnostics)
    except NetwrightError as error:
        return list(error.diagnostics)


def codes_of(text: str, folder: Path) -> set[Code]:
    return {diagnostic.code for diagnostic in diagnostics_of(text, folder)}
