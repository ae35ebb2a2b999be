"""The filters of a first convolution over 1 or 3 channels, as small pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import NetwrightError
from ...compiler.ir.graph import Graph, Node
from ..checkpoint import load_weights
from ..runs import SPEC
from .markup import Html, element, joined
from .numbers import short_text
from .pictures import image
from .section import LeftOut, Pieces, Section, reason
from .state import after_step
from .subject import Subject

TITLE = "First-layer filters"

SHOWN = 128
"""How many filters are shown."""

COLORS = {
    1: "Orange adds, blue subtracts, white is zero.",
    3: "Each pixel has the red, green and blue that it looks for; grey is zero.",
}
"""What the colours mean, by the number of channels."""

Array = NDArray[Any]

NEGATIVE, NOTHING, POSITIVE = (37, 99, 235), (255, 255, 255), (234, 88, 12)


def filters(subject: Subject) -> Pieces:
    """The filters of each network whose first layer is such a convolution; others have none."""
    if subject.compilation is None:
        return [LeftOut(TITLE, subject.why(SPEC))]
    found = {name: _first(graph) for name, graph in subject.compilation.graphs.items()}
    layers = {name: node for name, node in found.items() if node}
    step = subject.tested_step
    if not layers:
        return []
    if step is None:
        return [LeftOut(TITLE, "the run has no checkpoint")]
    try:
        weights = load_weights(subject.folder, step)
        parts = [
            _sheet(name, node, weights[name][_tensor(node)].float().cpu().numpy())
            for name, node in layers.items()
        ]
    except NetwrightError as error:
        return [LeftOut(TITLE, reason(error))]
    except KeyError as error:
        return [LeftOut(TITLE, f"the checkpoint has no weights {error}")]
    kinds = (COLORS[_channels(node)] for node in layers.values())
    note = f"They are those {after_step(step)}. {' '.join(dict.fromkeys(kinds))}"
    return [Section(TITLE, joined(parts), note)]


def _first(graph: Graph) -> Node | None:
    """The first layer with weights, if it is a 2D convolution whose filters can be drawn."""
    node = next((node for node in graph.nodes if node.declared()), None)
    if node is None or node.op.name != "conv2d" or node.weights["weight"].network:
        return None
    shape = next(p.shape for p in node.declared() if p.key == "weight")
    drawable = len(shape) == 4 and shape[1] in (1, 3) and max(shape[2:]) > 1
    return node if drawable else None


def _tensor(node: Node) -> str:
    return node.weights["weight"].name


def _channels(node: Node) -> int:
    return next(p.shape[1] for p in node.declared() if p.key == "weight")


def _sheet(network: str, node: Node, weight: Array) -> Html:
    """weight: [K, 1 or 3, h, w]; all filters share one scale."""
    largest = float(np.abs(weight).max()) or 1.0
    drawn = joined(_filters(weight[:SHOWN], largest))
    count, (height, width) = len(weight), weight.shape[2:]
    told = f"{network}.{node.path}: {count} filters of {height} × {width}"  # noqa: RUF001
    told += f", the first {SHOWN} shown" if count > SHOWN else ""
    told += f"; the strongest colour is {short_text(largest)}"
    return joined([element("p", told, class_="note"), element("div", drawn, class_="filters")])


def _filters(weight: Array, largest: float) -> Iterator[Html]:
    for index, one in enumerate(weight):
        shares = one / largest
        pixels = _diverging(shares[0]) if len(one) == 1 else _color(shares)
        norm = float(np.sqrt((one**2).sum()))
        yield image(pixels, f"filter {index}, norm {short_text(norm)}")


def _color(shares: Array) -> NDArray[np.uint8]:
    """[3, h, w] in [-1, 1] to colours: zero is grey."""
    return np.asarray(np.round(127.5 + 127.5 * shares).transpose(1, 2, 0), np.uint8)


def _diverging(shares: Array) -> NDArray[np.uint8]:
    """[h, w] in [-1, 1]: from blue by way of white to orange."""
    ends = np.where(shares[..., None] < 0, NEGATIVE, POSITIVE)
    strength = np.abs(shares)[..., None] ** 0.8
    return np.asarray(np.round(NOTHING + (ends - np.array(NOTHING)) * strength), np.uint8)
