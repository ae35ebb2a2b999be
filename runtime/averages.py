"""An exponential moving average of networks, by the policy that each tensor declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..compiler.ir.graph import Ema, Graph
from ..compiler.objectives.averaging import Averaging


class Averages:
    """The averaged tensors of networks, beside the trained ones.

    Weights and batch-norm statistics are averaged, counters copied. Tables are constant: averaging
    them would change what they say, and they are no part of this.
    """

    def __init__(
        self, settings: Averaging, graphs: Mapping[str, Graph], networks: Mapping[str, nn.Module]
    ) -> None:
        self._settings = settings
        self._live: dict[Ema, list[Tensor]] = {Ema.AVERAGE: [], Ema.COPY: []}
        self._kept: dict[Ema, list[Tensor]] = {Ema.AVERAGE: [], Ema.COPY: []}
        self._names: dict[str, Tensor] = {}
        for network, module in networks.items():
            state = module.state_dict(keep_vars=True)
            for name, declared in graphs[network].tensors().items():
                if declared.ema is not Ema.CONSTANT:
                    self._keep(f"{network}.{name}", state[name], declared.ema)

    def _keep(self, name: str, live: Tensor, policy: Ema) -> None:
        kept = live.detach().clone()
        self._live[policy].append(live)
        self._kept[policy].append(kept)
        self._names[name] = kept

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after the optimizer step that makes `step` of them."""
        decay = self._settings.decay_at(step)
        averaged, copied = self._kept[Ema.AVERAGE], self._kept[Ema.COPY]
        if averaged:
            torch._foreach_lerp_(averaged, self._live[Ema.AVERAGE], 1 - decay)
        if copied:
            torch._foreach_copy_(copied, self._live[Ema.COPY])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the networks hold the averages. Nothing is copied: the memory is exchanged."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for policy in (Ema.AVERAGE, Ema.COPY):
            for live, kept in zip(self._live[policy], self._kept[policy], strict=True):
                live.data, kept.data = kept.data, live.data

    def memory(self) -> dict[str, Tensor]:
        """`<network>.<tensor>` -> its average, for a checkpoint."""
        return dict(self._names)

    @torch.no_grad()
    def remember(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the averages that a checkpoint holds.

        Raises: KeyError: it lacks one. ValueError: one has another shape or element type.
        """
        for name, kept in self._names.items():
            stored = tensors[name]
            if (stored.shape, stored.dtype) != (kept.shape, kept.dtype):
                raise ValueError(f"`{name} (average)` is {stored.dtype} {list(stored.shape)}")
            kept.copy_(stored)
