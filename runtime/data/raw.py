"""What a source's reader gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .columns import Columns


@dataclass(frozen=True)
class RawData:
    """What a source holds.

    train, test: field -> column; `test` are test samples of its own, if it has any.
    classes: field -> the names of its labels, where the source knows them and the spec does not.
    notes: what was left out, in sentences for the user.
    vocabularies: the fields whose classes need not all occur among the training samples.
    """

    train: Columns
    test: Columns | None = None
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    vocabularies: frozenset[str] = frozenset()
