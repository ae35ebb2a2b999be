"""The IDX format of MNIST: a magic number, big-endian sizes, then the elements; gzipped or not.

A file that is not gzipped is mapped, not read.

Source: http://yann.lecun.com/exdb/mnist, "The IDX file format".
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import NetwrightError
from .columns import ArrayColumn, Column, ConvertedColumn, MappedColumn
from .errors import damaged, missing, unreadable

ELEMENTS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of the magic number -> numpy's element type."""

GZIP_MAGIC = b"\x1f\x8b"
MOST_AXES = 64
"""More than this numpy has no arrays for."""

DENSEST = 1032
"""How many bytes one byte of deflate can stand for at most."""


def read_idx(path: Path) -> Column:
    """The array of an IDX file, with its own shape.

    Raises: NetwrightError: F602: the file is missing, unreadable, truncated or not IDX.
    """
    if not path.is_file():
        raise missing(path)
    try:
        with path.open("rb") as plain:
            zipped = plain.read(2) == GZIP_MAGIC
            plain.seek(0)
            size = path.stat().st_size
            if not zipped:
                return _mapped(path, plain, size)
            with gzip.GzipFile(fileobj=plain) as unzipped:
                return ArrayColumn(_unzipped(path, unzipped, size * DENSEST), path.name)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, f"its gzip data is cut short or damaged ({error})") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _mapped(path: Path, file: IO[bytes], size: int) -> Column:
    dtype, shape = _header(path, file)
    expected, found = math.prod(shape) * dtype.itemsize, size - file.tell()
    if found != expected:
        raise _wrong_size(path, shape, expected, found)
    stored = MappedColumn(path, dtype, shape, file.tell())
    native = dtype.newbyteorder("=")
    return stored if native == dtype else ConvertedColumn(stored, native, shape[1:])


def _unzipped(path: Path, file: gzip.GzipFile, most: int) -> NDArray[Any]:
    """The array in a gzipped file, which holds at most so many bytes."""
    dtype, shape = _header(path, file)
    expected = math.prod(shape) * dtype.itemsize
    if expected > most:  # before anything of that size is read
        raise _wrong_size(path, shape, expected, None)
    content = file.read(expected + 1)
    if len(content) != expected:
        raise _wrong_size(path, shape, expected, len(content))
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _header(path: Path, file: IO[bytes] | gzip.GzipFile) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in ELEMENTS:
        raise damaged(
            path, f"it begins with `{magic.hex(' ')}`, and IDX begins with `00 00`, type and rank"
        )
    if magic[3] > MOST_AXES:
        raise damaged(path, f"its header promises {magic[3]} axes, {MOST_AXES} are the most")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise damaged(path, f"it ends within its {magic[3]} sizes")
    return np.dtype(ELEMENTS[magic[2]]), tuple(int(size) for size in np.frombuffer(sizes, ">u4"))


def _wrong_size(
    path: Path, shape: tuple[int, ...], expected: int, found: int | None
) -> NetwrightError:
    rest = "fewer" if found is None or found < expected else "more"
    return damaged(path, f"its header promises {list(shape)}, {expected} bytes; it holds {rest}")
