"""numpy's files of arrays, whoever wrote them: `.npy` and `.npz`, without pickles. Torch-free."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class DamagedArrays(Exception):  # noqa: N818 - a finding; the caller decides how to tell it
    """Why a file of arrays can't be used."""


def load_npy(path: Path) -> NDArray[Any]:
    """The array of an `.npy` file.

    Raises: DamagedArrays. OSError: it can't be read. MemoryError: it is too large.
    """
    with _reading(), path.open("rb") as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def array_names(path: Path) -> list[str]:
    """The names of the arrays in an `.npz` file. Raises: as `load_npy`."""
    with _opened(path) as archive:
        return list(archive.files)


def load_npz(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of an `.npz` file. Raises: as `load_npy`."""
    with _opened(path) as archive:
        return {name: _member(archive, name) for name in names}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with _reading():
        if not zipfile.is_zipfile(path):
            raise DamagedArrays("it is no zip archive, and an `.npz` file is one")
        with np.load(path, allow_pickle=False) as archive:
            yield archive


def _member(archive: Any, name: str) -> NDArray[Any]:
    array = archive[name]
    if not isinstance(array, np.ndarray):  # numpy gives the bytes of what is no array
        raise DamagedArrays(f"`{name}` in it is no array")
    return array


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever the formats' readers find wrong is damage; the system's errors stay what they are.

    zipfile, its decompressors and numpy's reader of headers share no narrower class.
    """
    try:
        yield
    except (DamagedArrays, OSError, MemoryError):
        raise
    except Exception as error:
        raise DamagedArrays(str(error) or type(error).__name__) from error
