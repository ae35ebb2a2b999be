"""The sections of the objective `language_model`: what it wrote, and how far back it looks."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...compiler.diagnostics import NetwrightError
from ...compiler.driver import Compilation
from ...compiler.ir.graph import Graph
from ...compiler.objectives.id_room import lookups
from ...compiler.objectives.language_model import LanguageModel
from ..number_text import counted
from ..opening import objective_of
from ..time_gradients import gradient_of_last
from .answers import Array
from .generated_text import generated_text
from .markup import element
from .reach import TITLE, reach_chart
from .section import LeftOut, Piece, Pieces, Section, reason
from .subject import Subject
from .trained import Trained, open_trained

SAMPLES = 64
"""How many windows the gradient is averaged over."""


def language_model(subject: Subject, compilation: Compilation) -> Pieces:
    """Texts that it wrote, and a chart of the gradient by distance."""
    return [*generated_text(subject, compilation), _reach(subject, compilation)]


def _reach(subject: Subject, compilation: Compilation) -> Piece:
    step = subject.tested_step
    if step is None:
        return LeftOut(TITLE, "the run has no checkpoint")
    try:
        trained = open_trained(subject, compilation, step)
    except NetwrightError as error:
        return LeftOut(TITLE, reason(error))
    if trained is None:
        return LeftOut(TITLE, "the run was not finished, and its test samples are not looked at")
    sizes = _gradients(trained, compilation)
    if sizes is None:
        return LeftOut(TITLE, "the network has no embedding of its tokens, at which it is measured")
    windows = counted(min(SAMPLES, trained.dataset.size(trained.part)), f"{trained.part} window")
    note = (
        "The size of the gradient of the last token's loss, at the embedding of each token before "
        f"it, over {windows}; its largest is 1. What it does not reach is not learned from."
    )
    chart = element("div", reach_chart("gradient", sizes), class_="charts")
    return Section(TITLE, chart, note)


def _gradients(trained: Trained, compilation: Compilation) -> Array | None:
    settings = objective_of(compilation)
    assert isinstance(settings, LanguageModel)
    graph = compilation.graphs[settings.network.network]
    network = trained.objective.networks[settings.network.network]
    layer = _embedding(graph, network)
    if layer is None:
        return None
    tokens = _windows(trained, settings.tokens(compilation.graphs))
    target, output = _windows(trained, settings.target), settings.scores(graph)

    def loss_of_last() -> Tensor:
        results = network(tokens)
        scores = results if isinstance(results, Tensor) else getattr(results, output)
        return F.cross_entropy(scores[:, -1].float(), target[:, -1], reduction="sum")

    return gradient_of_last(layer, loss_of_last)


def _embedding(graph: Graph, network: nn.Module) -> nn.Module | None:
    """The module that looks the tokens up; None where they are not looked up by one."""
    found = lookups(graph).get(graph.inputs[0].name)
    if found is None or not found[1].declared():
        return None
    return network.get_submodule(found[1].path)


def _windows(trained: Trained, field: str) -> Tensor:
    """The first windows of a part."""
    column = trained.dataset.parts[trained.part][field]
    values = column.take(np.arange(min(SAMPLES, len(column)), dtype=np.int64))
    return torch.from_numpy(values.astype(np.int64)).to(trained.device)
