"""From the settings of an objective to its training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ...compiler.driver import Compilation
from ..generated import build_networks
from ..opening import objective_of, pairs_of
from ..planning.layout import arrange
from .autoencoder import Autoencoder
from .base import Objective
from .gan import Gan
from .language_model import LanguageModel
from .seq2seq import Seq2Seq
from .supervised import Supervised
from .vae import Vae
from .vq_vae import VqVae

Maker = Callable[[Any, Compilation, Mapping[str, nn.Module], torch.device, int], Objective]


def _supervised(
    settings: Any,
    compilation: Compilation,
    networks: Mapping[str, nn.Module],
    device: torch.device,
    rows: int,
) -> Objective:
    return Supervised(settings, compilation.graphs, networks, device, pairs_of(compilation))


MAKERS: dict[str, Maker] = {
    "supervised": _supervised,
    "language_model": LanguageModel,
    "seq2seq": Seq2Seq,
    "autoencoder": Autoencoder,
    "vae": Vae,
    "vq_vae": VqVae,
    "gan": Gan,
}
"""By the name of the objective."""


def bind(
    compilation: Compilation,
    device: torch.device,
    layout: torch.memory_format,
    rows: int | None = None,
) -> Objective:
    """An objective over its networks, which are built from the generated source.

    The weights are drawn from torch's generator, so that the caller's seed decides them.

    rows: samples in a training step; the spec's batch unless given.
    """
    settings = objective_of(compilation)
    networks = build_networks(compilation.source, compilation.graphs)
    for network in networks.values():
        arrange(network.to(device), layout)
    samples = compilation.spec.training.batch if rows is None else rows
    return MAKERS[settings.name](settings, compilation, networks, device, samples)
