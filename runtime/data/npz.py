"""numpy's `.npz`: named arrays in a zip file. Pickled objects are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..arrays import DamagedArrays, array_names, load_npz
from .errors import damaged, lacking, missing, unreadable


def read_npz(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read the named arrays of an `.npz` file.

    Raises: NetwrightError: F602: the file is missing, unreadable, damaged or holds objects.
        F601: it lacks an array.
    """
    if not path.is_file():
        raise missing(path)
    try:
        known = array_names(path)
        for name in names:
            if name not in known:
                raise lacking(path, name, known)
        return load_npz(path, names)
    except DamagedArrays as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error
