"""Windows of time series: samples that overlap, as views of one array of rows. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.diagnostics import Code, failure
from .columns import Array, ArrayColumn, Column, Indices
from .fingerprint import described, fingerprint
from .splits import split_in_order

MORE = "add rows, shorten `window` or `horizon`, or set fewer samples aside in `split`"


@dataclass(frozen=True)
class Windows:
    """Where samples lie in the rows of several series, one behind the other.

    starts: [N] the first row of each sample, ascending. series: [N] the number of its series.
    window, horizon: rows of the past and of the future behind it.
    """

    starts: Indices
    series: Indices
    window: int
    horizon: int

    @property
    def span(self) -> int:
        """The rows of a sample."""
        return self.window + self.horizon

    def subset(self, indices: Indices) -> Windows:
        """The samples of these indices."""
        return replace(self, starts=self.starts[indices], series=self.series[indices])

    def rows(self, total: int) -> Indices:
        """The rows that samples lie in, each once, ascending. total: how many there are."""
        ends = np.zeros(total + 1, np.int64)
        np.add.at(ends, self.starts, 1)
        np.add.at(ends, self.starts + self.span, -1)
        return np.flatnonzero(np.cumsum(ends)[:total] > 0)

    def cut(self, fraction: float) -> tuple[Indices, Indices]:
        """Cut each series at its end.

        Of n samples of a series the last floor(n * fraction), but one at least and never all, make
        up the later part; a series of one sample stays whole. Of the others those stay that end
        before the first row that the later part is to forecast.

        Returns: the indices of the earlier and of the later part, ascending.
        """
        pairs = [self._cut(own, fraction) for own in self.each()]
        empty = np.zeros(0, np.int64)
        first, last = zip(*pairs, strict=True) if pairs else ((empty,), (empty,))
        return np.concatenate(first), np.concatenate(last)

    def each(self) -> Iterator[Indices]:
        """The samples of each series."""
        borders = np.flatnonzero(np.diff(self.series)) + 1
        yield from np.split(np.arange(len(self.starts), dtype=np.int64), borders)

    def _cut(self, own: Indices, fraction: float) -> tuple[Indices, Indices]:
        earlier, later = (own[part] for part in split_in_order(len(own), fraction))
        if not len(later):
            return earlier, later
        forecast = self.starts[later[0]] + self.window
        return earlier[self.starts[earlier] + self.span <= forecast], later


class WindowColumn(Column):
    """The past or the future of windows.

    Args:
        rows: f32[R, C], of which the samples are views. windows: where they begin.
        is_future: whether it holds the rows behind the window. row_name: what messages call a row.
        file: the only one that they come from.
    """

    storage = "memory"

    def __init__(
        self,
        rows: Array,
        windows: Windows,
        *,
        is_future: bool,
        row_name: Callable[[int], str],
        file: str = "",
    ) -> None:
        self._rows, self._windows = rows, windows
        self._is_future, self._row_name, self.file = is_future, row_name, file
        length = windows.horizon if is_future else windows.window
        self.dtype, self.shape = rows.dtype, (len(windows.starts), length, rows.shape[1])

    def take(self, indices: Indices) -> Array:
        first = self._windows.starts[indices] + (self._windows.window if self._is_future else 0)
        taken: Array = self._rows[first[:, None] + np.arange(self.shape[1])]
        return taken

    def fingerprint(self) -> str:
        """Over every row, and where the windows lie."""
        about = described(self.dtype, self.shape)
        values = (self._rows, self._windows.starts, self._windows.series)
        return fingerprint(about, map(np.ascontiguousarray, values))

    def subset(self, indices: Indices) -> Column:
        return WindowColumn(
            self._rows,
            self._windows.subset(indices),
            is_future=self._is_future,
            row_name=self._row_name,
            file=self.file,
        )

    def cut(self, fraction: float) -> tuple[Indices, Indices]:
        """See `Windows.cut`."""
        first, last = self._windows.cut(fraction)
        rows = f"windows of {self._windows.span:,} rows"
        if not len(last):
            raise failure(
                Code.F601,
                f"expected a series with at least 2 {rows}, to set {fraction:g} of them aside, "
                "found none",
                help=MORE,
            )
        if not len(first):
            raise failure(
                Code.F601,
                f"expected {rows} to be left where {fraction:g} of {len(self):,} are set aside, "
                "found none",
                notes=["those are left that end before the first row that a later part forecasts"],
                help=MORE,
            )
        return first, last

    def distinct(self) -> Column:
        """The rows that windows lie in, past or future, each once: [n, C]."""
        return ArrayColumn(self._rows[self._windows.rows(len(self._rows))])

    def changes(self, lag: int) -> Array:
        """The mean absolute change over `lag` rows, of the rows that windows lie in: f64[C].

        NaN where no series has so many rows.
        """
        total = len(self._rows)
        each = (self._windows.subset(own).rows(total) for own in self._windows.each())
        pairs = [rows[:-lag][rows[lag:] - rows[:-lag] == lag] for rows in each]
        first = np.concatenate(pairs)
        steps = self._rows[first + lag].astype(np.float64) - self._rows[first]
        mean: Array = np.abs(steps).mean(axis=0) if len(first) else np.full(steps.shape[1], np.nan)
        return mean

    def where(self, index: int) -> str:
        return f"the window from {self._row_name(int(self._windows.starts[index]))}"
