"""Diagnostics as text for people, JSON, SARIF 2.1.0 and GitHub annotations: the only formatter.

Whatever a message quotes comes from a spec that nobody vouches for: control characters are escaped
and long lines are clipped around what they are shown for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from .diagnostics import Diagnostic, Fix, Label, Severity
from .excerpt import Paint, Snippet, visible
from .formats import annotation, as_data, sarif

FORMATS = ("text", "json", "sarif", "github")


def render(
    diagnostics: Iterable[Diagnostic],
    format: str,  # noqa: A002 - the word of the command line
    *,
    color: bool = False,
    width: int = 100,
) -> str:
    """Everything that was found, in one of `FORMATS`.

    Args:
        color: mark text with ANSI colours; the other formats have none.
        width: columns of a quoted line of text, with its number; at least 40 are used.
    Returns: text that ends with a line break, or "" where text or GitHub have nothing to say.
    """
    found = list(diagnostics)
    if format == "json":
        return json.dumps([as_data(d) for d in found], indent=2) + "\n"
    if format == "sarif":
        return json.dumps(sarif(found), indent=2) + "\n"
    if format == "github":
        return "".join(f"{annotation(d)}\n" for d in found)
    if format != "text":
        raise ValueError(f"a format is one of {', '.join(FORMATS)}, found {format!r}")
    if not found:
        return ""
    paint = Paint(color)
    blocks = [_text(d, paint, max(40, width)) for d in found]
    return "\n".join([*blocks, f"{paint.bold(summary(found))}\n"])


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`; `no errors` where nothing was found."""
    severities = [d.severity for d in diagnostics]
    counts = [(severities.count(s), str(s)) for s in Severity]
    parts = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n]
    more = sum(d.omitted.total for d in diagnostics if d.omitted)
    rest = f"; {more} more {'is' if more == 1 else 'are'} not shown" if more else ""
    return (", ".join(parts) or "no errors") + rest


# Text


def _text(diagnostic: Diagnostic, paint: Paint, width: int) -> str:
    head = paint.severity(diagnostic.severity, f"{diagnostic.severity}[{diagnostic.code.name}]")
    lines = [f"{head}{paint.bold(': ' + visible(diagnostic.message))}"]
    last = max((label.span.end_line for label in diagnostic.labels), default=0)
    gutter = len(str(last)) if last else 1
    for index, labels in enumerate(_by_file(diagnostic.labels)):
        lines += Snippet(labels, gutter, paint, width, diagnostic).lines(first=index == 0)
    lines += _remarks(diagnostic, gutter, paint)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _by_file(labels: Sequence[Label]) -> list[list[Label]]:
    """The labels of each file; the primary label's file first."""
    files: dict[str, list[Label]] = {}
    for label in labels:
        files.setdefault(label.span.file.name, []).append(label)
    return list(files.values())


def _remarks(diagnostic: Diagnostic, gutter: int, paint: Paint) -> list[str]:
    remarks = [("note", note) for note in diagnostic.notes]
    fixes = [_fix_text(fix) for fix in diagnostic.fixes]
    if diagnostic.help and not any(fix.startswith(diagnostic.help) for fix in fixes):
        remarks.append(("help", diagnostic.help))
    remarks += [("fix", fix) for fix in fixes]
    margin = " " * (gutter + 1)
    lines = []
    for word, text in remarks:
        first, *more = [visible(part) for part in text.rstrip("\n").split("\n")]
        lines.append(f"{margin}{paint.frame('=')} {paint.bold(word)}: {first}")
        lines += [f"{margin}{' ' * (len(word) + 4)}{part}" for part in more]
    return lines


def _fix_text(fix: Fix) -> str:
    return f"{fix.title} (`check --fix` does it)" if fix.safe else fix.title
