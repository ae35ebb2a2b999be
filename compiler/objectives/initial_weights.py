"""`training.init_from`: weights that a run begins with; runtime/initial_weights/ reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.graph import Graph
from ..suggest import did_you_mean
from .patterns import is_pattern, nearest
from .problem import Problem
from .section import Section, listed


class InitFrom(Section):
    """Begin with stored weights: `init_from: resnet18.safetensors`.

    The source is a safetensors file with the names of a state dict, the folder of a run, or a
    bundle that was exported with its weights. In a run and a bundle, and for a spec that trains
    several networks, a stored tensor is called `<network>.<tensor>`.
    """

    title: ClassVar[str] = "`init_from`"
    expects: ClassVar[str] = "a path or a map"

    path: str = Setting(
        min_length=1,
        description="A safetensors file, a run or a bundle; relative to the spec's folder.",
    )
    network: str | None = Setting(
        default=None, description="The network that gets them; all that are trained unless given."
    )
    prefix: str | None = Setting(
        default=None,
        description="What stands before the network's own names in the source: `module`, "
        "`backbone`, the name that the network has there.",
    )
    under: str | None = Setting(
        default=None,
        description="The layer of the network that gets them; the source's names begin below it.",
    )
    reinitialise: list[Annotated[str, Setting(min_length=1)]] = Setting(
        default=[],
        description='Patterns of tensors that start anew: `["fc.**"]`. They are the names of the '
        "network's state dict, alone or behind the network's name, or of the source's tensors that "
        "have no place in it.",
    )
    strict: bool = Setting(
        default=True,
        description="Refuse a source that lacks tensors of the network or has others.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"path": data}
        return listed(data, "reinitialise")

    def problems(self, graphs: Mapping[str, Graph]) -> Iterator[Problem]:
        """Names that the trained networks do not have."""
        for index, pattern in enumerate(self.reinitialise):
            if not is_pattern(pattern):
                yield Problem(
                    Code.S102,
                    "`reinitialise` expects names with `.` between their parts, `*` and `**`, "
                    f"found `{pattern}`",
                    ("reinitialise", index),
                )
        if self.network is not None and self.network not in graphs:
            yield Problem(
                Code.O501,
                f"`init_from` expects a network that is trained, found `{self.network}`",
                ("network",),
                help=did_you_mean(self.network, graphs, "network"),
            )
        elif self.under is not None:
            yield from self._no_layer(self.chosen(graphs))

    def chosen(self, graphs: Mapping[str, Graph]) -> dict[str, Graph]:
        """The networks that get weights."""
        return {name: graph for name, graph in graphs.items() if self.network in (None, name)}

    def _no_layer(self, graphs: Mapping[str, Graph]) -> Iterator[Problem]:
        for network, graph in graphs.items():
            names = list(graph.tensors())
            if not any(name.startswith(f"{self.under}.") for name in names):
                yield Problem(
                    Code.G301,
                    f"`under` expects a layer of `{network}` with tensors, found `{self.under}`",
                    ("under",),
                    help=nearest(f"{self.under}.**", names),
                )
