"""numpy's files of arrays, whoever wrote them: `.npy` and `.npz`, without pickles. Torch-free.

An array that lies in its file as it would in memory needs not be read: `locate_npy` and
`locate_npz` say where it is, for a mapping.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
"""What stands before each member of a zip; its last two numbers are lengths of what follows it."""

PICKLED = "it holds pickled objects, which are refused: allow_pickle=False"

ENCRYPTED = 1
"""The bit of a member's flags that says so."""


class DamagedArrays(Exception):  # noqa: N818 - a finding; the caller decides how to tell it
    """Why a file of arrays can't be used."""


class PickledArrays(DamagedArrays):
    """An array of Python objects, which is not read: a pickle can run any code."""


@dataclass(frozen=True)
class Stored:
    """Where an array lies in a file.

    offset: of its first element, in bytes. order: `F` where the first axis runs fastest.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    order: Literal["C", "F"]


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


def locate_npy(path: Path) -> Stored:
    """Where the array of an `.npy` file lies. Raises: DamagedArrays, OSError."""
    with _reading(), path.open("rb") as file:
        return _stored(file, path.stat().st_size)


def locate_npz(path: Path, names: Iterable[str]) -> dict[str, Stored]:
    """Where those of the named arrays lie in an `.npz` file that are not compressed.

    Raises: DamagedArrays, OSError.
    """
    with _opened(path) as archive, path.open("rb") as file:
        found = {}
        for name in names:
            member = _entry(archive, name)
            if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & ENCRYPTED:
                start = _begin(file, member)
                file.seek(start)
                found[name] = _stored(file, start + member.file_size)
        return found


def _entry(archive: Any, name: str) -> zipfile.ZipInfo:
    """The zip's record of an array, which numpy calls by its name without `.npy`."""
    members: dict[str, zipfile.ZipInfo] = archive.zip.NameToInfo
    return members[name] if name in members else members[f"{name}.npy"]


def _begin(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin. The lengths in its own header are the ones that count."""
    file.seek(member.header_offset)
    header = file.read(LOCAL_HEADER.size)
    *_, name, extra = LOCAL_HEADER.unpack(header)
    return int(member.header_offset + LOCAL_HEADER.size + name + extra)


def _stored(file: IO[bytes], end: int) -> Stored:
    """The array whose header begins here, and whose elements end before `end`."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise DamagedArrays(f"its format has the version {version}, which has named elements")
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise PickledArrays(PICKLED)
    offset, size = file.tell(), dtype.itemsize * math.prod(shape)
    if offset + size > end:
        raise DamagedArrays(
            f"its header promises {list(shape)}, {size} bytes; it holds {end - offset}"
        )
    return Stored(dtype, tuple(shape), offset, "F" if fortran else "C")


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
        if "allow_pickle" in str(error):  # numpy's own refusal, of a compressed array
            raise PickledArrays(PICKLED) from error
        raise DamagedArrays(str(error) or type(error).__name__) from error
