"""Draws a network as a standalone SVG: the flow from top to bottom, and each block once beside it.

Straight arrows lead from a layer to the next one; what is read further down runs along the right
side. The picture brings its own background and follows the reader's light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape

from .diagram_flow import Flow, Row, picture
from .diagram_style import ARROW, STYLE, colour
from .ir.graph import Graph
from .summary import reference_sizes, short_number, totals

BOX, GAP, MARGIN, PAD = 320, 30, 28, 14
HEIGHTS = {"layer": 34, "light": 24, "block": 50, "input": 28, "output": 28}
LANE, HEAD, CARD = 14, 26, 4
"""Distance of lines on the right side, height of a group's title, offset of a stacked card."""

_COLUMN_GAP, _MIN_COLUMN = 36, 900


@dataclass
class Drawing:
    """SVG elements around an axis that runs down the middle of the boxes.

    left, right: how far it reaches to both sides of the axis.
    """

    left: float = BOX / 2
    right: float = BOX / 2
    height: float = 0.0
    elements: list[str] = field(default_factory=list)


def draw_svg(graph: Graph) -> str:
    """The diagram of a network as the text of an SVG file."""
    shown = picture(graph)
    panels = [_panel(graph.name, "", shown.main)]
    panels += [_panel(name, "block", flow) for name, flow in shown.blocks.items()]
    columns = _columns(panels)
    width = sum(max(p.left + p.right for p in column) for column in columns)
    width += MARGIN * 2 + _COLUMN_GAP * (len(columns) - 1)
    height = max(sum(p.height + _COLUMN_GAP for p in column) - _COLUMN_GAP for column in columns)
    height += MARGIN * 2 + 44
    return "\n".join([*_head(graph, width, height), *_place(columns), "</svg>"]) + "\n"


def _columns(panels: Sequence[Drawing]) -> list[list[Drawing]]:
    """The network's panel stands alone; those of blocks fill columns as high as it."""
    columns, limit = [[panels[0]]], max(panels[0].height, _MIN_COLUMN)
    room = 0.0
    for panel in panels[1:]:
        if len(columns) == 1 or room < panel.height:
            columns.append([])
            room = limit
        columns[-1].append(panel)
        room -= panel.height + _COLUMN_GAP
    return columns


def _place(columns: Sequence[Sequence[Drawing]]) -> Iterator[str]:
    x: float = MARGIN
    for column in columns:
        y: float = MARGIN + 44
        for panel in column:
            yield f'<g transform="translate({_n(x + panel.left)} {_n(y)})">'
            yield from panel.elements
            yield "</g>"
            y += panel.height + _COLUMN_GAP
        x += max(panel.left + panel.right for panel in column) + _COLUMN_GAP


def _head(graph: Graph, width: float, height: float) -> Iterator[str]:
    size = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"<title>{escape(graph.name)}</title>"
    yield f"<style>{STYLE}</style>"
    yield ARROW
    yield f'<rect class="page" width="{_n(width)}" height="{_n(height)}" rx="12"/>'
    sums, sizes = totals(graph), reference_sizes(graph)
    at = ", ".join(f"{name} = {size}" for name, size in sizes.items() if name != "B")
    count = short_number(sums.parameters).strip()
    cost = f"{count} parameters, {short_number(sums.flops)}FLOPs a sample"
    yield f'<text class="name" x="{MARGIN}" y="{MARGIN + 14}">{escape(graph.name)}</text>'
    cost += f" at {at}" if at else ""
    yield f'<text class="muted" x="{MARGIN}" y="{MARGIN + 32}">{escape(cost)}</text>'


def _panel(title: str, kind: str, flow: Flow) -> Drawing:
    """A flow in a frame with a title; the network's own has none."""
    inner = _draw(flow)
    if not kind:
        return inner
    left, right = inner.left + PAD, inner.right + PAD
    height = inner.height + HEAD + PAD
    elements = [
        f'<rect class="panel" x="{_n(-left)}" y="0" width="{_n(left + right)}" '
        f'height="{_n(height)}" rx="10"/>',
        f'<text class="title" x="{_n(-left + PAD)}" y="19">{escape(title)}</text>',
        *_remark(flow, right - PAD),
        f'<g transform="translate(0 {HEAD + 4})">',
        *inner.elements,
        "</g>",
    ]
    return Drawing(left, right, height, elements)


def _remark(flow: Flow, right: float) -> Iterator[str]:
    if any(row.optional for row in flow.rows):
        yield f'<text class="note" x="{_n(right)}" y="19">dashed: optional</text>'


# A flow


@dataclass
class _Placed:
    """A row with its place: y of its top, and how far it reaches from the axis."""

    row: Row
    y: float
    drawing: Drawing

    @property
    def bottom(self) -> float:
        return self.y + self.drawing.height

    @property
    def middle(self) -> float:
        return self.y + self.drawing.height / 2


def _draw(flow: Flow) -> Drawing:
    """The rows of a flow with their arrows."""
    placed = _stack(flow.rows)
    drawing = Drawing(
        max((p.drawing.left for p in placed), default=BOX / 2),
        max((max(p.drawing.right, _label_end(p.row)) for p in placed), default=BOX / 2),
        placed[-1].bottom + _cards(placed[-1].row) if placed else 0.0,
    )
    makers = {name: place for place, p in enumerate(placed) for name in p.row.makes}
    drawing.elements.extend(_straight(placed))
    lanes = _lanes(placed, makers)
    drawing.elements.extend(_arcs(placed, makers, lanes, drawing.right))
    for p in placed:
        drawing.elements.append(f'<g transform="translate(0 {_n(p.y)})">')
        drawing.elements.extend(p.drawing.elements)
        drawing.elements.append("</g>")
    if lanes:
        drawing.right += LANE * max(lanes.values()) + 24
    return drawing


def _label_end(row: Row) -> float:
    """How far to the right the shape beside the arrow reaches."""
    return 14 + 6.4 * len(row.shape)


def _stack(rows: Sequence[Row]) -> list[_Placed]:
    placed: list[_Placed] = []
    y = 0.0
    for row in rows:
        before = placed[-1] if placed else None
        if before:
            y = before.bottom + (0 if _fused(before.row, row) else GAP)
        placed.append(_Placed(row, y, _box(row)))
    return placed


def _follows(before: Row, row: Row) -> bool:
    return bool(set(before.makes) & set(row.reads))


def _fused(before: Row, row: Row) -> bool:
    """Whether a thin row is drawn right under the layer that it belongs to."""
    return (
        row.kind == "light"
        and before.kind in ("layer", "light")
        and _follows(before, row)
        and row.optional == before.optional
    )


def _straight(placed: Sequence[_Placed]) -> Iterator[str]:
    """Arrows to the next row, each with the shape of what flows."""
    for above, below in pairwise(placed):
        if _fused(above.row, below.row) or not _follows(above.row, below.row):
            continue
        start, end = above.bottom + _cards(above.row), below.y
        yield f'<path class="edge" d="M0 {_n(start)}V{_n(end - 2)}" marker-end="url(#arrow)"/>'
        if above.row.shape:
            y = (start + end) / 2 + 4
            yield f'<text class="shape" x="9" y="{_n(y)}">{escape(above.row.shape)}</text>'


def _cards(row: Row) -> int:
    return 2 * CARD if row.copies > 1 else 0


def _far_readers(placed: Sequence[_Placed], makers: dict[str, int]) -> dict[int, list[int]]:
    """Row -> the rows further down that read what it makes, other than the next one."""
    found: dict[int, list[int]] = {}
    for place, p in enumerate(placed):
        for source in dict.fromkeys(makers[name] for name in p.row.reads if name in makers):
            if place > source + 1:
                found.setdefault(source, []).append(place)
    return found


def _lanes(placed: Sequence[_Placed], makers: dict[str, int]) -> dict[int, int]:
    """Row -> the lane of its line on the right side; lines that overlap have different lanes."""
    readers = _far_readers(placed, makers)
    lanes: dict[int, int] = {}
    for source in sorted(readers, key=lambda s: readers[s][-1] - s):
        taken = {
            lanes[other]
            for other in lanes
            if other <= readers[source][-1] and source <= readers[other][-1]
        }
        lanes[source] = next(lane for lane in range(len(placed)) if lane not in taken)
    return lanes


def _arcs(
    placed: Sequence[_Placed], makers: dict[str, int], lanes: dict[int, int], right: float
) -> Iterator[str]:
    for source, targets in _far_readers(placed, makers).items():
        x = right + 18 + LANE * lanes[source]
        from_ = placed[source]
        start = from_.bottom - 7 if from_.drawing.height > 40 else from_.middle + 3
        for target in targets:
            to = placed[target]
            end = to.y + 9 if to.drawing.height > 40 else to.middle - 4
            yield (
                f'<path class="skip" d="M{_n(from_.drawing.right)} {_n(start)}H{_n(x - 8)}'
                f"q8 0 8 8V{_n(end - 8)}q0 8 -8 8H{_n(to.drawing.right + 3)}"
                f'" marker-end="url(#arrow-skip)"/>'
            )


# Boxes


def _box(row: Row) -> Drawing:
    if row.kind == "group":
        return _group(row)
    height = HEIGHTS[row.kind]
    if row.kind in ("input", "output"):
        half = max(90.0, 8.2 * len(row.title) + 6.4 * len(row.detail) + 38) / 2
        return Drawing(half, half, height, list(_pill(row, half, height)))
    elements = []
    for card in (2, 1) if row.copies > 1 else ():
        shift = card * CARD
        elements.append(_rect(row, height, shift, "card"))
    elements.append(_rect(row, height, 0, "box"))
    elements.append(
        f'<rect class="bar {colour(row.family)}" x="{-BOX / 2}" y="0" width="5" '
        f'height="{height}" rx="2"/>'
    )
    elements.extend(_texts(row, height))
    extra = _cards(row)
    return Drawing(BOX / 2, BOX / 2 + extra, height, elements)


def _rect(row: Row, height: float, shift: float, kind: str) -> str:
    dashed = " optional" if row.optional else ""
    return (
        f'<rect class="{kind} {colour(row.family)}{dashed}" x="{_n(-BOX / 2 + shift)}" '
        f'y="{_n(shift)}" width="{BOX}" height="{_n(height)}" rx="6"/>'
    )


def _texts(row: Row, height: float) -> Iterator[str]:
    left, right = -BOX / 2 + 16, BOX / 2 - 12
    title = row.title + (f" × {row.copies}" if row.copies > 1 else "")  # noqa: RUF001
    note = _clip(row.note, 16)
    if row.kind == "block":
        yield f'<text class="title" x="{left}" y="20">{escape(title)}</text>'
        yield f'<text class="detail" x="{left}" y="38">{escape(_clip(row.detail, 46))}</text>'
    else:
        small = " small" if row.kind == "light" else ""
        y = height / 2 + 4
        room = int((BOX - 44 - 8.3 * len(title) - 6.6 * len(note)) / 6)
        yield (
            f'<text class="label{small}" x="{left}" y="{_n(y)}">{escape(title)}'
            f'<tspan class="detail" dx="8">{escape(_clip(row.detail, room))}</tspan></text>'
        )
    if note:
        y = 20 if row.kind == "block" else height / 2 + 4
        yield f'<text class="note" x="{right}" y="{_n(y)}">{escape(note)}</text>'


def _pill(row: Row, half: float, height: float) -> Iterator[str]:
    yield (
        f'<rect class="pill" x="{_n(-half)}" y="0" width="{_n(2 * half)}" '
        f'height="{_n(height)}" rx="{_n(height / 2)}"/>'
    )
    yield (
        f'<text class="pill-text" x="0" y="{_n(height / 2 + 4)}">{escape(row.title)}'
        f'<tspan class="detail" dx="6">{escape(row.detail)}</tspan></text>'
    )


def _group(row: Row) -> Drawing:
    """A frame around the layers of a group."""
    assert row.inner
    inner = _draw(row.inner)
    left, right = inner.left + 10, inner.right + 10
    height = inner.height + HEAD + 10
    dashed = " optional" if row.optional else ""
    elements = [
        f'<rect class="group{dashed}" x="{_n(-left)}" y="0" width="{_n(left + right)}" '
        f'height="{_n(height)}" rx="8"/>',
        f'<text class="note group-title" x="{_n(-left + 10)}" y="17">{escape(row.title)}</text>',
        f'<g transform="translate(0 {HEAD})">',
        *inner.elements,
        "</g>",
    ]
    return Drawing(left, right, height, elements)


def _clip(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    return f"{text[: max(0, length - 1)].rstrip(', ')}…" if length > 3 else ""


def _n(number: float) -> str:
    """A number without needless digits."""
    return f"{number:.1f}".rstrip("0").rstrip(".")
