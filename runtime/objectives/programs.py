"""The programs of an objective in torch, as their exported files run: raw units in and out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.ir.dims import evaluate
from ...compiler.objectives.base import Objective as Settings
from ..generated import build_program, by_name


class Programs:
    """Runs programs over networks that are trained meanwhile."""

    def __init__(
        self,
        settings: Settings,
        compilation: Compilation,
        networks: Mapping[str, nn.Module],
        device: torch.device,
    ) -> None:
        self._settings, self._device, self._graphs = settings, device, compilation.programs
        self._built = {
            name: build_program(compilation.source, name, networks) for name in self._graphs
        }

    def __contains__(self, name: str) -> bool:
        return name in self._graphs

    def run(self, name: str, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a program gives: output -> tensor.

        given: its inputs by name, among others.
        """
        graph = self._graphs[name]
        made = self._built[name](*[given[value.name] for value in graph.inputs])
        return by_name(made, graph.outputs)

    def noise(
        self, name: str, sizes: Mapping[str, int], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The random inputs of a program.

        Args:
            sizes: what each of their symbolic sizes is, the batch `B` among them.
            generator: of the CPU.
        """
        found, drawn = {}, self._settings.noise_inputs(name)
        for value in self._graphs[name].inputs:
            if distribution := drawn.get(value.name):
                shape = [evaluate(size, sizes) for size in value.type.shape]
                draw = torch.randn if distribution == "normal" else torch.rand
                found[value.name] = draw(shape, generator=generator).to(self._device)
        return found
