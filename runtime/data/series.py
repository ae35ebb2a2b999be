"""Reading time series: rows of tables as windows, for the source `series`. Torch-free."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ...compiler.objectives.fields import Field
from ...compiler.objectives.series_source import PARQUET, Series
from ...compiler.suggest import listing
from .cells import Cells, cells_of
from .columns import Array, Column, Indices
from .errors import gathered
from .raw import RawData
from .series_time import Grid, Times, even_grid, read_times
from .shipped_series import shipped_path
from .table_files import ChunkedArray, RowNames
from .tables import open_table
from .windows import WindowColumn, Windows

NUMBER = Field(shape=["B"], dtype="float32")
"""What each column holds."""


@dataclass(frozen=True)
class One:
    """One series.

    name: of its group or file; empty where there is no other. values: f32[R, C], by `used`.
    rows: [R] the row of the file that each came from, from 0. filled: how many values, and steps
    without a row, took the one before them.
    """

    name: str
    values: Array
    rows: Indices
    names: RowNames
    filled: int = 0

    def row_name(self, index: int) -> str:
        return f"{self.names(int(self.rows[index]))} of `{self.names.path.name}`"


@dataclass(frozen=True)
class _RowName:
    """What messages call the rows of several series, one behind the other."""

    series: Sequence[One]
    first: Sequence[int]

    def __call__(self, row: int) -> str:
        number = bisect_right(self.first, row) - 1
        return self.series[number].row_name(row - self.first[number])


def read_series(settings: Series, fields: Mapping[str, Field], folder: Path) -> RawData:
    """The windows of every series.

    Raises: NetwrightError: F602: a file is missing or damaged. F601: a column, a value or a row is
        missing, times do not ascend in even steps, or the series are too short. R907: the package
        of a shipped data set is not installed.
    """
    paths = [folder / path for path in settings.path]
    if settings.dataset:
        paths = [shipped_path(settings.dataset)]
    found = gathered({str(path): partial(read_file, settings, path) for path in paths})
    series = [one for own in found.values() for one in own]
    long = [one for one in series if len(one.values) >= settings.span]
    if not long:
        raise _too_short(settings, series)
    rows = np.concatenate([one.values for one in long])
    windows, first = _windows(settings, [len(one.values) for one in long])
    columns: dict[str, Column] = {}
    for name in fields:
        places = [settings.used.index(column) for column in settings.columns_of(name)]
        own = rows if places == list(range(rows.shape[1])) else rows[:, places]
        columns[name] = WindowColumn(
            own,
            windows,
            is_future=name == "future",
            row_name=_RowName(long, first),
            file=paths[0].name if len(paths) == 1 else "",
        )
    return RawData(columns, notes=tuple(_notes(settings, series, long)))


def _windows(settings: Series, sizes: Sequence[int]) -> tuple[Windows, list[int]]:
    """Where windows begin in series of these sizes, and where each series does."""
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    each = [
        start + np.arange(0, size - settings.span + 1, settings.stride)
        for start, size in zip(first[:-1], sizes, strict=True)
    ]
    numbers = [np.full(len(starts), number) for number, starts in enumerate(each)]
    windows = Windows(
        np.concatenate(each), np.concatenate(numbers), settings.window, settings.horizon
    )
    return windows, first[:-1].tolist()


def _too_short(settings: Series, series: Sequence[One]) -> NetwrightError:
    longest = max((len(one.values) for one in series), default=0)
    places = listing(dict.fromkeys(one.names.path.name for one in series), 3)
    found = f"{longest:,} in the longest series" if len(series) > 1 else f"{longest:,}"
    return failure(
        Code.F601,
        f"expected at least {settings.span:,} rows for a `window` of {settings.window:,} and a "
        f"`horizon` of {settings.horizon:,}, found {found} of {places}",
        help="shorten `window` or `horizon`, or add rows",
    )


def _notes(settings: Series, series: Sequence[One], long: Sequence[One]) -> Iterator[str]:
    short = [one.name for one in series if len(one.values) < settings.span]
    if short:
        yield (
            f"left out {len(short):,} of {len(series):,} series with fewer than {settings.span:,} "
            f"rows: {listing(short, 5)}"
        )
    filled = sum(one.filled for one in long)
    if filled:
        what = "values" if filled > 1 else "value"
        yield f"put the last value before it in place of {filled:,} missing {what}"


# One file


def read_file(settings: Series, path: Path) -> list[One]:
    """Every series in a file, checked, and with what lacks filled where that may be.

    Raises: NetwrightError: F601, F602: as for `read_series`.
    """
    delimiter = None if path.name.endswith(PARQUET) else settings.delimiter
    others = [name for name in (settings.time, settings.group) if name]
    wanted = list(dict.fromkeys([*settings.used, *others]))
    table, names = open_table(path, wanted, delimiter, settings.title)
    cells = _cells(settings, table, names)
    values = np.stack([cell.values for cell in cells], axis=1)
    missing = np.stack([cell.missing for cell in cells], axis=1)
    times = None
    if settings.time:
        times = read_times(table[settings.time], settings.time, names, settings.decimal)
    calls = {
        name: partial(_one, settings, One(name, values[rows], rows, names), missing[rows],
                      None if times is None else times[rows])
        for name, rows in _groups(settings, table, names).items()
    }  # fmt: skip
    return list(gathered(calls).values())


def _cells(settings: Series, table: Mapping[str, ChunkedArray], names: RowNames) -> list[Cells]:
    """The columns of numbers, checked but for missing values where these may be."""
    decimal = None if names.delimiter is None else settings.decimal
    cells = {
        name: cells_of(table[name], NUMBER, name, names, decimal, may_be_named=False)
        for name in settings.used
    }
    problems = [problem for found in cells.values() for problem in found.problems]
    for name, found in cells.items():
        problems += _infinite(name, found, names)
        if settings.missing == "error":
            problems += _missing(name, found, names)
    if problems:
        raise NetwrightError(*problems)
    return list(cells.values())


def _infinite(name: str, cells: Cells, names: RowNames) -> Iterator[Diagnostic]:
    wrong = np.flatnonzero(~np.isfinite(cells.values) & ~cells.missing)
    if len(wrong):
        yield Diagnostic(
            Code.F601,
            f"expected finite numbers of float32 in column `{name}` of `{names.path.name}`, found "
            f"{cells.values[wrong[0]]:g} in {names(int(wrong[0]))}{names.others(len(wrong) - 1)}",
            help="correct the value, or leave its cell empty and set `missing: previous`",
        )


def _missing(name: str, cells: Cells, names: RowNames) -> Iterator[Diagnostic]:
    rows = np.flatnonzero(cells.missing)
    if len(rows):
        yield Diagnostic(
            Code.F601,
            f"expected a value in every row of column `{name}`, found none in "
            f"{names(int(rows[0]))}{names.others(len(rows) - 1)} of `{names.path.name}`",
            help="fill the cells, or repeat the last value before each with `missing: previous`",
        )


def _groups(
    settings: Series, table: Mapping[str, ChunkedArray], names: RowNames
) -> dict[str, Indices]:
    """The rows of each series, in their order; a file without rows is an empty series."""
    size = len(table[settings.used[0]])
    if settings.group is None or size == 0:
        return {names.path.name: np.arange(size, dtype=np.int64)}
    words = table[settings.group].cast("string").to_numpy(zero_copy_only=False)
    lost = np.array([word is None or word == "" for word in words], np.bool_)
    if lost.any():
        first = int(np.flatnonzero(lost)[0])
        raise failure(
            Code.F601,
            f"expected the name of a series in each row of column `{settings.group}`, found none "
            f"in {names(first)}{names.others(int(lost.sum()) - 1)} of `{names.path.name}`",
            help="name the series of each row, or remove the rows",
        )
    found, codes = np.unique(words.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable").astype(np.int64)
    borders = np.cumsum(np.bincount(codes, minlength=len(found)))[:-1]
    return dict(zip(found.tolist(), np.split(order, borders), strict=True))


# One series


def _one(settings: Series, one: One, missing: NDArray[np.bool_], times: Times | None) -> One:
    """A series with its times checked and what lacks filled, where that may be."""
    places = np.arange(len(one.values), dtype=np.int64)
    if times is not None and settings.time:
        grid = even_grid(times, settings.time, one.row_name)
        if grid.lacking and settings.missing == "error":
            raise _gap(settings.time, one, grid)
        places = grid.places
    if settings.missing == "error" or not len(places):
        return one
    _check_first(settings, one, missing)
    return _filled(one, missing, places)


def _gap(time: str, one: One, grid: Grid) -> NetwrightError:
    at = int(np.flatnonzero(np.diff(grid.places) > 1)[0])
    many = grid.lacking > 1
    more = f", the first of {grid.lacking:,} missing rows" if many else ""
    return failure(
        Code.F601,
        f"expected a row for each step of {grid.step} in column `{time}`, found none for "
        f"`{grid.missing}`, after {one.row_name(at)}{more}",
        help=f"add the {'rows' if many else 'row'}, or repeat the last one before with `missing: "
        "previous`",
    )


def _check_first(settings: Series, one: One, missing: NDArray[np.bool_]) -> None:
    """The first row has nothing before it that could be repeated."""
    for column, name in enumerate(settings.used):
        if missing[0, column]:
            raise failure(
                Code.F601,
                f"expected a first value of column `{name}`, found none in {one.row_name(0)}, and "
                "nothing before it to repeat",
                help="begin the series where all of its columns have values",
            )


def _filled(one: One, missing: NDArray[np.bool_], places: Indices) -> One:
    """A row for each step, with the last value before it where one is missing."""
    steps = np.arange(int(places[-1]) + 1)
    row = np.searchsorted(places, steps, side="right") - 1
    known = np.where(missing, 0, np.arange(len(missing))[:, None])
    last = np.maximum.accumulate(known, axis=0)[row]
    values = np.take_along_axis(one.values, last, axis=0)
    filled = values.size - int((~missing).sum())
    return One(one.name, values, one.rows[row], one.names, filled)
