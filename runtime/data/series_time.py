"""The times of a series: read from a column, and checked to ascend in even steps. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, NetwrightError, failure
from .columns import Indices
from .table_files import ChunkedArray, RowNames

MONTH = re.compile(r"\d{4}-\d{2}\Z")
COMPACT = r"^(1[5-9]|2[01])\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])$"
"""A date such as 20240131: as numbers, such a column would have no even steps."""

LONGEST_GAP = 10_000
"""How many steps may lie between two rows, or as many as there are rows, if these are more."""

TOLERANCE = 1e-6
"""How far a step may be from the others, as a part of them: times as fractions are rounded."""

FEWEST_DAYS = 28
"""Steps of whole months are at least as long."""

DAY = 86_400_000_000
UNITS = (
    (7 * DAY, "week"),
    (DAY, "day"),
    (3_600_000_000, "hour"),
    (60_000_000, "minute"),
    (1_000_000, "second"),
)
"""Microseconds, and their name."""


@dataclass(frozen=True)
class Times:
    """The times of a file's rows: numbers f64[N], or dates i64[N] in microseconds since 1970."""

    values: NDArray[Any]
    are_dates: bool

    def __getitem__(self, rows: Indices) -> Times:
        return Times(self.values[rows], self.are_dates)

    def text(self, index: int) -> str:
        """A time as messages give it."""
        return self._text(self.values[index])

    def _text(self, value: Any) -> str:
        if not self.are_dates:
            return f"{value:.10g}"
        date, _, clock = str(np.datetime64(int(value), "us")).partition("T")
        clock = clock.removesuffix(".000000")
        return date if clock == "00:00:00" else f"{date} {clock.removesuffix(':00')}"

    def following(self, index: int, step: float, *, in_months: bool) -> str:
        """The time one step behind another."""
        value = self.values[index]
        if not in_months:
            return self._text(value + type(value)(step))
        date = np.datetime64(int(value), "us")
        return str(date.astype("datetime64[M]") + int(step))


@dataclass(frozen=True)
class Grid:
    """Where rows stand in even steps of time.

    places: [N] the number of each row's step, from 0; without gaps 0, 1, 2, ...
    step: from one to the next, in words. missing: the first time without a row, if one lacks.
    """

    places: Indices
    step: str
    missing: str = ""

    @property
    def lacking(self) -> int:
        """How many steps have no row."""
        return int(self.places[-1]) + 1 - len(self.places) if len(self.places) else 0


def read_times(column: ChunkedArray, name: str, rows: RowNames, decimal: str) -> Times:
    """A column of numbers, of dates, or of texts that are either.

    Raises: NetwrightError: F601: a cell is neither.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    found = column
    if kinds.is_string(found.type) or kinds.is_large_string(found.type):
        found = _parsed(found, decimal)
    if kinds.is_string(found.type) or pc.any(found.is_null()).as_py():
        raise _no_time(column, name, rows)
    if kinds.is_temporal(found.type):
        moments = found.cast(pa.timestamp("us", getattr(found.type, "tz", None))).cast("int64")
        return Times(moments.to_numpy(), are_dates=True)
    numbers = found.cast("float64").to_numpy()
    if not np.isfinite(numbers).all():
        raise _no_time(column, name, rows)
    return Times(numbers, are_dates=False)


def _parsed(column: ChunkedArray, decimal: str) -> ChunkedArray:
    """Texts as numbers or as moments; as they are where some are neither."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.all(pc.match_substring_regex(column, COMPACT), min_count=1).as_py():
        return pc.strptime(column, format="%Y%m%d", unit="us")
    months = pc.replace_substring_regex(column, r"^(\d{4}-\d{2})$", r"\1-01")
    plain = pc.replace_substring(column, decimal, ".")
    for texts, kind in (
        (plain, pa.float64()),
        (months, pa.timestamp("us")),
        (months, pa.timestamp("us", "UTC")),
    ):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column


def _no_time(column: ChunkedArray, name: str, rows: RowNames) -> NetwrightError:
    """The first cell that is no time like the first one."""
    cells = [cell.as_py() for cell in column]
    texts = ["" if cell is None else str(cell) for cell in cells]
    index = next((i for i, text in enumerate(texts) if not _is_time(text)), 0)
    none_wrong = _is_time(texts[index])
    found = "numbers and dates in one column" if none_wrong else f"`{texts[index]}`"
    found = found if texts[index] else "none"
    return failure(
        Code.F601,
        f"expected numbers or ISO dates in column `{name}` of `{rows.path.name}`, found {found} in "
        f"{rows(index)}",
        help="write times as `2024-01-31` or `2024-01-31 13:00`, or as numbers",
    )


def _is_time(text: str) -> bool:
    if MONTH.match(text):
        return True
    for kind in (float, np.datetime64):
        try:
            return bool(text and np.isfinite(kind(text)))
        except ValueError:
            continue
    return False


def even_grid(times: Times, name: str, row_name: Callable[[int], str]) -> Grid:
    """Check that times ascend in steps of one length, or of several where rows lack.

    Args:
        times: of one series, in the order of its rows. row_name: what messages call a row.
    Raises: NetwrightError: F601: a time that is not after the one before it, or between steps.
    """
    if len(times.values) < 2:
        return Grid(np.zeros(len(times.values), np.int64), "1 step")
    _check_ascending(times, name, row_name)
    in_months = times.are_dates and _are_months(times.values)
    values = _months(times.values) if in_months else times.values
    distances = np.diff(values)
    step = float(np.median(distances))
    steps = np.rint(distances / step)
    words = _words(step, in_months=in_months, are_dates=times.are_dates)
    wrong = np.flatnonzero(np.abs(distances / step - steps) > TOLERANCE * np.maximum(steps, 1))
    wrong = wrong if len(wrong) else np.flatnonzero(steps < 1)
    if len(wrong):
        at = int(wrong[0])
        raise failure(
            Code.F601,
            f"expected steps of {words} in column `{name}`, found `{times.text(at + 1)}` in "
            f"{row_name(at + 1)} after `{times.text(at)}` in {row_name(at)}",
            help="resample the series to even steps, or leave `time` out",
        )
    _check_gaps(times, steps, name, row_name)
    places = np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
    gaps = np.flatnonzero(steps > 1)
    first = times.following(int(gaps[0]), step, in_months=in_months) if len(gaps) else ""
    return Grid(places, words, first)


def _check_gaps(
    times: Times, steps: NDArray[np.float64], name: str, row_name: Callable[[int], str]
) -> None:
    """Refuse a time so far off that it is a slip: what lacks before it would fill the memory."""
    most = max(LONGEST_GAP, len(times.values))
    far = np.flatnonzero(steps > most)
    if len(far):
        at = int(far[0])
        raise failure(
            Code.F601,
            f"expected at most {most:,} steps from one row to the next in column `{name}`, found "
            f"{steps[at]:,.0f} from `{times.text(at)}` in {row_name(at)} to `{times.text(at + 1)}` "
            f"in {row_name(at + 1)}",
            help="correct the time, or tell the two parts apart as series of their own by `group`",
        )


def _check_ascending(times: Times, name: str, row_name: Callable[[int], str]) -> None:
    back = np.flatnonzero(np.diff(times.values) <= 0)
    if not len(back):
        return
    at = int(back[0])
    repeats = times.values[at + 1] in times.values[: at + 1]
    found = "it again" if times.values[at] == times.values[at + 1] else f"`{times.text(at + 1)}`"
    raise failure(
        Code.F601,
        f"expected a time after `{times.text(at)}` in column `{name}` of {row_name(at + 1)}, found "
        f"{found}",
        help="keep one row of each time; a column that tells several series apart is named by "
        "`group`"
        if repeats
        else "sort the rows by time, the earliest first",
    )


def _are_months(values: NDArray[np.int64]) -> bool:
    """Whether dates lie on the same day of each month, or on its last one."""
    days = values.view("datetime64[us]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    if np.diff(values).min() < FEWEST_DAYS * DAY or len(np.unique(values % DAY)) > 1:
        return False
    ends = (days + 1).astype("datetime64[M]") > months
    return bool(ends.all()) or len(np.unique(days - months)) == 1


def _months(values: NDArray[np.int64]) -> NDArray[np.int64]:
    months = values.view("datetime64[us]").astype("datetime64[M]")
    return np.asarray(months.astype(np.int64))


def _words(step: float, *, in_months: bool, are_dates: bool) -> str:
    if in_months:
        year = step % 12 == 0
        return _counted(step / 12 if year else step, "year" if year else "month")
    if not are_dates:
        return f"{step:.6g}"
    for size, unit in UNITS:
        if step % size == 0:
            return _counted(step / size, unit)
    return f"{step / 1e6:g} seconds"


def _counted(number: float, unit: str) -> str:
    return f"{number:.6g} {unit}{'s' if number != 1 else ''}"
