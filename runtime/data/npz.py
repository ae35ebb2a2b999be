"""numpy's `.npy` and `.npz` as columns. Arrays that lie there as in memory are mapped, not read.

Pickled objects are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ...compiler.diagnostics import NetwrightError
from ..arrays import (
    DamagedArrays,
    PickledArrays,
    Stored,
    array_names,
    load_npz,
    locate_npy,
    locate_npz,
)
from .columns import ArrayColumn, Column, MappedColumn
from .errors import damaged, gathered, lacking, missing, pickled, unreadable
from .ragged import ragged


def read_ragged_npz(
    path: Path, arrays: Mapping[str, str], offsets: Mapping[str, str], keys: tuple[str, str]
) -> dict[str, Column]:
    """As `read_npz`, some of the fields with samples of different lengths.

    Args:
        offsets: field of such samples -> the array of where they begin.
        keys: the settings that name the arrays, and those of offsets.
    Raises: NetwrightError: as `read_npz`. F601: offsets that cut no array into samples.
    """
    found = gathered(
        {
            "values": lambda: read_npz(path, arrays, keys[0]),
            "offsets": lambda: read_npz(path, offsets, keys[1]),
        }
    )
    cuts = {
        name: partial(ragged, found["values"][name], column, name, offsets[name])
        for name, column in found["offsets"].items()
    }
    return {**found["values"], **gathered(cuts)}


def read_npz(path: Path, arrays: Mapping[str, str], key: str = "arrays") -> dict[str, Column]:
    """Field -> its array in an `.npz` file.

    Args:
        arrays: field -> the name of its array. key: the setting that gives these names.
    Raises: NetwrightError: F602: the file is missing, unreadable, damaged or holds objects.
        F601: it lacks arrays, each of which is told.
    """
    names = list(arrays.values())
    with _told(path):
        known = array_names(path)
        problems = [
            lacking(path, field, name, known, key)
            for field, name in arrays.items()
            if name not in known
        ]
        if problems:
            raise NetwrightError(*problems)
        stored = locate_npz(path, names)
        loaded = load_npz(path, [name for name in names if name not in stored])
    return {
        field: _mapped(path, stored[name])
        if name in stored
        else ArrayColumn(loaded[name], path.name)
        for field, name in arrays.items()
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
    except PickledArrays as error:
        raise pickled(path) from error
    except DamagedArrays as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error
