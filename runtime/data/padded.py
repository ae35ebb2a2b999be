"""Columns of samples that differ in length: ragged, padded, and taken whole. Torch-free."""

from __future__ import annotations

import numpy as np

from .columns import Array, Column, Indices
from .extents import Extent
from .fingerprint import fingerprint


class RaggedColumn(Column):
    """Samples of different lengths, which lie one after the other along the first axis.

    Args:
        values: [total, ...]. offsets: i64[N + 1], where each sample begins and the last one ends:
            from 0 to total, ascending. size: of axis 1 once samples are padded; the longest's.
    """

    def __init__(self, values: Column, offsets: Indices, size: int | None = None) -> None:
        lengths = np.diff(offsets)
        self._values, self._offsets, self.extent = values, offsets, Extent.of(lengths)
        self.dtype, self.storage, self.file = values.dtype, values.storage, values.file
        longest = self.extent.longest if size is None else size
        self.shape = (len(lengths), longest, *values.shape[1:])

    def resized(self, size: int) -> RaggedColumn:
        """The same, padded to another size."""
        return RaggedColumn(self._values, self._offsets, size)

    def take(self, indices: Indices) -> Array:
        return self.sized(indices, self.shape[1])

    def sized(self, indices: Indices, size: int) -> Array:
        starts, steps = self._offsets[indices, None], np.arange(size)
        real = steps < self._offsets[indices + 1, None] - starts
        found = np.zeros((len(indices), size, *self.shape[2:]), self.dtype)
        found[real] = self._values.take((starts + steps)[real])
        return found

    def fingerprint(self) -> str:
        """Over that of all values, and where the samples begin."""
        about = f"samples of different lengths of {self._values.fingerprint()}"
        return fingerprint(about, [np.ascontiguousarray(self._offsets, np.int64)])


class PaddedColumn(Column):
    """Another column whose samples are real up to their lengths along axis 1; 0 beyond these."""

    def __init__(self, column: Column, extent: Extent) -> None:
        self._column, self.extent = column, extent
        self.dtype, self.shape = column.dtype, column.shape
        self.storage, self.file, self.in_table = column.storage, column.file, column.in_table

    def take(self, indices: Indices) -> Array:
        return self.sized(indices, self.shape[1])

    def sized(self, indices: Indices, size: int) -> Array:
        assert self.extent is not None
        values = self._column.sized(indices, size)
        if self._column.extent is None:
            values = values.copy()
            values[np.arange(size) >= self.extent.lengths[indices, None]] = 0
        return values

    def fingerprint(self) -> str:
        """That of the other column; the lengths are a field of their own."""
        return self._column.fingerprint()

    def where(self, index: int) -> str:
        return self._column.where(index)


class WholeColumn(Column):
    """Another column as an array of one size: its padding is part of it."""

    def __init__(self, column: Column) -> None:
        self._column, self.dtype, self.shape = column, column.dtype, column.shape
        self.storage, self.file = column.storage, column.file

    def take(self, indices: Indices) -> Array:
        return self._column.take(indices)

    def fingerprint(self) -> str:
        return self._column.fingerprint()

    def where(self, index: int) -> str:
        return self._column.where(index)
