"""Sources of tables: columns of numbers and words become fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Setting
from pydantic import PlainValidator

from .fields import Field
from .problem import Problem
from .section import OneKey, Section
from .source import Path, Source, override, same_place


class Missing(Section):
    """What happens to rows with missing values."""

    name: ClassVar[str]


class Refuse(Missing):
    """Missing values are an error, which names the row and the column."""

    name: ClassVar[str] = "error"
    title: ClassVar[str] = "`error`"


class Drop(Missing):
    """Rows with a missing value in a column that is used are left out, and counted."""

    name: ClassVar[str] = "drop"
    title: ClassVar[str] = "`drop`"


class Fill(Missing):
    """Missing numbers become this one, in every column; missing words are an error still.

    Take one that no value has, since 0 often is one. A mean is no choice here: the table is read
    before it is split, and one of all rows would tell about those that test.
    """

    name: ClassVar[str] = "fill"
    title: ClassVar[str] = "`fill`"
    expects: ClassVar[str] = "a number or a map"

    value: float = Setting(description="The number.")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return data if isinstance(data, Mapping) else {"value": data}


MISSING: dict[str, type[Missing]] = {cls.name: cls for cls in (Refuse, Drop, Fill)}


def _column_names(value: Any) -> str | list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise ValueError("expects the name of a column, or a list of names")
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError("expects names of columns, as texts")
    return value if isinstance(value, str) else names


ColumnNames = Annotated[Any, PlainValidator(_column_names, json_schema_input_type=str | list[str])]


class Table(Source):
    """A file of rows and named columns, kept in memory.

    A field takes the column of its name, or what `columns` says: one column gives [B], a list of n
    columns [B, n]. Numbers become the field's `dtype`, float32 unless it says otherwise; where
    the field has `classes`, words become their numbers.
    """

    path: Path = Setting(description="The file.")
    columns: dict[str, ColumnNames] = Setting(
        default={},
        description="Field -> column, or a list of columns side by side: "
        "`{features: [age, hours], label: income}`.",
    )
    test_path: Path | None = Setting(
        default=None, description="A second file of the same form with test samples."
    )
    missing: Annotated[Missing, OneKey(MISSING, "choice for missing values")] = Setting(
        default=Refuse(),
        description="What happens where a value is missing: `error`, `drop` leaves the row out, "
        "`{fill: -1}` puts a number there. An empty cell is a missing value, and so are `?`, `NA`, "
        "`NaN`, `NULL`, `None` and the like.",
    )

    @property
    def has_test(self) -> bool:
        return self.test_path is not None

    def merged(self, given: Mapping[str, Field]) -> dict[str, Field]:
        """As for every source; a table also knows the shape and element type of each field."""
        return {
            name: override(self._described(name, given.get(name)), given.get(name))
            for name in {**given, **self.columns}
        }

    def _described(self, name: str, given: Field | None) -> Field:
        columns = self.columns.get(name)
        shape = ["B", len(columns)] if isinstance(columns, list) else ["B"]
        labels = given is not None and given.class_total is not None
        return Field(shape=shape, dtype="int64" if labels else "float32")

    def named(self, field: str) -> list[str]:
        """The columns of a field, in order."""
        columns = self.columns.get(field, field)
        return [columns] if isinstance(columns, str) else list(columns)

    def paths(self) -> list[str]:
        return [self.path, *([self.test_path] if self.test_path else [])]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        yield from same_place(self.path, self.test_path)


class Csv(Table):
    """A text file of rows; the first line names the columns.

    A field takes the column of its name, or what `columns` says: one column gives [B], a list of n
    columns [B, n]. Numbers become the field's `dtype`, float32 unless it says otherwise; where
    the field has `classes`, words become their numbers. The table is kept in memory.
    """

    name: ClassVar[str] = "csv"
    title: ClassVar[str] = "the source `csv`"

    delimiter: Annotated[str, Setting(min_length=1, max_length=1)] = Setting(
        default=",", description='What parts the columns: `","`, `";"` or `"\\t"`.'
    )
    decimal: Literal[".", ","] = Setting(
        default=".",
        description='What parts the decimals of a number: `decimal: ","` reads `17,99`. Marks '
        "between thousands are not read.",
    )


class Parquet(Table):
    """A Parquet file: columns as in `csv`, and lists of one length as [B, n]."""

    name: ClassVar[str] = "parquet"
    title: ClassVar[str] = "the source `parquet`"
