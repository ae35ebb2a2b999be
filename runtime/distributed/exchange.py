"""Averages the gradients of one turn over all processes, by torch's DistributedDataParallel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ...compiler.ir.graph import Ema, Graph
from ..objectives.base import Losses, Objective
from .world import World


class Exchange:
    """What a turn's backward passes go through, where there are several processes.

    DistributedDataParallel wraps the parameters that the turn moves, but not the forward passes: it
    is called with the losses that they gave, and gives them on. It works through hooks of the
    parameters, so that it averages while the backward pass goes on.

    It is made for the first losses, since these show which parameters they depend on: it must
    look for unused ones in each step where there are any.

    Args:
        moved: the networks that the turn moves, as far as they are trained.
    """

    def __init__(self, moved: nn.Module, world: World) -> None:
        self._moved, self._world = moved, world
        self._wrapped: DistributedDataParallel | None = None

    def renew(self) -> None:
        """Begin anew with the parameters that are trained from now on."""
        self._wrapped = None

    @contextmanager
    def passing(self, losses: Losses, *, last: bool) -> Iterator[Losses]:
        """Within, the backward pass of the yielded losses averages the gradients.

        last: whether it is the last piece of the step; the gradients of pieces before it stay in
            this process and are averaged with those of the last.
        """
        with _quiet():
            wrapped = self._wrapped = self._wrapped or self._wrap(losses["loss"])
            with nullcontext() if last else wrapped.no_sync():
                yield wrapped(losses)

    def _wrap(self, loss: Tensor) -> DistributedDataParallel:
        trained = [p for p in self._moved.parameters() if p.requires_grad]
        reached = _reached(loss)
        has_unused = self._world.any(any(p not in reached for p in trained))
        wrapped = DistributedDataParallel(
            _Carrier(trained),
            init_sync=False,  # the stepper has done it; now it would change weights in use
            find_unused_parameters=has_unused,
            gradient_as_bucket_view=True,
        )
        if not has_unused:
            _settle(wrapped, trained)
        return wrapped


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, torch does not warn that a gradient lies in memory otherwise than its parameter.

    The kernel of a convolution over one channel lies alike in both layouts, and its gradient names
    the other one. It is copied then, which costs nothing to speak of.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        yield


class _Carrier(nn.Module):
    """Holds parameters, and gives on what it is called with.

    It has no buffers: the stepper takes care of those, after the last piece of a step too.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        super().__init__()
        self.held = nn.ParameterList(parameters)

    def forward(self, losses: Losses) -> Losses:
        return losses


def _settle(wrapped: DistributedDataParallel, trained: Sequence[Tensor]) -> None:
    """Take one backward pass of nothing, after which the layout of messages stays.

    torch arranges them anew by the order of the first pass. The sum of three or more processes is
    rounded by that layout, so that a resumed run would differ in the last digits.
    """
    for parameter in trained:
        assert parameter.grad is None, "a step begins without gradients"
    nothing = torch.stack([parameter.sum() for parameter in trained]).sum()
    torch.autograd.backward(wrapped({"loss": nothing})["loss"])
    for parameter in trained:
        parameter.grad = None


def _reached(loss: Tensor) -> set[Tensor]:
    """The parameters that a loss depends on."""
    found: set[Tensor] = set()
    nodes, seen = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        nodes += [before for before, _ in node.next_functions]
    return found


def changing_tensors(graphs: Mapping[str, Graph], objective: Objective) -> list[Tensor]:
    """What forward passes change, such as the statistics of batch norm.

    Each process sees other samples. After a step all of them have what rank 0 has, which is what
    checkpoints hold.
    """
    found = list(objective.state.values())
    for network, module in objective.networks.items():
        state = module.state_dict(keep_vars=True)
        for name, declared in graphs[network].tensors().items():
            if not declared.trainable and declared.ema is not Ema.CONSTANT:
                found.append(state[name])
    return found


def shared_tensors(objective: Objective) -> list[Tensor]:
    """Everything that all processes begin with."""
    networks = [t for m in objective.networks.values() for t in m.state_dict().values()]
    return [*networks, *objective.state.values()]
