"""Arrays as pictures inside the page: PNG or JPEG in data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.fields import Field
from ..number_text import counted
from .chart import picture
from .markup import Html, element, joined, short
from .numbers import short_text

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

LARGEST = 224
"""Pixels along the longer side; larger pictures are made smaller."""

SHARP = 64
"""Up to this size pixels are shown as squares, not blurred."""

PALETTE = (
    "#94a3b8", "#2563eb", "#ea580c", "#059669", "#db2777", "#ca8a04", "#7c3aed", "#0891b2",
    "#dc2626", "#65a30d",
)  # fmt: skip
"""Classes of pixels, the first often being the background; later ones repeat them, darker."""


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def image(pixels: Pixels, alt: str, *, photo: bool = False) -> Html:
    """An `<img>`.

    pixels: [H, W], [H, W, 3] or [H, W, 4]. photo: may be stored as JPEG, with small losses.
    """
    from PIL import Image

    drawn = Image.fromarray(np.ascontiguousarray(pixels))
    width, height = drawn.size
    sharp = max(width, height) <= SHARP
    if max(width, height) > LARGEST:
        drawn.thumbnail((LARGEST, LARGEST))
    content, small = io.BytesIO(), photo and not sharp
    drawn.save(content, format="JPEG" if small else "PNG", quality=88, optimize=True)
    uri = data_uri(content.getvalue(), "image/jpeg" if small else "image/png")
    return element(
        "img", src=uri, alt=alt, class_="sharp" if sharp else None, width=width, height=height
    )


def is_drawable(shape: Sequence[int]) -> bool:
    """Whether samples of a shape [C, H, W] are grey or coloured images."""
    return len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) > 1


def gray_or_color(sample: Array, low: float, high: float, alt: str) -> Html:
    """An image [1 or 3, H, W] whose values from `low` to `high` go from black to full."""
    scaled = (sample.astype(np.float64) - low) / ((high - low) or 1.0) * 255
    pixels = np.clip(np.nan_to_num(scaled), 0, 255).round().astype(np.uint8)
    return image(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0), alt, photo=True)


def limits(field: Field, sample: Array) -> tuple[float, float]:
    """What is black and what is full: the field's range, else the sample's own."""
    if field.raw_range is not None:
        return field.raw_range
    known = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def mask(labels: Array, ignored: int | None, alt: str) -> Html:
    """Classes of pixels [H, W] in their colours; ignored ones are transparent."""
    pixels = np.zeros((*labels.shape, 4), np.uint8)
    for label in np.unique(labels):
        if label != ignored:
            pixels[labels == label] = (*_rgb(class_color(int(label))), 255)
    return image(pixels, alt)


def class_color(label: int) -> str:
    """The colour of a class of pixels, as CSS."""
    rounds, place = divmod(label, len(PALETTE))
    shade = 0.6 ** (rounds % 4)
    return "#" + "".join(f"{round(c * shade):02x}" for c in _rgb(PALETTE[place]))


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def sample_view(field: Field, sample: Array, name: str) -> Html:
    """One sample of a field: an image, the lines of a signal, names or numbers."""
    if field.class_total is None and is_drawable(sample.shape):
        return gray_or_color(sample, *limits(field, sample), name)
    if sample.ndim in (1, 2) and sample.shape[-1] >= SIGNAL and field.class_total is None:
        return signal(sample.reshape(-1, sample.shape[-1])[:CHANNELS], name)
    if field.classes:
        return element("code", _class_names(sample, field.classes))
    return element("code", numbers(sample))


NAMED = 8
"""How many columns of a field are shown."""


def table_rows(field: Field, sample: Array, columns: Sequence[str]) -> Iterator[Html]:
    """The values of a table's columns under one another, each with its name.

    Args: sample: [n] for n columns, or [] for one.
    """
    for name, value in zip(columns[:NAMED], sample.reshape(-1)[:NAMED], strict=True):
        shown = _class_names(value, field.classes) if field.classes else short_text(float(value))
        yield element("div", element("span", name, title=name), element("b", shown))
    if len(columns) > NAMED:
        more = counted(len(columns) - NAMED, "more column")
        yield element("div", element("span", f"and {more}"))


def _class_names(labels: Array, names: Sequence[str], most: int = 8) -> str:
    flat = labels.reshape(-1)
    known = [names[i] if 0 <= i < len(names) else str(i) for i in flat[:most].tolist()]
    return ", ".join(known) + ("" if flat.size <= most else f", … ({flat.size:,} numbers)")


SIGNAL, CHANNELS, POINTS = 24, 4, 200
"""From how many values on a row of numbers is a line, how many rows and points are drawn."""


def signal(rows: Array, name: str) -> Html:
    """Rows of numbers [C, T] as lines over one another."""
    drawn = rows[:, :: -(-rows.shape[1] // POINTS)].astype(np.float64)
    low, high = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    heights = 44 - 40 * (np.nan_to_num(drawn) - low) / ((high - low) or 1.0)
    across = np.linspace(2, 158, drawn.shape[1])
    return picture(joined(_polylines(across, heights)), name, 160, 48)


def _polylines(across: Array, heights: Array) -> Iterator[Html]:
    for tone, row in enumerate(heights):
        places = " ".join(f"{short(x)},{short(y)}" for x, y in zip(across, row, strict=True))
        yield element("polyline", points=places, class_=f"line tone{tone}")


def numbers(values: Array, most: int = 8) -> str:
    """`0.12, 3.4, 5` and, where there are more, how many."""
    flat = values.reshape(-1)
    shown = ", ".join(f"{value:.4g}" for value in flat[:most].tolist())
    return shown if flat.size <= most else f"{shown}, … ({flat.size:,} numbers)"
