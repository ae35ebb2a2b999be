"""Running out of memory, as a diagnostic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..compiler.diagnostics import Code, failure


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Turn a failed allocation into R906; as a decorator it covers a whole function.

    torch reports one on a GPU as `torch.OutOfMemoryError` and one on a CPU as a plain
    RuntimeError, ONNX Runtime as an error of its own, and numpy as `MemoryError`.

    Args:
        what: what needs the memory: `training`.
    Raises: NetwrightError: R906.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise failure(
            Code.R906,
            f"{what} needs more memory than there is",
            notes=[_reason(error)],
            help="make the batch, the input or the network smaller, or use a device with more",
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch, ONNX Runtime or numpy reports an allocation that failed."""
    known = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return known or any(words in str(error) for words in ("allocate memory", "out of memory"))


def _reason(error: Exception) -> str:
    """The first two sentences of a library's text; what follows is advice for programmers."""
    line = str(error).partition("\n")[0].rpartition("DefaultCPUAllocator: ")[2]
    return ". ".join(line.split(". ")[:2]) or type(error).__name__
