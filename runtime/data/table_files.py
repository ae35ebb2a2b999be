"""Reading columns of CSV and Parquet files with Arrow."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...compiler.diagnostics import Code, NetwrightError, failure
from .errors import damaged, missing, unreadable

DELIMITERS = (",", ";", "\t", "|")
"""What parts the columns of CSV files, the most common first."""

ChunkedArray = Any
"""A pyarrow.ChunkedArray."""


@dataclass(frozen=True)
class RowNames:
    """What messages call the rows of a file: lines of a CSV file, rows of a Parquet file, from 1.

    delimiter: of a CSV file; None for a Parquet file.
    """

    path: Path
    delimiter: str | None

    @property
    def unit(self) -> str:
        return "row" if self.delimiter is None else "line"

    def __call__(self, index: int) -> str:
        """The name of a row by its index from 0; the header of a CSV file is its line 1."""
        if self.delimiter is None:
            return f"row {index + 1}"
        lines = self._lines
        return f"line {lines[index] if index < len(lines) else index + 2}"

    @cached_property
    def _lines(self) -> list[int]:
        """The line on which each row begins: a quoted text may have several."""
        assert self.delimiter is not None
        return [line for line, _ in _records(self.path, self.delimiter)][1:]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "delimiter": self.delimiter}  # lines are counted when asked for

    def others(self, count: int) -> str:
        """` and 3 other lines`; nothing for none."""
        return f" and {count:,} other {self.unit}{'s' if count > 1 else ''}" if count else ""


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file that are not empty, each with the line on which it begins."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            line = 1
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1
    except (OSError, csv.Error):
        return  # of a message alone, which then counts as if each record were a line


def column_names(path: Path, delimiter: str | None) -> list[str]:
    """The names of a file's columns. delimiter: of a CSV file; None for a Parquet file.

    Raises: NetwrightError: F602.
    """
    with _told(path, delimiter):
        if delimiter is None:
            from pyarrow.parquet import read_schema

            return list(read_schema(path).names)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file, delimiter=delimiter), [])]


def fitting_delimiter(path: Path, names: Collection[str], delimiter: str) -> str | None:
    """What parts the columns of a CSV file, by its first line; None where `delimiter` may do it.

    Args:
        names: the wanted columns. delimiter: what gives none of them.
    Raises: NetwrightError: F602.
    """
    found = {other: column_names(path, other) for other in DELIMITERS if other != delimiter}
    wanted = {other: len({*names}.intersection(known)) for other, known in found.items()}
    best = max(found, key=lambda other: (wanted[other], len(found[other])))
    alone = len(column_names(path, delimiter)) == 1 < len(found[best])
    return best if wanted[best] or alone else None


def read_columns(
    path: Path, names: Sequence[str], delimiter: str | None
) -> Mapping[str, ChunkedArray]:
    """The named columns; those of a CSV file as texts, without space around them.

    Raises: NetwrightError: F602.
    """
    with _told(path, delimiter):
        if delimiter is None:
            from pyarrow.parquet import read_table

            table = read_table(path, columns=list(names))
            return {name: table.column(name) for name in names}
        return _read_csv(path, names, delimiter)


def _read_csv(path: Path, names: Sequence[str], delimiter: str) -> Mapping[str, ChunkedArray]:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as reader

    known = column_names(path, delimiter)
    table = reader.read_csv(
        path,
        # One thread, or messages about bad lines do not say which.
        reader.ReadOptions(column_names=known, skip_rows=1, use_threads=False),
        reader.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        reader.ConvertOptions(
            column_types={name: pa.string() for name in names}, include_columns=list(names)
        ),
    )
    return {name: pc.utf8_trim_whitespace(table.column(name)) for name in names}


@contextmanager
def _told(path: Path, delimiter: str | None) -> Iterator[None]:
    """Arrow's errors and the system's as diagnostics."""
    import pyarrow as pa

    if not path.is_file():
        raise missing(path)
    try:
        yield
    except UnicodeDecodeError as error:
        raise _encoding(path) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, csv.Error) as error:
        if delimiter is not None and "columns, got" in str(error):
            raise _ragged(path, delimiter) from error
        text = str(error).partition("\n")[0]
        raise (_encoding(path) if "UTF8" in text else damaged(path, text)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _ragged(path: Path, delimiter: str) -> NetwrightError:
    """The first line of a CSV file with another number of columns than the header."""
    records = _records(path, delimiter)
    wanted = len(next(records, (1, []))[1])
    line, found = next(((n, r) for n, r in records if len(r) != wanted), (1, []))
    return failure(
        Code.F602,
        f"expected {wanted} columns in each line of `{path}`, found {len(found)} in line {line}",
        help=f"correct the line; a text that holds `{delimiter}` stands in double quotes",
    )


def _encoding(path: Path) -> NetwrightError:
    return failure(
        Code.F602,
        f"expected text in UTF-8 in `{path}`, found other bytes",
        help="save the file in UTF-8",
    )
