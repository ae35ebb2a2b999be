"""`training.init_from`: stored weights for networks, found and put in place.

`find` compares names and shapes alone and needs no torch, so that mistakes are told at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.ir.graph import Graph
from ...compiler.objectives.initial_weights import InitFrom
from ...compiler.suggest import listing
from .files import Stored, open_weights
from .matching import Match, match_names
from .problems import SHOWN, problems_of

if TYPE_CHECKING:
    import torch
    from torch import nn


def find(settings: InitFrom, graphs: Mapping[str, Graph], folder: Path) -> Match:
    """Look up the tensors of networks in the source that the settings name.

    Args:
        graphs: the networks that are trained. folder: what the path is relative to.
    Raises: NetwrightError: F602: no source of weights. F603: it does not fit. R901, B801: a run
        or bundle is damaged.
    """
    source = open_weights(folder / settings.path)
    match = match_names(settings, settings.chosen(graphs), source)
    problems = list(problems_of(match))
    if problems:
        raise NetwrightError(*problems)
    return match


@dataclass(frozen=True)
class Report:
    """What networks began with. changed: conversion of element types -> how many tensors."""

    match: Match
    changed: Mapping[str, int]

    def lines(self) -> Iterator[str]:
        """For people."""
        match = self.match
        taken = sum(len(tensors) for tensors in match.taken.values())
        yield (
            f"initial weights: {taken} of {len(match.wanted)} tensors of {listing(match.graphs)} "
            f"from {match.source.path}"
        )
        if match.fresh:
            yield f"  start anew: {listing(match.fresh, SHOWN)}"
        if match.extra:
            yield f"  not used: {listing(match.extra, SHOWN)}"
        for change, count in self.changed.items():
            yield f"  {change}: {count} tensors"

    def record(self) -> dict[str, Any]:
        """For `run.json`."""
        return {
            "path": str(self.match.source.path),
            "sha256": self.match.source.sha256,
            "taken": sum(len(tensors) for tensors in self.match.taken.values()),
            "fresh": list(self.match.fresh),
            "extra": list(self.match.extra),
        }


def initialise(match: Match, networks: Mapping[str, nn.Module]) -> Report:
    """Copy what was found into the networks, keeping their memory format.

    Raises: NetwrightError: F602: the file can't be read. F603: it holds NaN or infinity.
    """
    import torch

    changed: Counter[str] = Counter()
    with torch.no_grad():
        for network, tensors in match.taken.items():
            state = networks[network].state_dict()
            for tensor, stored, value in _read(tensors):
                state[tensor].copy_(value)
                _check_finite(state[tensor], f"{network}.{tensor}", stored)
                changed.update(_change(value, state[tensor]))
    return Report(match, dict(changed))


def _read(tensors: Mapping[str, Stored]) -> Iterator[tuple[str, Stored, torch.Tensor]]:
    """The stored tensors, each file opened once."""
    from safetensors import SafetensorError, safe_open

    for path in dict.fromkeys(stored.file for stored in tensors.values()):
        try:
            with safe_open(path, framework="pt") as file:
                for tensor, stored in tensors.items():
                    if stored.file == path:
                        yield tensor, stored, file.get_tensor(stored.key)
        except (OSError, SafetensorError) as error:
            raise failure(
                Code.F602,
                f"the weights file `{path}` can't be read: {error}",
                help="fetch or make the file again",
            ) from error


def _check_finite(tensor: torch.Tensor, name: str, stored: Stored) -> None:
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise failure(
            Code.F603,
            f"expected finite numbers for `{name}`, found NaN or infinity in `{stored.file}`",
            help="choose weights from a run that did not diverge",
        )


def _change(value: torch.Tensor, tensor: torch.Tensor) -> list[str]:
    """What happened to a tensor of another element type, in words; nothing to one of the same."""
    if value.dtype == tensor.dtype:
        return []
    before, after = (str(one.dtype).removeprefix("torch.") for one in (value, tensor))
    exact = bool((tensor.to(value.dtype) == value.to(tensor.device)).all())
    return [f"{before} {'became' if exact else 'was rounded to'} {after}"]
