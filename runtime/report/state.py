"""Which state of a network a page shows, in words."""

from __future__ import annotations

from ..outcome import BEGAN


def after_step(step: int) -> str:
    """`after step 960`; of step 0, what that is."""
    return f"after step {step:,}" if step else f"before the first step: {BEGAN}"
