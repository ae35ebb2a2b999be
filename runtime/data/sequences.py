"""Images as sequences, one pixel or one row after the other. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...compiler.diagnostics import Code, failure
from ...compiler.objectives.fields import Field
from ...compiler.objectives.sequence_sources import SequentialImage
from ...compiler.objectives.source import Source
from .columns import Array, Column, Columns, Indices
from .fingerprint import described, fingerprint
from .raw import RawData

Fields = Mapping[str, Field]
Read = Callable[[Source, Fields, Path], RawData]


def read_sequential_image(
    settings: SequentialImage, fields: Fields, folder: Path, read: Read
) -> RawData:
    """The samples of the source of images, with the images as sequences.

    Args:
        read: reads that source.
    Raises: NetwrightError: F601: the field holds no images; and what `read` raises.
    """
    raw = read(settings.images, fields, folder)
    test = None if raw.test is None else _replaced(raw.test, settings)
    return replace(raw, train=_replaced(raw.train, settings), test=test)


def _replaced(columns: Columns, settings: SequentialImage) -> Columns:
    return {**columns, settings.field: SequenceColumn(columns[settings.field], settings)}


class SequenceColumn(Column):
    """The images of another column, [N, H, W] or [N, C, H, W], as sequences [N, T, F].

    Raises: NetwrightError: F601: it has other axes.
    """

    def __init__(self, column: Column, settings: SequentialImage) -> None:
        if len(column.shape) not in (3, 4):
            raise failure(
                Code.F601,
                f"expected images [N, H, W] or [N, C, H, W] in `{settings.field}`, found "
                f"{column.dtype}[{', '.join(map(str, column.shape))}]",
                help="name the field that holds images: `field: ...`",
            )
        self._column, self._by_row = column, settings.by == "row"
        self.dtype, self.storage, self.file = column.dtype, column.storage, column.file
        count, *_, height, width = column.shape
        channels = column.shape[1] if len(column.shape) == 4 else 1
        steps = (height, channels * width) if self._by_row else (height * width, channels)
        self.shape = (count, *steps)
        self._order = _order(steps[0], settings.permutation)

    def take(self, indices: Indices) -> Array:
        return self._sequences(self._column.take(indices))

    def fingerprint(self) -> str:
        """Over that of the images, and how they are read."""
        order = [] if self._order is None else [self._order]
        about = described(self.dtype, self.shape)
        return fingerprint(about, [self._column.fingerprint().encode(), *order])

    def _slice(self, start: int, stop: int) -> Array:
        return self._sequences(self._column._slice(start, stop))

    def _sequences(self, images: Array) -> Array:
        if images.ndim == 3:
            images = images[:, None]
        last = images.transpose(0, 2, 1, 3) if self._by_row else images.transpose(0, 2, 3, 1)
        steps: Array = np.ascontiguousarray(last).reshape(len(images), *self.shape[1:])
        return steps if self._order is None else steps[:, self._order]

    def where(self, index: int) -> str:
        return self._column.where(index)


def _order(steps: int, seed: int | None) -> Any:
    """One order of the steps for all samples; None as they lie."""
    return None if seed is None else np.random.default_rng(seed).permutation(steps)
