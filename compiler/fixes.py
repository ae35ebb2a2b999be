"""Applying the safe fixes of diagnostics: `check --fix`."""

from __future__ import annotations

from collections.abc import Iterable

from .diagnostics import Edit, Fix


def apply_fixes(text: str, fixes: Iterable[Fix]) -> str:
    """The text of a file with every safe fix that concerns it.

    A fix is applied whole or not at all. Of two fixes that touch the same characters the first
    is applied; checking again offers the second.
    """
    starts = _line_starts(text)
    accepted: list[tuple[int, int, str]] = []
    for fix in fixes:
        if not fix.safe or any(edit.span.file.text != text for edit in fix.edits):
            continue
        edits = [_located(edit, starts) for edit in fix.edits]
        if not any(_overlap(new, old) for new in edits for old in accepted):
            accepted += edits
    for start, end, replacement in sorted(accepted, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _line_starts(text: str) -> list[int]:
    return [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]


def _located(edit: Edit, starts: list[int]) -> tuple[int, int, str]:
    span = edit.span
    start = starts[span.line - 1] + span.col - 1
    return start, starts[span.end_line - 1] + span.end_col - 1, edit.replacement


def _overlap(a: tuple[int, int, str], b: tuple[int, int, str]) -> bool:
    """Whether two edits share characters, or insert at the same place."""
    return a[:2] == b[:2] or (a[0] < b[1] and b[0] < a[1])
