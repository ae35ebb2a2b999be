"""The cells of one column of a table as numbers: parsed, or numbered by the field's classes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, Diagnostic
from ...compiler.objectives.fields import Field
from ...compiler.suggest import LISTED, suggest
from .columns import Array
from .spelling import flow, natural
from .table_files import ChunkedArray, RowNames

BEYOND_INT64 = 2.0**63
"""The least number above what int64 holds."""

NOTHING = ("", "?", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None")
"""Texts that stand for a missing number."""


NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*(e[-+]?[0-9]+)?", re.IGNORECASE)
"""A number, whatever parts its decimals and thousands."""


@dataclass
class Cells:
    """Numbers of one column.

    values: [N], or [N, n] of a column of lists; anything where a value is missing.
    missing: [N] whether a row has no value. words: whether they were numbered by classes.
    """

    values: Array
    missing: NDArray[np.bool_]
    words: bool = False
    problems: list[Diagnostic] = field(default_factory=list)

    def filled(self, number: float) -> Array:
        """The values, with this number where one is missing."""
        if not self.missing.any():
            return self.values
        values = self.values.copy()
        values[self.missing] = number
        return values


def cells_of(
    column: ChunkedArray,
    declared: Field,
    name: str,
    rows: RowNames,
    decimal: str | None = None,
    *,
    may_be_named: bool = True,
) -> Cells:
    """Read a column as its field declares it.

    Texts become the numbers of their classes where the field has names for them; other texts are
    parsed as numbers. A column of whole numbers holds the labels themselves.

    Args:
        name: of the column. rows: what messages call them.
        decimal: what parts the decimals of numbers in a text; None where they are no texts.
        may_be_named: whether a spec may name words as classes, which become numbers.
    """
    place = f"column `{name}` of `{rows.path.name}`"
    return _Reader(declared, place, rows, decimal, may_be_named=may_be_named).read(column)


class _Reader:
    """Reads one column. place: what messages call it."""

    def __init__(
        self,
        declared: Field,
        place: str,
        rows: RowNames,
        decimal: str | None,
        *,
        may_be_named: bool,
    ) -> None:
        self._may_be_named = may_be_named
        self._dtype, self._classes = np.dtype(declared.dtype or ""), declared.classes or []
        self._place, self._rows, self._decimal = place, rows, decimal

    def read(self, column: ChunkedArray) -> Cells:
        import pyarrow.types as kinds

        kind = column.type
        if kinds.is_dictionary(kind):
            return self.read(column.cast(kind.value_type))
        if kinds.is_string(kind) or kinds.is_large_string(kind):
            by_name = self._classes and not self._holds_labels(column)
            return self._named(column) if by_name else self._parsed(column)
        if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
            return self._lists(column)
        if kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind):
            return self._numbers(column)
        if kinds.is_decimal(kind):
            return self._numbers(column.cast("float64"))
        return self._wrong(f"expected numbers or texts in {self._place}, found {kind}", column)

    def _wrong(
        self,
        message: str,
        column: ChunkedArray,
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
    ) -> Cells:
        count = len(column)
        problem = Diagnostic(Code.F601, message, help=help)
        return Cells(np.zeros(count, self._dtype), np.zeros(count, np.bool_), problems=[problem])

    def _holds_labels(self, column: ChunkedArray) -> bool:
        """Whether texts are labels as numbers, which the names of the classes do not look like."""
        if any(_is_whole(name) for name in self._classes):
            return False
        return _cast(_without_nothing(column), "int64") is not None

    def _named(self, column: ChunkedArray) -> Cells:
        """Texts as the numbers of their classes."""
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = pc.index_in(column, value_set=pa.array(self._classes, column.type))
        values = numbers.fill_null(-1).to_numpy().astype(np.int64)
        missing = (values < 0) & _without_nothing(column).is_null().to_numpy()
        unknown = np.flatnonzero((values < 0) & ~missing)
        if not len(unknown):
            return Cells(values, missing, words=True)
        text = column[int(unknown[0])].as_py()
        return self._wrong(
            f"expected one of the {len(self._classes)} classes in {self._place}, found "
            f"`{text}` in {self._rows(int(unknown[0]))}{self._rows.others(len(unknown) - 1)}",
            column,
            self._class_help(text, _words_of(column)),
        )

    def _class_help(self, text: str, words: list[str]) -> str:
        """The next step for a word that is no class: it is misspelt, or `classes` is."""
        close = suggest(text, self._classes)
        if close is not None and close in words:
            return f"a class with a similar name exists: `{close}`"
        if len(words) > LISTED:
            return f"name all {len(words):,} words of the column in `classes`"
        return f"name what the column holds: `classes: {flow(words)}`"

    def _parsed(self, column: ChunkedArray) -> Cells:
        """Texts as numbers."""
        cleaned = _without_nothing(column)
        if self._decimal == ",":
            cleaned = _exchanged(cleaned)
        whole = _cast(cleaned, "int64") if self._dtype.kind in "iub" else None
        numbers = whole if whole is not None else _cast(cleaned, "float64")
        if numbers is not None:
            return self._numbers(numbers)
        row = _no_number(cleaned)
        text = column[row].as_py()
        return self._wrong(
            f"expected numbers in {self._place}, found `{text}` in {self._rows(row)}",
            column,
            _number_help(text, self._decimal) or self._naming_help(_words_of(column)),
        )

    def _naming_help(self, words: list[str]) -> str:
        """The next step for words where numbers are wanted."""
        if not self._may_be_named:
            return "correct the cell, or empty it where there is no number"
        if len(words) > LISTED or any(NUMBER.fullmatch(word) for word in words):
            return "words become numbers where the field has `classes: [...]`"
        return f"name the words, which become numbers then: `classes: {flow(words)}`"

    def _numbers(self, column: ChunkedArray, per_row: int = 1) -> Cells:
        """Numbers of any kind as the declared one. per_row: how many of them make a row."""
        missing = column.is_null(nan_is_null=True).to_numpy()
        values = column.cast("int64" if str(column.type) == "bool" else column.type)
        values = np.where(missing, 0, values.fill_null(0).to_numpy())
        if self._dtype.kind == "f":
            with np.errstate(over="ignore"):  # the check of the values names what is too large
                return Cells(values.astype(self._dtype), missing)
        if values.dtype.kind in "iu":
            return Cells(values, missing)
        broken, large = values != np.floor(values), np.abs(values) >= BEYOND_INT64
        wrong = np.flatnonzero(broken | large)
        if len(wrong):
            first = wrong[0]
            wanted = "whole numbers" if broken[first] else "whole numbers that int64 holds"
            return self._wrong(
                f"expected {wanted} in {self._place}, found {values[first]:g} in "
                f"{self._rows(int(first) // per_row)}",
                column,
                "give the field `dtype: float32`" if broken[first] else "correct the value",
            )
        return Cells(values.astype(np.int64), missing)

    def _lists(self, column: ChunkedArray) -> Cells:
        """Lists of one length as rows of a matrix."""
        import pyarrow.compute as pc

        lengths = pc.list_value_length(column).fill_null(-1).to_numpy()
        missing = lengths < 0
        sizes = np.unique(lengths[~missing])
        if len(sizes) != 1:
            found = f"{sizes[0]} to {sizes[-1]}" if len(sizes) else "none"
            return self._wrong(
                f"expected lists of one length in {self._place}, found {found}", column
            )
        size = int(sizes[0])
        inner = self._numbers(pc.list_flatten(column), max(size, 1))
        values = np.zeros((len(column), size), inner.values.dtype)
        values[~missing] = inner.values.reshape(-1, size)
        missing[~missing] |= inner.missing.reshape(-1, size).any(axis=1)
        return Cells(values, missing, problems=inner.problems)


def _without_nothing(column: ChunkedArray) -> ChunkedArray:
    """Texts, with null in place of those that stand for nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    gone = pc.is_in(column, value_set=pa.array(NOTHING, column.type))
    return pc.if_else(gone, pa.scalar(None, column.type), column)


def _cast(column: ChunkedArray, kind: str) -> ChunkedArray | None:
    """Texts as numbers, or None where one is none."""
    import pyarrow as pa

    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        return None


def _exchanged(column: ChunkedArray) -> ChunkedArray:
    """Texts with commas for points and points for commas, so that `1.5` is no number either."""
    import pyarrow.compute as pc

    for old, new in ((",", "\0"), (".", ","), ("\0", ".")):
        column = pc.replace_substring(column, old, new)
    return column


def _words_of(column: ChunkedArray) -> list[str]:
    """The different words of a column in their natural order, those for nothing left out."""
    return sorted(_without_nothing(column).unique().drop_null().to_pylist(), key=natural)


def _number_help(text: str, decimal: str | None) -> str | None:
    """The next step for a text that is a number in another spelling; None for one that is none."""
    if decimal is None or not NUMBER.fullmatch(text):
        return None
    if decimal == ".":
        marks, point, other = text.count(","), "." in text, ","
    else:
        marks, point, other = text.count("."), "," in text, "."
    if point or marks > 1:
        return "write numbers without marks between thousands, such as `1234.5` for `1,234.5`"
    return f'write `decimal: "{other}"` in `source`, if `{other}` parts the decimals'


def _no_number(column: ChunkedArray) -> int:
    """The first row whose text is no number, from 0."""
    import pyarrow.compute as pc

    unique = column.unique()
    wrong = next(text for text in unique if _cast_one(text) is None)
    row: int = pc.index(column, wrong).as_py()
    return row


def _cast_one(text: Any) -> Any:
    import pyarrow as pa

    try:
        return text.cast("float64")
    except pa.ArrowInvalid:
        return None


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()
