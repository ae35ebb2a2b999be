"""Safe fixes are applied whole, once, and to their own file only."""

from __future__ import annotations

from netwright.compiler.diagnostics import Edit, Fix
from netwright.compiler.fixes import apply_fixes
from netwright.compiler.source import SourceFile, Span

TEXT = "a: 1\nb: é2\nc: 3\n"
FILE = SourceFile("spec.yaml", TEXT)


def edit(line: int, col: int, end: int, text: str, file: SourceFile = FILE) -> Edit:
    return Edit(Span(file, line, col, line, end), text)


def fix(*edits: Edit, safe: bool = True) -> Fix:
    return Fix("change", edits, safe)


def test_edits_keep_their_places() -> None:
    fixes = [fix(edit(1, 4, 5, "100"), edit(3, 4, 4, "-")), fix(edit(2, 5, 6, "x"))]
    assert apply_fixes(TEXT, fixes) == "a: 100\nb: éx\nc: -3\n"


def test_lines_can_be_removed() -> None:
    removed = Edit(Span(FILE, 2, 1, 3, 1), "")
    assert apply_fixes(TEXT, [fix(removed)]) == "a: 1\nc: 3\n"


def test_unsafe_fixes_are_left_to_people() -> None:
    assert apply_fixes(TEXT, [fix(edit(1, 4, 5, "2"), safe=False)]) == TEXT


def test_of_two_that_overlap_the_first_is_applied_whole() -> None:
    first = fix(edit(1, 1, 5, "x"))
    second = fix(edit(1, 4, 6, "y"), edit(3, 4, 5, "z"))
    assert apply_fixes(TEXT, [first, second]) == "x\nb: é2\nc: 3\n"


def test_the_same_edit_of_two_fixes_is_made_once() -> None:
    insertion = fix(edit(1, 5, 5, "0"))
    assert apply_fixes(TEXT, [insertion, insertion]) == "a: 10\nb: é2\nc: 3\n"


def test_fixes_of_other_files_do_not_apply() -> None:
    library = SourceFile("library.yaml", "x: 1\n")
    assert apply_fixes(TEXT, [fix(edit(1, 4, 5, "2", library))]) == TEXT
