"""The cells of one column of a table as numbers: parsed, or numbered by the field's classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, Diagnostic
from ...compiler.objectives.fields import Field
from ...compiler.suggest import did_you_mean
from .columns import Array
from .table_files import ChunkedArray

BEYOND_INT64 = 2.0**63
"""The least number above what int64 holds."""

NOTHING = ("", "?", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None")
"""Texts that stand for a missing number."""


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


def cells_of(column: ChunkedArray, declared: Field, name: str, file: str) -> Cells:
    """Read a column as its field declares it.

    Texts become the numbers of their classes where the field has names for them; other texts are
    parsed as numbers. A column of whole numbers holds the labels themselves.

    Args:
        name: of the column. file: what messages call it.
    """
    return _Reader(declared, f"column `{name}` of `{file}`").read(column)


class _Reader:
    """Reads one column. place: what messages call it."""

    def __init__(self, declared: Field, place: str) -> None:
        self._dtype, self._classes = np.dtype(declared.dtype or ""), declared.classes or []
        self._place = place

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
        others = f" and {len(unknown) - 1} other rows" if len(unknown) > 1 else ""
        return self._wrong(
            f"expected one of the {len(self._classes)} classes in {self._place}, found "
            f"`{text}` in row {unknown[0] + 1}{others}",
            column,
            did_you_mean(text, self._classes, "class"),
        )

    def _parsed(self, column: ChunkedArray) -> Cells:
        """Texts as numbers."""
        cleaned = _without_nothing(column)
        whole = _cast(cleaned, "int64") if self._dtype.kind in "iub" else None
        numbers = whole if whole is not None else _cast(cleaned, "float64")
        if numbers is not None:
            return self._numbers(numbers)
        row, text = _no_number(cleaned)
        return self._wrong(
            f"expected numbers in {self._place}, found `{text}` in row {row + 1}",
            column,
            "words become numbers where the field has `classes: [...]`",
        )

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
                f"expected {wanted} in {self._place}, found {values[first]:g} in row "
                f"{first // per_row + 1}",
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


def _no_number(column: ChunkedArray) -> tuple[int, str]:
    """The first row whose text is no number, from 0, and the text."""
    import pyarrow.compute as pc

    unique = column.unique()
    wrong = next(text for text in unique if _cast_one(text) is None)
    return pc.index(column, wrong).as_py(), wrong.as_py()


def _cast_one(text: Any) -> Any:
    import pyarrow as pa

    try:
        return text.cast("float64")
    except pa.ArrowInvalid:
        return None


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()
