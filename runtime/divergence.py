"""Where a run stopped being finite: the step is repeated, and its layers are looked at in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.ir.graph import Graph
from ..compiler.source import Span
from .checkpoint import Checkpoint, taken_back
from .snapshot import first_bad_tensor
from .stepper import Stepper

REPEATED_STEPS = 2_000
"""How many steps are repeated at most to come to the one that diverged."""


class Diverged(Exception):  # noqa: N818 - a finding; the spec decides whether it is an error
    """A number of the run is not finite. step: the one that gave it, counted from 1."""

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step

    def error(self, place: Place, saved: int, rewinds: int) -> NetwrightError:
        """R904. saved: the step of the last good checkpoint."""
        notes = [place.text, f"the last good checkpoint is that of step {saved}"]
        if rewinds:
            times = "once" if rewinds == 1 else f"{rewinds} times"
            notes.append(f"the run was rewound {times} before")
        return failure(
            Code.R904,
            str(self),
            span=place.span,
            label="the first layer that is not finite" if place.span else "",
            notes=notes,
            help="lower `lr`, add `clip_norm: 1.0`, or look for extreme values in the data",
        )


def not_finite_at_start(stepper: Stepper, bad: str) -> NetwrightError:
    """R904 for a run whose first step can't be taken. bad: as `first_bad_tensor` names it."""
    network, _, name = bad.partition(".")
    graph = stepper.parts.graphs.get(network)
    span = _span_of_tensor(graph, name) if graph else None
    return failure(
        Code.R904,
        f"expected finite numbers to begin with, found NaN or infinity in `{bad}`",
        span=span,
        label="the layer that begins with it" if span else "",
        notes=["no step was taken, and no checkpoint was written"],
        help="look at how the layer begins: at its `init`, or at its operator if a plug-in has it",
    )


@dataclass(frozen=True)
class Place:
    """What was found. span: the layer in the spec, where it is a layer."""

    text: str
    span: Span | None = None


def locate(stepper: Stepper, diverged: Diverged, saved: Checkpoint) -> Place:
    """Repeat the steps from a checkpoint up to the one that diverged, and look at its layers.

    The stepper's weights are of no use afterwards.
    """
    with taken_back(saved):
        stepper.restore(saved)
    if diverged.step - stepper.state.step > REPEATED_STEPS:
        return Place(
            f"its layers were not looked at: that would repeat {diverged.step - stepper.state.step}"
            f" steps, and {REPEATED_STEPS} are the most"
        )
    _repeat(stepper, diverged.step - 1)
    return _look(stepper)


def _repeat(stepper: Stepper, last: int) -> None:
    """Take the steps up to one, or up to the first that leaves a tensor that is not finite."""
    while stepper.state.step < last:
        for batches in stepper.batches():
            stepper.step(batches)
            if stepper.state.step == last or _first_bad(stepper):
                return


def _first_bad(stepper: Stepper) -> str | None:
    """The first tensor that is not finite in any process."""
    return stepper.job.world.first(first_bad_tensor(stepper.parts))


def _look(stepper: Stepper) -> Place:
    world, step = stepper.job.world, stepper.state.step
    bad = _first_bad(stepper)
    if bad is not None:
        return Place(f"`{bad}` is not finite after step {step}: what was added to it is too large")
    with _watched(stepper.parts.networks) as found:
        for _ in stepper.probe(next(stepper.batches())):
            if world.any(bool(found)):
                break
    layer = world.first(found[0] if found else None)
    if layer:
        network, path, kind = layer
        span = _span(stepper.parts.graphs[network], path)
        return Place(f"the output of `{network}.{path}` ({kind}) is the first not finite", span)
    bad = _first_bad(stepper)
    if bad is not None:
        return Place(f"every layer's output is finite; the update makes `{bad}` infinite or NaN")
    return Place("every layer's output is finite when the step is repeated: the loss itself is not")


Found = tuple[str, str, str]
"""Network, path, class of a layer."""


@contextmanager
def _watched(networks: Mapping[str, nn.Module]) -> Iterator[list[Found]]:
    """Within, layers whose outputs are not finite are noted in the order they run."""
    found: list[Found] = []
    handles = [
        module.register_forward_hook(_note(found, network, path))
        for network, root in networks.items()
        for path, module in root.named_modules()
        if path and not any(module.children())
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _note(found: list[Found], network: str, path: str) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        tensors = output if isinstance(output, tuple) else (output,)
        floats = [t for t in tensors if isinstance(t, Tensor) and t.is_floating_point()]
        if not found and not all(bool(torch.isfinite(t).all()) for t in floats):
            found.append((network, path, type(module).__name__))

    return hook


def _span_of_tensor(graph: Graph, name: str) -> Span | None:
    """Where the layer that owns a tensor stands in the spec."""
    for node in graph.nodes:
        own = [node.weights[p.key].name for p in node.declared() if node.owns(p)]
        if name in own:
            return node.span
    return None


def _span(graph: Graph, path: str) -> Span | None:
    """Where a layer stands in the spec."""
    return next((node.span for node in graph.nodes if node.path == path), None)
