"""The processes that train together, as torchrun started them; one, where it did not.

What they decide together is decided here: when to look and to stop, what rank 0 found or wrote,
whether one of them failed. With one process all of it is free. Torch-free where it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ...compiler.diagnostics import Diagnostic, NetwrightError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class Agreed(NetwrightError):  # noqa: N818 - as the one below
    """A failure that every process knows of; this one has the diagnostics and tells them."""


class Elsewhere(Exception):  # noqa: N818 - not a failure of this process
    """A failure that every process knows of; another one has the diagnostics."""


@dataclass(frozen=True)
class World:
    """This process among those of a run.

    rank: 0 <= rank < size; rank 0 is the one that writes and shows. local_rank: on this machine.
    store: the key-value store of the group; None where there is no group.

    Every method but the properties must be called by all processes, in the same order.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    store: Any = field(default=None, repr=False, compare=False)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def agree(self, signal: int | None, looks: bool) -> tuple[int | None, bool]:
        """What all processes do after this step: stop for a signal that one got; look.

        Args:
            signal: its number, if this process got one. looks: whether rank 0 finds it is time.
        """
        if self.is_alone:
            return signal, looks
        found, time = self._largest([signal or 0, int(looks and self.is_main)])
        return found or None, bool(time)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return flag if self.is_alone else bool(self._largest([int(flag)])[0])

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, the same bits in each."""
        if self.is_alone:
            return values
        import torch.distributed as dist

        result = values.detach().clone()
        dist.all_reduce(result)
        return result

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over all processes, the same bits in each."""
        return values if self.is_alone else self.total(values) / self.size

    def wait(self) -> None:
        """Until every process has come here."""
        self.any(False)

    def first(self, value: T | None) -> T | None:
        """What the process of the lowest rank found that found something; None if none did.

        value: None, or what JSON can hold.
        """
        if self.is_alone:
            return value
        source = next((r for r, has in enumerate(self._gather(int(value is not None))) if has), -1)
        if source < 0:
            return None
        found: T = self._told_by(source, value)
        return found

    def lead(self, do: Callable[[], T]) -> T:
        """What `do` gives in the process of rank 0, which alone runs it: what JSON can hold.

        Raises: Agreed, Elsewhere: it failed.
        """
        if self.is_alone:
            return do()
        return self._led(do) if self.is_main else self._followed()

    def _led(self, do: Callable[[], T]) -> T:
        try:
            value = do()
        except NetwrightError as error:
            self._told_by(0, None)
            raise Agreed(*error.diagnostics) from error
        self._told_by(0, [value])
        return value

    def _followed(self) -> Any:
        found = self._told_by(0, None)
        if found is None:
            raise Elsewhere
        return found[0]

    def together(self, do: Callable[[], T]) -> T:
        """What `do` gives here, once no process has failed at it; `do` exchanges nothing.

        Raises: Agreed, Elsewhere: some failed. A failure of all is told once, others with ranks.
        """
        if self.is_alone:
            return do()
        try:
            value = do()
        except NetwrightError as error:
            raise self._teller(error) from error
        if any(self._gather(0)):
            raise Elsewhere
        return value

    def _teller(self, error: NetwrightError) -> Exception:
        own = _digest(error)
        found = self._gather(own)
        ranks = [rank for rank, digest in enumerate(found) if digest == own]
        if self.rank != ranks[0]:
            return Elsewhere()
        is_common = len(ranks) == self.size
        return Agreed(*(error.diagnostics if is_common else self.located(error, ranks)))

    def located(self, error: NetwrightError, ranks: Iterable[int]) -> list[Diagnostic]:
        """The diagnostics of an error, with the processes that found it."""
        note = f"found in the process of rank {', '.join(map(str, ranks))}, of {self.size} in all"
        return [replace(d, notes=(*d.notes, note)) for d in error.diagnostics]

    def match(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give tensors the values that they have in the process of rank 0; in few messages."""
        if self.is_alone:
            return
        import torch
        import torch.distributed as dist

        kinds: dict[torch.dtype, list[torch.Tensor]] = {}
        for tensor in tensors:
            kinds.setdefault(tensor.dtype, []).append(tensor.detach())
        with torch.no_grad():
            for alike in kinds.values():
                flat = torch.cat([tensor.flatten() for tensor in alike])
                dist.broadcast(flat, 0)
                parts = torch.split(flat, [tensor.numel() for tensor in alike])
                for tensor, part in zip(alike, parts, strict=True):
                    tensor.copy_(part.view(tensor.shape))

    def _largest(self, numbers: list[int]) -> list[int]:
        import torch
        import torch.distributed as dist

        values = torch.tensor(numbers)
        dist.all_reduce(values, op=dist.ReduceOp.MAX)
        result: list[int] = values.tolist()
        return result

    def _gather(self, number: int) -> list[int]:
        """The number of each process, by rank."""
        import torch
        import torch.distributed as dist

        own = torch.tensor([number])
        found = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(found, own)
        return [int(one) for one in found]

    def _told_by(self, source: int, value: Any) -> Any:
        """The value that one process has, in all of them; JSON, so that nothing is unpickled."""
        import torch
        import torch.distributed as dist

        data = bytearray(json.dumps(value).encode()) if self.rank == source else bytearray()
        size = torch.tensor([len(data)])
        dist.broadcast(size, source)
        if not data:
            data = bytearray(int(size))
        text = torch.frombuffer(data, dtype=torch.uint8)
        dist.broadcast(text, source)
        return json.loads(data)


def _digest(error: NetwrightError) -> int:
    """A number that is the same for the same failure, never 0."""
    text = "\n".join(f"{d.code.name} {d.message}" for d in error.diagnostics)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") + 1


ALONE = World()
