"""Diagnostics for programs: JSON, SARIF 2.1.0 and the annotations of GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from .diagnostics import Code, Diagnostic, Edit, Fix, Label
from .excerpt import visible
from .source import SourceFile, Span


def as_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic as `--format json` prints it."""
    return {
        "code": diagnostic.code.name,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        "spans": [
            {**_span_data(label.span), "label": label.text, "primary": index == 0}
            for index, label in enumerate(diagnostic.labels)
        ],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "fixes": [_fix_data(fix) for fix in diagnostic.fixes],
        "omitted": _omitted_data(diagnostic),
    }


def _omitted_data(diagnostic: Diagnostic) -> dict[str, Any] | None:
    """How much else its stage found: on the last diagnostic shown of a stage."""
    return asdict(diagnostic.omitted) if diagnostic.omitted else None


def _span_data(span: Span) -> dict[str, Any]:
    return {
        "file": span.file.name,
        "line": span.line,
        "col": span.col,
        "end_line": span.end_line,
        "end_col": span.end_col,
    }


def _fix_data(fix: Fix) -> dict[str, Any]:
    edits = [{**_span_data(e.span), "replacement": e.replacement} for e in fix.edits]
    return {"title": fix.title, "safe": fix.safe, "edits": edits}


# SARIF 2.1.0 (OASIS standard)


_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    from .. import __version__

    codes = sorted({d.code for d in diagnostics}, key=lambda code: code.name)
    driver = {"name": "Netwright", "version": __version__, "rules": list(map(_sarif_rule, codes))}
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(d, codes.index(d.code)) for d in diagnostics],
            }
        ],
    }


def _sarif_rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.name,
        "shortDescription": {"text": code.value},
        "defaultConfiguration": {"level": str(code.severity)},
    }


def _sarif_result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    text = "\n".join(filter(None, (diagnostic.message, *diagnostic.notes, diagnostic.help)))
    result: dict[str, Any] = {
        "ruleId": diagnostic.code.name,
        "ruleIndex": rule,
        "level": str(diagnostic.severity),
        "message": {"text": text},
        "locations": [_sarif_location(label) for label in diagnostic.labels[:1]],
    }
    if diagnostic.labels[1:]:
        result["relatedLocations"] = [_sarif_location(label) for label in diagnostic.labels[1:]]
    if diagnostic.fixes:
        result["fixes"] = [_sarif_fix(fix) for fix in diagnostic.fixes]
    if diagnostic.omitted:
        result["properties"] = {"omitted": _omitted_data(diagnostic)}
    return result


def _sarif_location(label: Label) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _sarif_artifact(label.span.file),
            "region": _sarif_region(label.span),
        }
    }
    return {**location, "message": {"text": label.text}} if label.text else location


def _sarif_artifact(file: SourceFile) -> dict[str, str]:
    return {"uri": quote(file.name.replace("\\", "/"), safe="/", errors="replace")}


def _sarif_region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.col,
        "endLine": span.end_line,
        "endColumn": span.end_col,
    }


def _sarif_fix(fix: Fix) -> dict[str, Any]:
    files = {edit.span.file.name: edit.span.file for edit in fix.edits}
    changes = [
        {
            "artifactLocation": _sarif_artifact(file),
            "replacements": [_sarif_edit(e) for e in fix.edits if e.span.file.name == name],
        }
        for name, file in files.items()
    ]
    return {"description": {"text": fix.title}, "artifactChanges": changes}


def _sarif_edit(edit: Edit) -> dict[str, Any]:
    return {
        "deletedRegion": _sarif_region(edit.span),
        "insertedContent": {"text": edit.replacement},
    }


# GitHub


def annotation(diagnostic: Diagnostic) -> str:
    """A workflow command that GitHub shows beside the line."""
    properties = [f"title={_github(diagnostic.code.name, ':,')}"]
    span = diagnostic.span
    if span:
        properties = [
            f"file={_github(span.file.name, ':,')}",
            f"line={span.line}",
            f"endLine={span.end_line}",
            f"col={span.col}",
            f"endColumn={span.end_col}",
            *properties,
        ]
    label = diagnostic.labels[0].text if diagnostic.labels else ""
    parts = (diagnostic.message, label, *diagnostic.notes, diagnostic.help)
    text = _github("\n".join(filter(None, parts)))
    return f"::{diagnostic.severity} {','.join(properties)}::{text}"


def _github(text: str, more: str = "") -> str:
    return "".join(f"%{ord(c):02X}" if c in f"%\r\n{more}" else visible(c) for c in text)
