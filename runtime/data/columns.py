"""Columns: one field of a part of the data, [N, ...], read piece by piece. Torch-free.

A column may be larger than the memory: nothing here reads one whole, except `whole` itself. A
part of the data is a choice of samples (`SubsetColumn`), not a copy of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import few_to_split
from .extents import Extent
from .fingerprint import blocks, described, fingerprint
from .opened import OpenedFile
from .splits import split_in_order

Indices = NDArray[np.int64]
Array = NDArray[Any]
Storage = Literal["memory", "mapped", "files"]

CHUNK_BYTES = 16 << 20
"""How much `chunks` reads at a time unless told otherwise."""


class Column(ABC):
    """Values of every sample of one field.

    dtype, shape: of the whole; the first axis counts the samples.
    storage: `memory`; `mapped` where the file is read as needed and the system keeps what fits;
        `files` where each sample is a file, decoded as needed.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    storage: Storage
    file: str = ""
    """What messages call the file it comes from."""

    in_table: bool = False
    """Whether its values are cells of a table."""

    extent: Extent | None = None
    """The lengths of samples that differ along axis 1; `shape` has that of all, padded."""

    @property
    def nbytes(self) -> int:
        """The bytes of all values once they are in memory, without padding."""
        if self.extent is None:
            return self._padded_bytes
        inner = int(np.prod(self.shape[2:], dtype=np.int64))
        return self.dtype.itemsize * inner * int(self.extent.lengths.sum())

    @property
    def _padded_bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def take(self, indices: Indices) -> Array:
        """The samples of these indices, in their order, as a copy [len(indices), ...].

        Raises: NetwrightError: F602: a sample's file can't be read, or is not what it was.
        """

    def sized(self, indices: Indices, size: int) -> Array:
        """The same with `size` elements along axis 1: [len(indices), size, ...].

        Of a column with an extent; what lies beyond the length of a sample is 0.
        """
        return self.take(indices)[:, :size]

    def batch(self, indices: Indices) -> Array:
        """The same, padded to the longest of them alone where samples differ in length."""
        if self.extent is None:
            return self.take(indices)
        return self.sized(indices, self.extent.size(indices))

    @abstractmethod
    def fingerprint(self) -> str:
        """sha256 in hexadecimal, the same as long as the samples are: see fingerprint.py.

        Wherever the values lie: in another folder, or with another date.

        Raises: NetwrightError: F602.
        """

    def chunks(self, size: int | None = None) -> Iterator[tuple[int, Array]]:
        """Every sample once, in order: the first index of a chunk, and its values.

        size: samples at a time; about 16 MiB unless given. A chunk is not to be written to.
        """
        step = size or max(1, CHUNK_BYTES * len(self) // max(self._padded_bytes, 1))
        for start in range(0, len(self), step):
            yield start, self._slice(start, min(start + step, len(self)))

    def _slice(self, start: int, stop: int) -> Array:
        return self.take(np.arange(start, stop))

    def elements(self) -> Iterator[tuple[Indices, Array]]:
        """Every real value once, in order, some samples at a time.

        Returns: the place of each row, and rows [n, ...]: elements along axis 1 where samples
            differ in length there, else whole samples. Places are i64[n, 2], sample and element,
            or i64[n, 1].
        """
        for start, values in self.chunks():
            samples = np.arange(start, start + len(values))
            if self.extent is None:
                yield samples[:, None], values
                continue
            real = np.arange(values.shape[1]) < self.extent.lengths[samples, None]
            yield np.argwhere(real) + np.array([start, 0]), values[real]

    def in_memory(self) -> Array | None:
        """The values where they lie in memory as one plain array; else None."""
        return None

    def whole(self) -> Array:
        """All values in memory."""
        held = self.in_memory()
        return self.take(np.arange(len(self))) if held is None else held

    def subset(self, indices: Indices) -> Column:
        """The samples of these indices; nothing is copied."""
        return SubsetColumn(self, indices)

    def cut(self, fraction: float) -> tuple[Indices, Indices]:
        """Samples that follow each other in time as an earlier and a later part.

        fraction: of the samples, which make up the later one.
        Returns: the indices of both, ascending. Samples that belong to neither are left out.
        Raises: NetwrightError: F601: nothing is left for the earlier one.
        """
        if len(self) < 2:
            raise few_to_split(len(self))
        return split_in_order(len(self), fraction)

    def distinct(self) -> Column:
        """The values that samples are made of, each once, with the same last axes.

        Another column only where samples overlap, as windows of a series do.
        """
        return self

    def where(self, index: int) -> str:
        """What a message calls a sample: sample 5 of a file, or the name of its own file."""
        return f"sample {index} of `{self.file}`" if self.file else f"sample {index}"


Columns = Mapping[str, Column]
"""Field -> its column; all of one length."""


class ArrayColumn(Column):
    """An array in memory."""

    storage: Storage = "memory"

    def __init__(self, array: Array, file: str = "") -> None:
        self._array, self.dtype, self.shape, self.file = array, array.dtype, array.shape, file

    def take(self, indices: Indices) -> Array:
        return self._array[indices]

    def fingerprint(self) -> str:
        """Over element type, shape and every value."""
        values = (np.ascontiguousarray(values) for _, values in self.chunks())
        return fingerprint(described(self.dtype, self.shape), values)

    def _slice(self, start: int, stop: int) -> Array:
        return self._array[start:stop]

    def in_memory(self) -> Array | None:
        return self._array


class MappedColumn(Column):
    """An array inside a file that is mapped into memory: read where it is touched.

    The file must stay as it is as long as values are taken: `take` and `chunks` raise F602 where it
    was written to or cut short, in this process and in those that a pickled column goes to.

    Args:
        offset: where in the file its elements begin, in bytes.
        order: `C` where the last axis runs fastest in the file, `F` where the first does.
    Raises: NetwrightError: F602: the file can't be opened.
    """

    storage: Storage = "mapped"

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        offset: int,
        order: Literal["C", "F"] = "C",
    ) -> None:
        self.path, self.dtype, self.shape, self.file = path, dtype, shape, path.name
        self._offset, self._order = offset, order
        self._opened = OpenedFile(path)
        self._array: Array | None = None

    def _mapped(self) -> Array:
        """The array in the file, which is still as it was."""
        if 0 in self.shape:  # the system maps no empty ranges
            return np.empty(self.shape, self.dtype)
        self._opened.check()
        if self._array is None:
            self._array = self._opened.mapped(self.dtype, self.shape, self._offset, self._order)
        return self._array

    def take(self, indices: Indices) -> Array:
        return np.asarray(self._mapped()[indices])

    def fingerprint(self) -> str:
        """Over element type, shape and the values, as they lie in the file; see `WHOLE_BYTES`."""
        about = described(self.dtype, self.shape) + (" F" if self._order == "F" else "")
        return fingerprint(about, (self._bytes()[block] for block in blocks(self.nbytes)))

    def _bytes(self) -> Array:
        return self._mapped().reshape(-1, order=self._order).view(np.uint8)

    def _slice(self, start: int, stop: int) -> Array:
        return np.asarray(self._mapped()[start:stop])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}  # a loader's process maps the file by itself


class SubsetColumn(Column):
    """Some samples of another column."""

    def __init__(self, column: Column, indices: Indices) -> None:
        self._column, self._indices = column, indices
        self.dtype, self.shape = column.dtype, (len(indices), *column.shape[1:])
        self.storage, self.file = column.storage, column.file
        self.extent = None if column.extent is None else column.extent.take(indices)

    def take(self, indices: Indices) -> Array:
        return self._column.take(self._indices[indices])

    def sized(self, indices: Indices, size: int) -> Array:
        return self._column.sized(self._indices[indices], size)

    def fingerprint(self) -> str:
        """Over that of the other column, and which samples of it these are."""
        about = f"samples of {self._column.fingerprint()}"
        return fingerprint(about, [np.ascontiguousarray(self._indices, np.int64)])

    def where(self, index: int) -> str:
        return self._column.where(int(self._indices[index]))


class ConvertedColumn(Column):
    """Another column with elements of another type, and axes of size 1 added or dropped.

    sample: the sizes of one sample.
    """

    def __init__(self, column: Column, dtype: np.dtype[Any], sample: tuple[int, ...]) -> None:
        self._column, self.dtype, self.shape = column, dtype, (len(column), *sample)
        self.storage, self.file, self.extent = column.storage, column.file, column.extent

    def take(self, indices: Indices) -> Array:
        return self._view(self._column.take(indices))

    def sized(self, indices: Indices, size: int) -> Array:
        if self.extent is None:
            return super().sized(indices, size)
        values = self._column.sized(indices, size)
        return values.reshape(*values.shape[:2], *self.shape[2:]).astype(self.dtype, copy=False)

    def fingerprint(self) -> str:
        """Over that of the other column, and what it is converted to."""
        return fingerprint(described(self.dtype, self.shape), [self._column.fingerprint().encode()])

    def _slice(self, start: int, stop: int) -> Array:
        return self._view(self._column._slice(start, stop))

    def _view(self, values: Array) -> Array:
        return values.reshape(len(values), *self.shape[1:]).astype(self.dtype, copy=False)

    def subset(self, indices: Indices) -> Column:
        return ConvertedColumn(self._column.subset(indices), self.dtype, self.shape[1:])

    def cut(self, fraction: float) -> tuple[Indices, Indices]:
        return self._column.cut(fraction)

    def distinct(self) -> Column:
        return self._column.distinct() if self.shape == self._column.shape else self

    def in_memory(self) -> Array | None:
        held = self._column.in_memory()
        return None if held is None or held.dtype != self.dtype else self._view(held)

    def where(self, index: int) -> str:
        return self._column.where(index)


def take(columns: Columns, indices: Indices) -> dict[str, Column]:
    """The samples of the given indices, of every field; nothing is copied."""
    return {name: column.subset(indices) for name, column in columns.items()}


def total_bytes(columns: Columns) -> int:
    """The bytes of a part of the data once it is in memory."""
    return sum(column.nbytes for column in columns.values())


def count(columns: Columns) -> int:
    """How many samples a part of the data has."""
    return len(next(iter(columns.values()))) if columns else 0


def vary(columns: Columns) -> bool:
    """Whether batches of a part differ in length."""
    return any(c.extent is not None and c.extent.varies for c in columns.values())


def storage_of(columns: Columns) -> Storage:
    """Where a part lies: in memory only if every field does."""
    kinds = {column.storage for column in columns.values()}
    return "files" if "files" in kinds else "mapped" if "mapped" in kinds else "memory"


def as_columns(arrays: Mapping[str, Array]) -> dict[str, Column]:
    """Columns of arrays in memory."""
    return {name: ArrayColumn(array) for name, array in arrays.items()}
