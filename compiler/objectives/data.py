"""The section `data`: a source, its fields and how samples are split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from .fields import Field
from .problem import Problem
from .section import OneKey, Section
from .sources import SOURCES, Source

TEST_FRACTION = 0.2
"""The part of the samples that tests, where neither the source nor the spec says."""


class Split(Section):
    """Which samples train, validate and test. The seed is apart from training's own."""

    title: ClassVar[str] = "`split`"

    validation: float = Setting(
        default=0.0,
        ge=0,
        lt=1,
        description="The part of the samples set aside to watch and to choose by; of the training "
        "samples, where the source has test samples of its own.",
    )
    test: float | None = Setting(
        default=None,
        gt=0,
        lt=1,
        description="The part of all samples that only the final test sees: 0.2 unless given. "
        "A source with test samples of its own takes none.",
    )
    seed: int = Setting(
        default=0, ge=0, description="Draws the split; the same seed, the same one."
    )


class Data(Section):
    """What one batch holds, and how raw values become network inputs."""

    title: ClassVar[str] = "`data`"

    source: Annotated[Source, OneKey(SOURCES, "data source")] = Setting(
        description="Where the samples come from."
    )
    fields: dict[str, Field] = Setting(
        default={},
        description="The tensors of a batch by name; the source may know them already.",
    )
    split: Split = Setting(default=Split(), description="Which samples train, validate and test.")

    @property
    def test_fraction(self) -> float:
        """The part of the source's samples that tests; 0 where it has test samples of its own."""
        if self.source.has_test:
            return 0.0
        return TEST_FRACTION if self.split.test is None else self.split.test

    @property
    def _draws(self) -> bool:
        """Whether samples are set aside by chance."""
        return not self.source.is_ordered and self.test_fraction + self.split.validation > 0

    def problems(self) -> Iterator[Problem]:
        """Settings that exclude each other, or that nothing comes of."""
        if self.split.test is not None and self.source.has_test:
            yield Problem(
                Code.O502,
                f"`split.test` and the test samples of the source `{self.source.name}` exclude "
                "each other, found both",
                ("split", "test"),
                help="remove `test` from `split`",
            )
        if "seed" in self.split.model_fields_set and not self._draws:
            yield self._idle_seed()
        if self.test_fraction + self.split.validation >= 1:
            yield Problem(
                Code.O502,
                f"`split` leaves no samples to train on: validation {self.split.validation:g} and "
                f"test {self.test_fraction:g} are all of them",
                ("split",),
            )

    def _idle_seed(self) -> Problem:
        ordered = self.source.is_ordered
        found = (
            f"the source `{self.source.name}`, whose last samples are set aside"
            if ordered
            else f"the test samples of the source `{self.source.name}` and no `validation`"
        )
        return Problem(
            Code.O502,
            f"`seed` of `split` expects samples to draw, found {found}",
            ("split", "seed"),
            help="remove `seed`"
            if ordered
            else "add `validation: 0.1` to `split`, or remove `seed`",
        )

    def merged_fields(self) -> dict[str, Field]:
        """Every field by name: what the source knows, overridden by what the spec says."""
        return self.source.merged(self.fields)
