"""Steps recorded once as a CUDA graph and replayed, so that their kernels need no launching.

A graph holds addresses and numbers as they were when it was recorded. So batches are copied into
the tensors that it reads, numbers that change lie in tensors of their own (`numbers.Scheduled`, the
learning rate of the optimizer), and losses are copied out. Random numbers need no care here: a
replay begins with the seed and the offset that torch's generator has at that moment, and so draws
what the same kernels, launched one by one, would draw (torch's note on CUDA graph-safe RNG states).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ...compiler.diagnostics import Code, failure
from ..data.batches import Batch
from ..memory import is_out_of_memory

T = TypeVar("T")
Losses = dict[str, Tensor]
Take = Callable[[Sequence[Batch]], Losses]
"""What is recorded: one turn on the pieces of a batch; it gives losses without gradients."""

WARM_UP = 3
"""How many steps are taken one by one first: cuDNN tries its kernels, and state is allocated.
Source: torch's notes on CUDA graphs."""


class Recorder(Protocol):
    """Records work on a device."""

    def beside(self) -> AbstractContextManager[None]:
        """Within, work is done where recording will be, and what comes after waits for it."""

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Note what work would do, without doing it.

        Returns: where its results will lie, and what does it then, each time anew.
        """


class Recorded:
    """Takes turns one by one at first, then replays one that was recorded."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.forget()

    def forget(self) -> None:
        """Record anew: tensors were replaced, or other parameters are trained."""
        self._warm, self._pieces, self._losses = 0, list[Batch](), Losses()
        self._replay: Callable[[], None] | None = None

    def __call__(self, pieces: Sequence[Batch], take: Take) -> Losses:
        """Take a turn. pieces: of the same shapes each time."""
        if self._warm < WARM_UP:
            self._warm += 1
            with self._recorder.beside():
                return take(pieces)
        if self._replay is None:
            self._record(pieces, take)
        assert self._replay is not None
        _fill(self._pieces, pieces)
        self._replay()
        return {name: value.clone() for name, value in self._losses.items()}

    def _record(self, pieces: Sequence[Batch], take: Take) -> None:
        self._pieces = [_like(piece) for piece in pieces]
        self._losses, self._replay = self._recorder.record(lambda: take(self._pieces))


def _like(piece: Batch) -> Batch:
    """Tensors of a graph for a piece; one that is both raw and value stays one."""
    made = {id(x): x.clone() for x in _tensors(piece)}
    return Batch(_mapped(piece.raw, made), _mapped(piece.values, made))


def _mapped(fields: Mapping[str, Tensor], made: Mapping[int, Tensor]) -> dict[str, Tensor]:
    return {name: made[id(x)] for name, x in fields.items()}


def _tensors(piece: Batch) -> list[Tensor]:
    return [*piece.raw.values(), *piece.values.values()]


def _fill(targets: Sequence[Batch], sources: Sequence[Batch]) -> None:
    pairs = {
        id(target): (target, source)
        for into, out in zip(targets, sources, strict=True)
        for target, source in zip(_tensors(into), _tensors(out), strict=True)
    }
    for target, source in pairs.values():
        assert target.shape == source.shape, "a graph's batches have one shape"
    torch._foreach_copy_([t for t, _ in pairs.values()], [s for _, s in pairs.values()])


class CudaRecorder:
    """Records on a stream of its own, as CUDA demands; the first steps use it too."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def beside(self) -> Iterator[None]:
        main = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            yield
        main.wait_stream(self._stream)

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """See `Recorder`. Raises: NetwrightError: R905: the work can't be recorded."""
        graph = torch.cuda.CUDAGraph()
        try:
            # `thread_local`: the thread that pins a loader's batches may go on meanwhile.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                results = work()
        except RuntimeError as error:
            before = error.__context__  # ending the recording fails too, and hides what went wrong
            first = before if isinstance(before, RuntimeError) else error
            if is_out_of_memory(first):
                raise first from error
            raise _not_recorded(first) from error
        return results, graph.replay


def _not_recorded(error: RuntimeError) -> Exception:
    found = str(error).partition("\n")[0]
    return failure(
        Code.R905,
        f"expected a step that a CUDA graph can hold, found: {found}",
        notes=["a graph holds no step that waits for the GPU, or whose tensors change in size"],
        help="set `training: {plan: {graphs: false}}`",
    )
