"""PyYAML's syntax errors in words for people.

Each rule of syntax_rules.py looks at the error and at the text around it; the first that knows the
mistake words the message. PyYAML's own text stays as a note.
"""

from __future__ import annotations

import yaml

from ..diagnostics import Diagnostic, Label
from ..source import SourceFile
from .malformed import Malformed
from .syntax_rules import RULES


def explain_syntax(file: SourceFile, error: yaml.YAMLError) -> Diagnostic:
    """The diagnostic for a file that PyYAML cannot read."""
    seen = _seen(file, error)
    worded = next(filter(None, (rule(seen) for rule in RULES)))
    said = ", ".join(part for part in (seen.context, seen.problem) if part)
    return Diagnostic(
        worded.code,
        worded.message,
        (Label(worded.span, worded.label), *worded.also),
        (f"PyYAML: {said}",),
        worded.help,
    )


def _seen(file: SourceFile, error: yaml.YAMLError) -> Malformed:
    lines = [line.rstrip("\r") for line in file.text.split("\n")]
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    context = getattr(error, "context_mark", None)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if line >= len(lines):  # libyaml counts a line behind the last one
        line, column = len(lines) - 1, len(lines[-1])
    while line and column == 0 and not any(text.strip() for text in lines[line:]):
        line, column = line - 1, len(lines[line - 1])
    return Malformed(
        file,
        getattr(error, "context", None) or "",
        getattr(error, "problem", None) or str(error),
        (context.line, context.column) if context else None,
        line,
        column,
        lines,
    )
