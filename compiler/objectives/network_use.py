"""Which network an objective trains, and from which data fields its inputs come."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field as Setting

from ..ir.graph import Graph
from ..source import Key
from ..suggest import did_you_mean
from .base import Context
from .section import Section


class NetworkUse(Section):
    """A network, and which data fields its inputs take where their names differ."""

    title: ClassVar[str] = "`network`"
    expects: ClassVar[str] = "the name of a network or a map"

    network: str = Setting(description="The name of a network.")
    inputs: dict[str, str] = Setting(
        default={}, description="Input -> data field, for inputs that are not named as a field."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"network": data} if isinstance(data, str) else super().desugar(data)

    def find(self, user: str, context: Context, path: Key) -> Graph | None:
        """The network; None where it or the data is missing, which is reported.

        Args:
            user: what messages call the objective. path: leads to its section.
        """
        if not context.fields and not context.broken:
            context.misfit(
                f"{user} needs `data`, which the spec does not have",
                path,
                "add `data: {source: ...}` with the fields that the network and losses read",
            )
            return None
        graph = context.graphs.get(self.network)
        if graph is None:
            context.misfit(
                f"the objective needs a network `{self.network}`, which does not exist",
                (*path, "network"),
                did_you_mean(self.network, context.graphs, "network"),
            )
        return graph
