"""Figures as people read them, the same wherever they stand: four digits that count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

NOTHING = "-"
"""What stands for a figure without a value."""

LARGE, SMALL = 1e6, 1e-4
"""From where, and below where, a number has an exponent."""


def figure_text(value: float | None) -> str:
    """A loss or a metric: `0.9500`, `12.30`, `5,434`, `4.734e+27`, `1.200e-06`.

    Zeros at the end stay, so that figures under one another are as long as their neighbours.
    """
    if value is None or not math.isfinite(value):
        return NOTHING if value is None else str(value)
    if value == 0:
        return "0.000"
    size = abs(value)
    if size >= LARGE or size < SMALL:
        return f"{value:.3e}"
    if size >= 999.95:
        return f"{value:,.0f}"
    return f"{value:#.4g}"


def short_text(value: float | None) -> str:
    """A number that is no measurement, such as a learning rate: `0.95`, `12.3`, `0`, `1.2e-06`."""
    text = figure_text(value)
    mantissa, exponent, power = text.partition("e")
    if "." not in mantissa:
        return text
    return mantissa.rstrip("0").rstrip(".") + exponent + power


def figures_text(figures: Mapping[str, float | None], between: str = "  ") -> str:
    """`loss 0.03120  accuracy 0.9861`."""
    return between.join(f"{name} {figure_text(value)}" for name, value in figures.items())


def row_texts(values: Sequence[float | None]) -> list[str]:
    """Figures to be compared: where one is large, all that are not small have an exponent."""
    is_large = any(value is not None and abs(value) >= LARGE for value in values)
    return [
        f"{value:.3e}" if is_large and value is not None and abs(value) >= 1e3 else
        figure_text(value)
        for value in values
    ]  # fmt: skip


def counted(count: int, noun: str) -> str:
    """`1 sample`, `1,797 samples`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
