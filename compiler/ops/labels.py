"""What operators share that take the class of each sample."""

from __future__ import annotations

from ..ir.shapes import TensorType
from .agreement import disagreement, mismatches
from .base import Port
from .checks import need_integers, need_rank

LABEL = Port("label")
CLASSES = "How many classes there are; labels are in [0, classes)."


def need_label(op: str, label: TensorType, x: TensorType) -> None:
    """Raises: Refusal: D401: not integers of one axis. D402: not as many as samples."""
    need_integers(op, label)
    need_rank(op, label, 1, "label i64[B]")
    if wrong := mismatches(label.shape[:1], x.shape[:1]):
        raise disagreement(f"`{op}` needs a label for each sample, found {label} for {x}", wrong)
