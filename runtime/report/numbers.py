"""Figures as people read them."""

from __future__ import annotations

import math
from datetime import datetime

from .. import number_text

DASH = "–"  # noqa: RUF001 - an en dash, as in tables

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
"""strftime would name them in the language of the machine."""


def figure_text(value: float | None) -> str:
    """As everywhere, with an en dash where there is no value."""
    return number_text.figure_text(value) if _is_known(value) else DASH


def short_text(value: float | None) -> str:
    """The same without zeros at its end, for what is no figure of a run."""
    return number_text.short_text(value) if _is_known(value) else DASH


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def tick_text(value: float) -> str:
    """A number beside an axis: `0`, `0.5`, `20k`, `3e-4`."""
    size = abs(value)
    if value and (size >= 1e9 or size < 1e-3):
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    if size >= 1e6:
        return f"{value / 1e6:.4g}M"
    return f"{value / 1e3:.4g}k" if size >= 1e4 else f"{value:.4g}"


def percent(share: float) -> str:
    """A share in [0, 1]: `0%`, `<0.1%`, `83.2%`, `>99.9%`, `100%`."""
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.001:
        return "<0.1%"
    return ">99.9%" if share > 0.999 else f"{share:.1%}"


def date_text(moment: datetime) -> str:
    """`22 November 2025, 11:40 UTC`."""
    zone = moment.strftime(" %Z") if moment.tzinfo else ""
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}{zone}"
