"""numpy's `.npz`: named arrays in a zip file. Pickled objects are refused."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import damaged, lacking, missing, unreadable


def read_npz(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read the named arrays of an `.npz` file.

    Raises: NetwrightError: F602: the file is missing, unreadable, damaged or holds objects.
        F601: it lacks an array.
    """
    if not path.is_file():
        raise missing(path)
    try:
        if not zipfile.is_zipfile(path):
            raise damaged(path, "it is no zip archive, and an `.npz` file is one")
        with np.load(path, allow_pickle=False) as archive:
            for name in names:
                if name not in archive.files:
                    raise lacking(path, name, archive.files)
            return {name: archive[name] for name in names}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error
