"""A file that stays open while its values are read where they are touched. Torch-free."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import changed, damaged, unreadable


class State(NamedTuple):
    """What an open file is known by. size: in bytes. written: when it was last, in ns."""

    size: int
    written: int


class OpenedFile:
    """An open file that must stay as it was when it was opened first.

    The system ends a process that touches mapped bytes which its file no longer has (SIGBUS), so
    whoever reads them asks `check` before. A file that is replaced by another one of its name is
    still there for those who have it open, and needs no check.

    Pickled, it goes by its path, its state and no descriptor: another process opens it once it is
    asked to, and finds a file that was replaced meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._state = self._found()

    def check(self) -> None:
        """Raises: NetwrightError: F602: the file was written to or cut short, or is gone."""
        found = self._found()
        if found != self._state:
            raise changed(self._path, self._state.size, found.size)

    def mapped(
        self,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        offset: int,
        order: Literal["C", "F"],
    ) -> NDArray[Any]:
        """The array whose elements begin `offset` bytes into the file.

        Raises: NetwrightError: F602: it can't be mapped, or ends beyond the file.
        """
        try:
            with os.fdopen(self._opened(), "rb", closefd=False) as file:
                return np.memmap(file, dtype, "r", offset, shape, order)
        except OSError as error:
            raise unreadable(self._path, error) from error
        except ValueError as error:
            self.check()  # it may have been whole when it was opened
            raise damaged(self._path, "it ends before its values do") from error

    def _found(self) -> State:
        try:
            now = os.fstat(self._opened())
        except OSError as error:
            raise unreadable(self._path, error) from error
        return State(now.st_size, now.st_mtime_ns)

    def _opened(self) -> int:
        if self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            weakref.finalize(self, os.close, descriptor).atexit = False
            self._descriptor = descriptor
        return self._descriptor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None}
