"""Samples of different lengths on the device, without their padding.

A batch is one indexing operation for each field. How long it becomes is known on the CPU, so that
nothing waits for the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .columns import Column, Columns
from .extents import Extent


class Packed:
    """Fields with an extent, on the device."""

    def __init__(self, columns: Columns, device: torch.device) -> None:
        groups: dict[tuple[str, str], dict[str, Column]] = {}
        for name, column in columns.items():
            assert column.extent is not None
            groups.setdefault(column.extent.group, {})[name] = column
        self._groups = [_Group(found, device) for found in groups.values()]

    @property
    def is_empty(self) -> bool:
        return not self._groups

    def pick(self, indices: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Samples, padded with 0 to the longest of them.

        indices: i64[B] on the CPU. places: the same on the device.
        Returns: field -> [B, T, ...].
        """
        picked: dict[str, Tensor] = {}
        for group in self._groups:
            picked |= group.pick(indices, places)
        return picked


class _Group:
    """Fields of the same lengths, whose elements are found at the same places."""

    def __init__(self, columns: Columns, device: torch.device) -> None:
        extent = next(iter(columns.values())).extent
        assert extent is not None
        self._extent: Extent = extent
        ends = np.cumsum(extent.lengths)
        self._total = int(ends[-1])
        self._starts = torch.from_numpy(ends - extent.lengths).to(device)
        self._ends = torch.from_numpy(ends).to(device)
        self._rows = {name: _rows(c, self._total, device) for name, c in columns.items()}

    def pick(self, indices: Tensor, places: Tensor) -> dict[str, Tensor]:
        size = self._extent.size(indices.numpy())
        steps = torch.arange(size, device=places.device)
        within = self._starts[places, None] + steps
        found = torch.where(within < self._ends[places, None], within, self._total).view(-1)
        return {
            name: rows.index_select(0, found).view(len(places), size, *rows.shape[1:])
            for name, rows in self._rows.items()
        }


def _rows(column: Column, total: int, device: torch.device) -> Tensor:
    """All elements one after the other, and a last row of 0, which padding is taken from."""
    shape = (total + 1, *column.shape[2:])
    result = torch.zeros(shape, dtype=torch_type(column.dtype), device=device)
    start = 0
    for _, values in column.elements():
        result[start : start + len(values)] = torch.from_numpy(
            np.require(values, requirements=["C", "W"])
        )
        start += len(values)
    return result


def torch_type(dtype: np.dtype[Any]) -> torch.dtype:
    """torch's element type of a column."""
    return torch.from_numpy(np.empty(0, dtype)).dtype
