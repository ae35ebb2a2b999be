"""Where data comes from: settings, and which fields a source is known to hold.

runtime/data reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from .fields import Field
from .problem import Problem
from .section import Section

Path = Annotated[str, Setting(min_length=1)]


class Source(Section):
    """Where samples come from. Paths are relative to the spec's folder."""

    name: ClassVar[str]

    @property
    def has_test(self) -> bool:
        """Whether the source brings test samples of its own."""
        return False

    def known_fields(self) -> dict[str, Field]:
        """The fields that the source always holds, fully described; else none."""
        return {}

    def paths(self) -> list[str]:
        """Every file it reads, as the spec names them."""
        return []

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        """Settings that do not fit the declared fields."""
        yield from ()


class Digits(Source):
    """1,797 scanned digits of 8x8 pixels that scikit-learn ships; nothing is downloaded.

    Fields: `image` uint8 [B, 1, 8, 8] in [0, 16], scaled to [0, 1]; `label` int64 [B] below 10.
    """

    name: ClassVar[str] = "digits"
    title: ClassVar[str] = "the source `digits`"

    def known_fields(self) -> dict[str, Field]:
        image = Field(shape=["B", 1, 8, 8], dtype="uint8", range=[0, 16], scale=[0, 1])
        label = Field(shape=["B"], dtype="int64", classes=[str(digit) for digit in range(10)])
        return {"image": image, "label": label}


class Idx(Source):
    """Files in the IDX format of MNIST, gzipped or not: one per field, in the fields' order."""

    name: ClassVar[str] = "idx"
    title: ClassVar[str] = "the source `idx`"

    train: list[Path] = Setting(
        min_length=1, description="One file for each field, in the order of `fields`."
    )
    test: list[Path] | None = Setting(
        default=None, min_length=1, description="The same for the test samples."
    )

    @property
    def has_test(self) -> bool:
        return self.test is not None

    def paths(self) -> list[str]:
        return [*self.train, *(self.test or [])]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        for part, files in (("train", self.train), ("test", self.test)):
            if files is not None and len(files) != len(fields):
                yield Problem(
                    Code.O501,
                    f"`{part}` expects one file for each of the {len(fields)} fields "
                    f"({', '.join(fields)}), found {len(files)}",
                    (part,),
                )


class Npz(Source):
    """Arrays of a numpy .npz file. Objects and pickles in it are refused."""

    name: ClassVar[str] = "npz"
    title: ClassVar[str] = "the source `npz`"

    path: Path = Setting(description="The .npz file.")
    arrays: dict[str, str] = Setting(
        default={},
        description="Field -> array, where their names differ: `{image: x_train}`.",
    )
    test_path: Path | None = Setting(
        default=None, description="A second .npz file with test samples."
    )
    test_arrays: dict[str, str] = Setting(
        default={}, description="Field -> array of the test samples: `{image: x_test}`."
    )

    @property
    def has_test(self) -> bool:
        return self.test_path is not None or bool(self.test_arrays)

    def paths(self) -> list[str]:
        return [self.path, *([self.test_path] if self.test_path else [])]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        for key in ("arrays", "test_arrays"):
            for name in getattr(self, key):
                if name not in fields:
                    yield Problem(
                        Code.O501,
                        f"`{key}` names the field `{name}`, which `fields` does not have",
                        (key, name),
                        help=f"the fields are {', '.join(f'`{f}`' for f in fields)}",
                    )
        if self.test_arrays and self.test_path is None:
            yield from self._overlap(fields)

    def _overlap(self, fields: list[str]) -> Iterator[Problem]:
        for name in fields:
            train, test = self.arrays.get(name, name), self.test_arrays.get(name, name)
            if train == test:
                yield Problem(
                    Code.O502,
                    f"the field `{name}` would train and test on the same array `{train}`",
                    ("test_arrays",),
                    help=f"name its test array: `test_arrays: {{{name}: ...}}`",
                )


SOURCES: dict[str, type[Source]] = {cls.name: cls for cls in (Digits, Idx, Npz)}
