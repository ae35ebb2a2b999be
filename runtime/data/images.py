"""Image files as a column: each is decoded when it is taken, or all are decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, NetwrightError, failure
from ..images import BadImage, Gone, check_image, open_image
from .columns import Array, ArrayColumn, Column, Indices, Storage
from .errors import gone, unreadable
from .fingerprint import described, fingerprint
from .room import cores

BUNCH = 64
"""How many files a thread takes at a time."""

NAMED = 5
"""How many files a message names."""

Unreadable = list[tuple[int, str]]
"""The index of each file that can't be used, and why."""


@dataclass(frozen=True)
class Form:
    """What every image becomes: u8[channels, height, width]. `fit` as in the settings."""

    channels: int
    height: int
    width: int
    fit: Literal["resize", "crop", "pad"] = "resize"

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    def read(self, path: Path) -> NDArray[np.uint8]:
        """An image file. Raises: BadImage."""
        from PIL import Image, ImageOps

        size, smooth = (self.width, self.height), Image.Resampling.BILINEAR
        # Twice the size keeps what the filter needs of an image that is made much smaller.
        image = open_image(path, self.channels, (2 * self.width, 2 * self.height))
        if image.size != size:
            if self.fit == "crop":
                image = ImageOps.fit(image, size, smooth)
            elif self.fit == "pad":
                image = ImageOps.pad(image, size, smooth)
            else:
                image = image.resize(size, smooth)
        pixels = np.asarray(image).reshape(self.height, self.width, self.channels)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


class ImageColumn(Column):
    """Images that stay in their files until they are taken.

    Args:
        root: the folder. names: of the files in it, relative to it.
    """

    storage: Storage = "files"
    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, root: Path, names: Sequence[str], form: Form) -> None:
        self._root, self._form, self.file = root, form, root.name
        # One block of bytes, which loader processes share; a list of texts each would copy.
        self._names = np.array([os.fsencode(name) for name in names], dtype=np.bytes_)
        self.shape = (len(names), *form.shape)

    def name(self, index: int) -> str:
        return os.fsdecode(self._names[index])

    def where(self, index: int) -> str:
        return f"`{self.name(index)}`"

    def take(self, indices: Indices) -> Array:
        result = np.empty((len(indices), *self._form.shape), np.uint8)
        for row, index in enumerate(indices.tolist()):
            try:
                result[row] = self._form.read(self._root / self.name(index))
            except Gone as error:
                raise gone(self._root / self.name(index)) from error
            except BadImage as error:
                raise no_images(self._root, [(self.name(index), str(error))]) from error
        return result

    def fingerprint(self) -> str:
        """Over each file's name and size, and the form; their bytes are not read.

        Dates do not count: a data set that was copied is the same.

        Raises: NetwrightError: F602: a file is gone.
        """
        sizes = np.zeros(len(self), np.int64)

        def look(index: int) -> None:
            path = self._root / self.name(index)
            try:
                sizes[index] = path.stat().st_size
            except FileNotFoundError as error:
                raise gone(path) from error
            except OSError as error:
                raise unreadable(path, error) from error

        _each(len(self), look)
        about = f"{described(self.dtype, self.shape)} {self._form.fit} {self._names.dtype.str}"
        return fingerprint(about, [np.ascontiguousarray(self._names), sizes])

    def check(self, *, whole: bool) -> Unreadable:
        """Try every file: its header, or all of it."""
        look: Callable[[Path], object] = self._form.read if whole else check_image
        return _each(len(self), lambda index: look(self._root / self.name(index)))

    def decoded(self) -> tuple[Column, Unreadable]:
        """All images in memory; those that can't be read are black."""
        pixels = np.zeros(self.shape, np.uint8)

        def read(index: int) -> None:
            pixels[index] = self._form.read(self._root / self.name(index))

        return _Decoded(pixels, self), _each(len(self), read)


class _Decoded(ArrayColumn):
    """Images in memory that know their files."""

    def __init__(self, pixels: Array, files: ImageColumn) -> None:
        super().__init__(pixels, files.file)
        self._files = files

    def fingerprint(self) -> str:
        """That of the files: whether there is room to decode them changes from day to day."""
        return self._files.fingerprint()

    def where(self, index: int) -> str:
        return self._files.where(index)


def _each(count: int, act: Callable[[int], object]) -> Unreadable:
    """Do something with every file, in threads: decoders let go of Python's lock."""
    ranges = [range(start, min(start + BUNCH, count)) for start in range(0, count, BUNCH)]
    with ThreadPoolExecutor(cores()) as pool:
        return [found for some in pool.map(partial(_tried, act), ranges) for found in some]


def _tried(act: Callable[[int], object], indices: range) -> Unreadable:
    found = []
    for index in indices:
        try:
            act(index)
        except BadImage as error:
            found.append((index, str(error)))
    return found


def no_images(root: Path, found: Sequence[tuple[str, str]]) -> NetwrightError:
    """What files of a folder are no images, and why."""
    return failure(
        Code.F602,
        f"expected images in `{root}`, found {listed(found)}",
        help="mend or remove them, or leave out what can't be read with `unreadable: skip`",
    )


def listed(found: Sequence[tuple[str, str]]) -> str:
    """Files with what each is in place of a usable image: the first few."""
    shown = "; ".join(f"`{name}`, {reason}" for name, reason in found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    count = f"{len(found)} files" if len(found) > 1 else "a file"
    return f"{count} that can't be read: {shown}{more}"
