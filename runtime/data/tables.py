"""Rows and named columns, CSV or Parquet, as fields in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ...compiler.objectives.fields import Field
from ...compiler.objectives.table_sources import Csv, Drop, Fill, Table
from ...compiler.suggest import did_you_mean, listing
from .cells import Cells, cells_of
from .columns import Array, ArrayColumn, Column, Indices
from .errors import gathered
from .raw import RawData
from .table_files import (
    ChunkedArray,
    RowNames,
    column_names,
    fitting_delimiter,
    read_columns,
)

_FILL = ", or put a number there that no value of the column has: `missing: {fill: ...}`"


class TableColumn(ArrayColumn):
    """Values of a field that know their rows.

    rows: [N] the row of each sample in the file, the first below the header being row 1.
    named: what messages call a row, by its index from 0.
    """

    in_table = True

    def __init__(self, values: Array, rows: Indices, named: RowNames) -> None:
        super().__init__(values, named.path.name)
        self.rows, self._named = rows, named

    def where(self, index: int) -> str:
        return f"{self._named(int(self.rows[index]) - 1)} of `{self.file}`"


def read_table(settings: Table, fields: Mapping[str, Field], folder: Path) -> RawData:
    """The fields of a table, and of its file of test rows.

    Raises: NetwrightError: F602: a file is missing or damaged. F601: a column is missing, a value
        is missing or is not what its field says.
    """
    files = {"train": settings.path}
    if settings.test_path is not None:
        files["test"] = settings.test_path
    parts = gathered(
        {part: partial(_read, settings, fields, folder / file) for part, file in files.items()}
    )
    return RawData(
        train=parts["train"].columns,
        test=parts["test"].columns if "test" in parts else None,
        notes=tuple(note for part in parts.values() for note in part.notes),
    )


@dataclass(frozen=True)
class _Part:
    columns: dict[str, Column]
    notes: list[str] = field(default_factory=list)


def _read(settings: Table, fields: Mapping[str, Field], path: Path) -> _Part:
    delimiter, decimal = None, None
    if isinstance(settings, Csv):
        delimiter, decimal = settings.delimiter, settings.decimal
    wanted = {name: settings.named(name) for name in fields}
    used = list(dict.fromkeys(column for columns in wanted.values() for column in columns))
    table, rows = open_table(path, used, delimiter, settings.title)
    found: dict[tuple[str, str], Cells] = {}
    problems: list[Diagnostic] = []
    for name, declared in fields.items():
        for column in wanted[name]:
            cells = cells_of(table[column], declared, column, rows, decimal)
            found[name, column] = cells
            problems += cells.problems
    problems += _missing(settings, found, rows)
    if problems:
        raise NetwrightError(*problems)
    return _assembled(settings, fields, wanted, found, rows)


def open_table(
    path: Path, used: Sequence[str], delimiter: str | None, title: str
) -> tuple[Mapping[str, ChunkedArray], RowNames]:
    """The named columns of a file, and what messages call its rows.

    Args:
        delimiter: of a CSV file; None for a Parquet file. title: of the source, for messages.
    Raises: NetwrightError: F602: the file is missing or damaged. F601: a column is missing.
    """
    known = column_names(path, delimiter)
    if delimiter is not None and not set(used) & set(known):
        _check_delimiter(path, used, delimiter, title)
        _check_header(path, used, known, delimiter)
    _check_columns(path, used, known)
    return read_columns(path, used, delimiter), RowNames(path, delimiter)


def _check_header(path: Path, wanted: Sequence[str], known: Sequence[str], delimiter: str) -> None:
    """Tell of a first line that names no columns, where it has none of the wanted ones."""
    if known and not any(_is_number(name) for name in known):
        return
    header = delimiter.join(wanted)
    raise failure(
        Code.F601,
        f"expected the names of the columns in the first line of `{path}`, found "
        f"{listing(known, 6) or 'an empty file'}",
        help=f"begin the file with a line of names, in the order of its columns: `{header}`"
        if known
        else "make the file again; its first line names the columns",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_delimiter(path: Path, wanted: Sequence[str], delimiter: str, title: str) -> None:
    """Tell which delimiter a file seems to have, where the one of the spec gives no column."""
    other = fitting_delimiter(path, wanted, delimiter)
    if other is not None:
        raise failure(
            Code.F601,
            f"expected {_words(delimiter)} between the columns of `{path}`, found {_words(other)}",
            help=f"write `delimiter: {json.dumps(other)}` in {title}",
        )


def _words(delimiter: str) -> str:
    """A delimiter as messages name it."""
    return "tabs" if delimiter == "\t" else f"`{delimiter}`"


def _check_columns(path: Path, wanted: Sequence[str], known: Sequence[str]) -> None:
    problems = [
        Diagnostic(
            Code.F601,
            f"expected a column `{name}` in `{path}`, found {listing(known) or 'none'}",
            help=did_you_mean(name, known, "column"),
        )
        for name in wanted
        if name not in known
    ]
    problems += [
        Diagnostic(
            Code.F601,
            f"expected one column `{name}` in `{path}`, found several",
            help="rename the others in the file",
        )
        for name in wanted
        if known.count(name) > 1
    ]
    if problems:
        raise NetwrightError(*problems)


def _missing(
    settings: Table, found: Mapping[tuple[str, str], Cells], named: RowNames
) -> Iterator[Diagnostic]:
    """What is missing and neither dropped nor filled."""
    if isinstance(settings.missing, Drop):
        return
    number = settings.missing.value if isinstance(settings.missing, Fill) else None
    for column, cells in {column: cells for (_, column), cells in found.items()}.items():
        rows = np.flatnonzero(cells.missing)
        if len(rows):
            yield from _unfilled(column, cells, rows, number, named)


def _unfilled(
    column: str, cells: Cells, rows: Indices, number: float | None, named: RowNames
) -> Iterator[Diagnostic]:
    """Why a column with missing values in these rows can't be used as it is."""
    if number is None or cells.words:
        yield Diagnostic(
            Code.F601,
            f"expected a value in every row of column `{column}`, found none in "
            f"{named(int(rows[0]))}{named.others(len(rows) - 1)} of `{named.path.name}`",
            help="leave such rows out with `missing: drop`" + ("" if cells.words else _FILL),
        )
    elif cells.values.dtype.kind in "iu" and not number.is_integer():
        yield Diagnostic(
            Code.F601,
            f"expected a whole number to fill column `{column}` of `{named.path.name}` with, found "
            f"{number:g}",
            help="fill with a whole number, or give the field `dtype: float32`",
        )


def _assembled(
    settings: Table,
    fields: Mapping[str, Field],
    wanted: Mapping[str, Sequence[str]],
    found: Mapping[tuple[str, str], Cells],
    named: RowNames,
) -> _Part:
    """The fields, without rows that are dropped and with numbers where they are filled in."""
    path = named.path
    lacking = np.any([cells.missing for cells in found.values()], axis=0)
    drops = isinstance(settings.missing, Drop) and bool(lacking.any())
    kept = np.flatnonzero(~lacking) if drops else np.arange(len(lacking))
    if not len(kept):
        what = "none without a missing value" if len(lacking) else "none"
        raise failure(
            Code.F601,
            f"expected rows in `{path}`, found {what}",
            help="fill in what is missing" if len(lacking) else "add rows below the first line",
        )
    fill = settings.missing.value if isinstance(settings.missing, Fill) else 0.0
    columns: dict[str, Column] = {}
    for name in fields:
        parts = [found[name, column].filled(fill)[kept] for column in wanted[name]]
        values = np.stack(parts, axis=1) if _is_list(settings, name) else parts[0]
        columns[name] = TableColumn(values, kept + 1, named)
    note = _changes(int(lacking.sum()), len(lacking), settings, path)
    return _Part(columns, [note] if lacking.any() else [])


def _changes(count: int, total: int, settings: Table, path: Path) -> str:
    """What was done about rows with missing values."""
    rows = f"{count:,} of {total:,} rows of `{path.name}`"
    if isinstance(settings.missing, Fill):
        return f"put {settings.missing.value:g} in place of values that {rows} lack"
    return f"left out {rows}, which lack a value"


def _is_list(settings: Table, field_name: str) -> bool:
    return isinstance(settings.columns.get(field_name), list)
