"""What tells whether data is still the same: sha256 over what it is and its values. Torch-free.

A mapped array of more than `WHOLE_BYTES` is looked at in blocks alone, evenly spaced, the first and
the last bytes among them: 100 GB would cost minutes at each start, and more where they come from a
slow disk. Data that is made anew or grows differs in these blocks or in its shape; a few samples
that are changed between two blocks are not noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

WHOLE_BYTES = 256 << 20
"""Up to this a mapped array is read whole: about half a second where the system has it cached."""

BLOCKS, BLOCK_BYTES = 256, 1 << 20
"""How much is read of a larger one: as much as of the largest that is read whole."""


def fingerprint(about: str, pieces: Iterable[Any]) -> str:
    """sha256 in hexadecimal of a line of text and of what follows it.

    pieces: of bytes, or contiguous arrays.
    """
    digest = hashlib.sha256(f"{about}\n".encode())
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def described(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """An array without its values: `<f4 [60000, 28, 28]`."""
    return f"{dtype.str} {list(shape)}"


def blocks(nbytes: int) -> Iterator[slice]:
    """Which bytes of so many are looked at, in their order."""
    starts: Iterable[int] = range(0, nbytes, BLOCK_BYTES)
    if nbytes > WHOLE_BYTES:
        last = nbytes - BLOCK_BYTES
        starts = (index * last // (BLOCKS - 1) for index in range(BLOCKS))
    for start in starts:
        yield slice(start, start + BLOCK_BYTES)
