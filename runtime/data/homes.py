"""Where the samples of a part wait for their turn: on the device, or behind a loader.

`Resident` keeps the part on the device, so that a batch is one indexing operation there. `Loader`
leaves it where it is (in memory, in a mapped file, in image files) and brings batches ahead of
their use, with processes of its own where reading costs more than copying.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ..distributed.joining import processes_here
from ..planning.layout import formatted
from .columns import Column, Columns, Indices, storage_of, total_bytes
from .packed import Packed, torch_type
from .room import available_memory, cores

Home = Literal["device", "loader"]
CHANNELS_LAST = torch.channels_last
Raw = dict[str, Tensor]
"""Field -> some samples as stored, on the device."""

DEVICE_SHARE = 0.5
"""The part of the free memory of the device that the data may take."""

BLOCK_BYTES = 1 << 20
"""How much is picked at once from a part on the device, to be cut into batches; measured on a CPU,
whose caches hold about this much."""

PREFETCH = 4
"""How many batches each process of a loader brings ahead."""

MAPPED_WORKERS, MOST_WORKERS = 4, 16
"""More processes than these seldom feed a device faster: ones that copy from mapped files, which
wait for the disk alone, and ones that decode."""


def cut(x: Tensor, size: int) -> tuple[Tensor, ...]:
    """Views of `size` samples each, the last of what is left."""
    return torch.split(x, size)


class Source(Protocol):
    """Gives samples in a wanted order."""

    def blocks(self, indices: Tensor, size: int) -> Iterator[Raw]:
        """The samples of the indices, i64[M] on the CPU, in pieces that hold whole batches.

        size: samples in a batch; only the last piece may end with a smaller one.
        """

    def close(self) -> None:
        """Let go of processes, if there are any."""


def choose_home(columns: Columns, device: torch.device) -> Home:
    """On the device where the part fits there; otherwise, and for files to decode, a loader."""
    fits = total_bytes(columns) <= device_room(device)
    return "device" if fits and storage_of(columns) != "files" else "loader"


def choose_workers(columns: Columns) -> int:
    """How many processes a loader pays for: none for copies, most cores for decoding files."""
    most = {"memory": 0, "mapped": MAPPED_WORKERS, "files": MOST_WORKERS}[storage_of(columns)]
    return min(most, max(1, cores() - 1))


def device_room(device: torch.device) -> int:
    """How many bytes of data may live on the device."""
    if device.type != "cuda":
        return int(available_memory() * DEVICE_SHARE) // processes_here()
    free, _ = torch.cuda.mem_get_info(device)
    return int(free * DEVICE_SHARE)


class Resident:
    """The whole part on the device.

    Args:
        layout: of images; with channels_last they are kept so, since changing one batch after the
            other takes longer than everything else that is done with them here.
    """

    def __init__(self, columns: Columns, device: torch.device, layout: torch.memory_format) -> None:
        self._device = device
        self._packed = Packed({n: c for n, c in columns.items() if c.extent is not None}, device)
        plain = {name: c for name, c in columns.items() if c.extent is None}
        self._last = {
            name for name, c in plain.items() if len(c.shape) == 4 and layout is CHANNELS_LAST
        }
        self._rows = {
            name: _on_device(column, device, last=name in self._last)
            for name, column in plain.items()
        }
        self._sample = sum(t[:1].numel() * max(4, t.element_size()) for t in self._rows.values())

    def blocks(self, indices: Tensor, size: int) -> Iterator[Raw]:
        batches = max(1, BLOCK_BYTES // max(1, size * self._sample))
        if not self._packed.is_empty:
            batches = 1  # each is padded to its own longest sample
        places, step = indices.to(self._device), size * batches
        for own, some in zip(cut(indices, step), cut(places, step), strict=True):
            picked = {name: rows.index_select(0, some) for name, rows in self._rows.items()}
            for name in self._last:
                picked[name] = picked[name].permute(0, 3, 1, 2)
            yield picked | self._packed.pick(own, some)

    def close(self) -> None:
        """There are no processes."""


def _on_device(column: Column, device: torch.device, *, last: bool) -> Tensor:
    """A column on the device; with `last`, images as [N, H, W, C]."""
    held = column.in_memory()
    if held is not None and not last:
        return torch.from_numpy(np.ascontiguousarray(held)).to(device)
    sizes = column.shape
    shape = (sizes[0], *sizes[2:], sizes[1]) if last else sizes
    result = torch.empty(shape, dtype=torch_type(column.dtype), device=device)
    for start, values in column.chunks():
        tensor = _tensor(values)
        result[start : start + len(values)] = tensor.permute(0, 2, 3, 1) if last else tensor
    return result


def _tensor(values: np.ndarray[Any, Any]) -> Tensor:
    """Values as a tensor that may be written to, as torch demands of what it takes from numpy."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


class Loader:
    """Brings batches from where the part lies.

    Args:
        workers: processes that read ahead; 0 reads in this one, when a batch is asked for.
    """

    def __init__(
        self,
        columns: Columns,
        device: torch.device,
        layout: torch.memory_format,
        workers: int,
    ) -> None:
        self._device, self._order = device, _Order()
        self._cuda = device.type == "cuda"
        self._loader: DataLoader[Any] | None = DataLoader(
            _Samples(columns, layout),
            batch_size=None,  # an index of `_Order` names a whole batch
            sampler=self._order,
            collate_fn=_as_it_is,
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            persistent_workers=workers > 0,
            pin_memory=self._cuda,
            worker_init_fn=_ignore_interrupts,
            generator=torch.Generator(),  # or it would draw from the one that dropout draws from
        )

    def blocks(self, indices: Tensor, size: int) -> Iterator[Raw]:
        assert self._loader is not None, "the loader is closed"
        rows = self._order.rows = [row.numpy() for row in cut(indices, size)]
        try:
            for found in self._loader:
                assert self._order.rows is rows, "a loader serves one iteration at a time"
                if isinstance(found, Failed):
                    raise NetwrightError(*found.diagnostics)
                yield {
                    name: tensor.to(self._device, non_blocking=self._cuda)
                    for name, tensor in found.items()
                }
        except RuntimeError as error:
            raise _ended(error) from error

    def close(self) -> None:
        """End the processes; the loader can't be used afterwards."""
        self._loader = None


@dataclass(frozen=True)
class Failed:
    """What a loader's process found wrong, told where it is raised again."""

    diagnostics: tuple[Diagnostic, ...]


class _Order:
    """The batches of the iteration to come, by indices: what torch calls a sampler."""

    def __init__(self) -> None:
        self.rows: list[Indices] = []

    def __iter__(self) -> Iterator[Indices]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class _Samples(TorchDataset[Any]):
    """A part of the data whose items are batches, for torch's loader."""

    def __init__(self, columns: Columns, layout: torch.memory_format) -> None:
        self._columns, self._layout = dict(columns), layout

    def __getitem__(self, indices: Indices) -> Raw | Failed:
        try:
            return {
                name: formatted(_tensor(column.batch(indices)), self._layout)
                for name, column in self._columns.items()
            }
        except NetwrightError as error:
            return Failed(tuple(error.diagnostics))


def _as_it_is(found: Any) -> Any:
    return found


def _ignore_interrupts(worker: int) -> None:
    """Let signals to the trainer's whole group pass by: it finishes its step with these.

    Ctrl-C reaches every process of a terminal, and a launcher ends processes by their groups.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()


def _ended(error: RuntimeError) -> Exception:
    """A process that the system ended, which nearly always is for lack of memory."""
    if "DataLoader worker" not in str(error):
        return error
    return failure(
        Code.R906,
        "expected a process that loads data to go on, found that it was ended",
        notes=[str(error).partition("\n")[0]],
        help="the system ends processes when memory or /dev/shm is short: use fewer `workers` "
        "or a smaller batch",
    )
