"""From the settings of an objective to its training step."""

from __future__ import annotations

import torch

from ...compiler.driver import Compilation
from ...compiler.objectives.supervised import Supervised as SupervisedSettings
from ..generated import build_networks
from ..planning.layout import arrange
from .base import Objective
from .supervised import Supervised


def bind(compilation: Compilation, device: torch.device, layout: torch.memory_format) -> Objective:
    """An objective over its networks, which are built from the generated source.

    The weights are drawn from torch's generator, so that the caller's seed decides them.
    """
    settings = compilation.spec.objective
    assert isinstance(settings, SupervisedSettings), f"no training step for {settings}"
    networks = build_networks(compilation.source, compilation.graphs)
    for network in networks.values():
        arrange(network.to(device), layout)
    return Supervised(settings, compilation.graphs, networks, device)
