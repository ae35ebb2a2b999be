"""numpy's `.npy` and `.npz` as columns. Arrays that lie there as in memory are mapped, not read.

Pickled objects are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..arrays import DamagedArrays, Stored, array_names, load_npz, locate_npy, locate_npz
from .columns import ArrayColumn, Column, MappedColumn
from .errors import damaged, lacking, missing, unreadable


def read_npz(path: Path, names: Sequence[str]) -> dict[str, Column]:
    """The named arrays of an `.npz` file.

    Raises: NetwrightError: F602: the file is missing, unreadable, damaged or holds objects.
        F601: it lacks an array.
    """
    with _told(path):
        known = array_names(path)
        for name in names:
            if name not in known:
                raise lacking(path, name, known)
        stored = locate_npz(path, names)
        loaded = load_npz(path, [name for name in names if name not in stored])
    return {
        name: _mapped(path, stored[name])
        if name in stored
        else ArrayColumn(loaded[name], path.name)
        for name in names
    }


def read_npy(path: Path) -> Column:
    """The array of an `.npy` file, mapped. Raises: NetwrightError: F602."""
    with _told(path):
        return _mapped(path, locate_npy(path))


def _mapped(path: Path, stored: Stored) -> Column:
    return MappedColumn(path, stored.dtype, stored.shape, stored.offset, stored.order)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise missing(path)
    try:
        yield
    except DamagedArrays as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error
