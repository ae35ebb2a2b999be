"""What a CUDA graph does to a step, on a CPU: operations are recorded once and replayed blindly.

As in a graph, a replay knows nothing of Python: it repeats the recorded operations on the tensors
and the numbers that they had, and recording itself changes no tensor and draws no random number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")


class Tape:
    """A `Recorder` of netwright.runtime.planning.cuda_graph."""

    made: list[Tape] = []

    def __init__(self, device: torch.device) -> None:
        self.replays = self.recordings = 0
        Tape.made.append(self)

    @contextmanager
    def beside(self) -> Iterator[None]:
        yield

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        self.recordings += 1
        mode, state = _Recording(), torch.get_rng_state()
        with mode:
            results = work()
        mode.undo()
        torch.set_rng_state(state)

        def replay() -> None:
            self.replays += 1
            mode.replay()

        return results, replay


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._own: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._keep((args, kwargs))  # all of them: batch norm does not say what it overwrites
        result = func(*args, **kwargs)
        made = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
        self._own.update(x.untyped_storage().data_ptr() for x in made if not func.is_view)
        self._calls.append((func, args, kwargs, made))
        return result

    def _keep(self, value: Any) -> None:
        """Remember what an operation may overwrite, unless it was made while recording."""
        for x in tree_leaves(value):
            storage = x.untyped_storage().data_ptr() if isinstance(x, Tensor) else None
            if storage is not None and storage not in self._own and id(x) not in self._before:
                self._before[id(x)] = (x, x.detach().clone())

    def undo(self) -> None:
        with torch.no_grad():
            for tensor, before in self._before.values():
                tensor.copy_(before)

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, made in self._calls:
                found = [x for x in tree_leaves(func(*args, **kwargs)) if isinstance(x, Tensor)]
                for target, x in zip(made, found, strict=True):
                    if target.data_ptr() != x.data_ptr():
                        target.copy_(x)
