"""torch.compile for the steps of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ...compiler.diagnostics import Code, failure

ADVICE = "Set TORCHDYNAMO_VERBOSE"
"""How torch ends its messages, with a step for its own developers."""


def compile_module(module: nn.Module, *, varies: bool = False) -> None:
    """Let calls of a module run through torch.compile; its own tensors and their names stay.

    It is compiled at its first call. Modules inside it that are called by others, as evaluation
    does, are not compiled for them. Random numbers are those of steps that are not compiled.

    varies: whether batches differ in length: it is compiled once more then, for any length.
    """
    module.compile(dynamic=None if varies else False, options={"fallback_random": True})


@contextmanager
def compiling() -> Iterator[None]:
    """Turn what torch.compile can't do into R905.

    Raises: NetwrightError: R905.
    """
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import

    try:
        yield
    except TorchDynamoException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        found = lines[0] if lines else type(error).__name__
        raise failure(
            Code.R905,
            f"expected torch.compile to translate the step, found: {found}",
            notes=[line for line in lines[1:3] if not line.startswith(ADVICE)],
            help="set `training: {plan: {compile: false}}`",
        ) from error
